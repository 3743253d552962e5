"""Where the original images come from: one source a file, all with the same function `load`."""
