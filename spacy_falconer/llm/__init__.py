"""Everything that talks to a language model, and the store of its answers. Never imports torch."""
