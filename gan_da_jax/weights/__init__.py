"""Weights of classifiers: where published ones are, how files are fetched and read, and what is trained here."""
