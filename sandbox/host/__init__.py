"""Renders the portal's own pages: a small CRM around the application's frame."""
