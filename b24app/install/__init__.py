"""Installs the app in a portal, binds its places and events, and checks its set-up."""
