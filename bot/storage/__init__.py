"""Everything on disk: turns, conversations, pictures."""

from bot.storage.database import Database
from bot.storage.pictures import Pictures
from bot.storage.store import Store

__all__ = ["Database", "Pictures", "Store"]
