"""Scores: pure functions from a network's features or logits to numbers, and what they mean over seeds."""
