"""Discord: slash commands, mentions, replies and direct messages in; edited messages out."""

from bot.platforms.discord.adapter import DiscordAdapter

__all__ = ["DiscordAdapter"]
