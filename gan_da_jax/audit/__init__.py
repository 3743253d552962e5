"""Proof of runs from their files: held against each other, and what they say computed once more."""
