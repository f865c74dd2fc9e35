"""Replies as a channel sees them: live, paced, split, and owed until acknowledged."""
