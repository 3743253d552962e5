"""One file a verb of the command line: reads files, calls pure code, writes files. Stages never import each other."""
