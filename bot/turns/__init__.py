"""Turns: from an accepted request to an answer that is owed."""
