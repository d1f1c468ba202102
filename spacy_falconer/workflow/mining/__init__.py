"""The pieces of `mine`: parts of a corpus are read, written and noted, one after another."""
