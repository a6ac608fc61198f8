"""Plays Bitrix24: portals with their REST methods and pages, and the OAuth server."""
