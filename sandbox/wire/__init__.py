"""Holds requests, responses and PHP's ways of parsing and encoding values."""
