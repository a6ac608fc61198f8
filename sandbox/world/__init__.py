"""Holds the state of the sandbox, its start and its events."""
