"""Networks that judge images: their table, how their weights are found, and what they see in images."""
