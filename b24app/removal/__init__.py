"""Finds out whether the app was removed from a portal, and erases the data it left."""
