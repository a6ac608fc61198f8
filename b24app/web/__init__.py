"""Middleware, error pages, legal pages and what all templates share."""
