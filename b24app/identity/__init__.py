"""Proves who opens the app and keeps their session."""
