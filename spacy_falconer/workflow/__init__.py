"""What the commands do: each step from a sentence to rows, and all of them together."""
