"""The pieces of `evaluate`: what each side said, how far sides agree, and simpler methods to compare with."""
