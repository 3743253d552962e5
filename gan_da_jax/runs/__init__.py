"""What a run and a study are: their configs, their folders, and the files in them."""
