"""Everything on disk: turns, conversations, pictures."""

from bot.storage.database import Database
from bot.storage.keeper import Keeper
from bot.storage.pictures import Pictures
from bot.storage.store import Store

__all__ = ["Database", "Keeper", "Pictures", "Store"]
