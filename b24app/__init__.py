"""Everything about Bitrix24 itself: calls, tokens, identity, installation and events."""
