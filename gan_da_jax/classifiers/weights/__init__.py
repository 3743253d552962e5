"""Published weights: how they are described, fetched and converted, and the names of the classes."""
