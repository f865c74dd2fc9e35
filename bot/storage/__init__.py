"""Everything on disk: turns, conversations, pictures."""
