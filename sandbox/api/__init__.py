"""Serves the REST methods and the OAuth server, with their limits and faults."""
