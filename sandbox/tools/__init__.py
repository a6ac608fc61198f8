"""Runs the demo, the smoke test and the moderators' checks."""
