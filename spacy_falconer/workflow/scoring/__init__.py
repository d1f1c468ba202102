"""What `evaluate` is made of: what each side said, how far sides agree, and simpler ways to compare with."""
