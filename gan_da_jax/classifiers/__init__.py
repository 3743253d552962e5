"""Networks that judge images: the table of them, how their weights are found, and what they see in images."""
