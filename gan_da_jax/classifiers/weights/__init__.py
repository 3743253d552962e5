"""Weights of classifiers: where published ones are, how they are fetched and read, and what is trained here."""
