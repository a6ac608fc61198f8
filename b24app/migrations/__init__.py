"""The database schema of b24app, step by step."""
