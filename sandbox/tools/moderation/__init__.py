"""What moderators test, tried against the running app: `python -m sandbox.tools.moderation`.

It plays the portal, its people and whoever would like to be one, knows addresses, the app's log and
its database file, and imports nothing of the app. `make moderation` starts it.
"""
