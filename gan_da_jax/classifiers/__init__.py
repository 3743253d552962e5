"""Networks that judge images: which there are, where their weights come from, and features of images."""
