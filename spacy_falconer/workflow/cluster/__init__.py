"""`mine` on many machines, by Ray. Apart from the rest, so that one machine needs no Ray."""
