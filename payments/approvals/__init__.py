"""Lets a second person approve payments above the portal's limit."""
