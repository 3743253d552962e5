"""Configurations: `default.py` alone defines fields; every other file changes values of a copy."""
