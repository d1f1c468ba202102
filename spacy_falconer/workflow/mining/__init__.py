"""What `mine` is made of: parts of a corpus, read, written and noted, one after another."""
