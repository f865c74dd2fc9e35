"""A Space that the bot runs itself: its process, its provider, and what it would need."""

from bot.own_space.process import NAME, OwnSpace
from bot.own_space.provider import OwnJanus, OwnSpaceProvider

__all__ = ["NAME", "OwnJanus", "OwnSpace", "OwnSpaceProvider"]
