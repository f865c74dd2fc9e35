"""janus-bot: a Discord and Telegram bot that chats, looks at pictures and draws."""

__version__ = "0.1.0"
