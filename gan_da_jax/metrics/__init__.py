"""Scores: pure functions from a classifier's features or logits to numbers."""
