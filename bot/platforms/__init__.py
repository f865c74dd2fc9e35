"""The platforms: each turns its own events into messages, and replies into its own requests."""
