"""What the commands do: each step from a sentence to rows, and the whole of it."""
