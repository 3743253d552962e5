"""The data set of a run: its images, their order, and the sources that they come from."""
