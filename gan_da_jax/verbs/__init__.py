"""One file a verb of the command line: what it takes, what it prints."""
