"""Everything that talks to a language model, and what it answered. Knows nothing of torch."""
