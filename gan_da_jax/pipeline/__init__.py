"""One run, from its source to its scores: what must come first, and each of its steps."""
