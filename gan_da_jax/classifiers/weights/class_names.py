"""The names of ImageNet's 1,000 classes, in the order of every network that was trained on them in 2012's setting."""

from importlib import resources

# A line a class, in lower case, with underscores; three names stand for two classes each: cardigan, crane and maillot.
CLASSES = tuple((resources.files(__package__) / "imagenet_classes.txt").read_text().splitlines())
