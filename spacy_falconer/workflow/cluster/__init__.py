"""`mine` on many machines, with Ray. Kept apart, so that mining on one machine needs no Ray."""
