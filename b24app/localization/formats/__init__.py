"""Date formats that replace Django's where those do not fit into a sentence."""
