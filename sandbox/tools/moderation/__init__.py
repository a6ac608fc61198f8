"""Checks the running app as Bitrix24's moderators do: `make moderation`."""
