"""The networks, one file each; the file of a classifier ends in its entry for the table."""
