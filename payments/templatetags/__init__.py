"""Template tags and filters of payments."""
