"""Serves the sandbox over WSGI: on ports, or inside a test."""
