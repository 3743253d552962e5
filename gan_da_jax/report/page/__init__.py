"""The report's page: what its sections say, and its templates."""
