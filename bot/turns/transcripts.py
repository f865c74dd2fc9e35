"""What was said in a channel and which pictures belong to it, for pages that show conversations."""

from __future__ import annotations

from collections.abc import Sequence

from bot.files import File
from bot.models import FINAL, ChannelKey, Turn
from bot.storage import Storage


class Transcripts:
    """Reads conversations from the storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def turns(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        """The channel's newest turns, `limit` at most, newest last, finished or not.

        Raises:
            StorageError: the database cannot be used.
        """
        return await self._storage.turns.latest(channel, limit)

    async def removed(self, turns: Sequence[Turn]) -> frozenset[str]:
        """Ids of those of these turns whose reply was removed.

        Raises:
            StorageError: the database cannot be used.
        """
        ended = [turn.id for turn in turns if turn.state in FINAL]
        return frozenset(ended) - await self._storage.segments.replied(ended)

    async def picture(self, key: str) -> File:
        """A picture by the SHA-256 of its bytes.

        Raises:
            KeyError: not here, or removed since.
            StorageError: the storage cannot be used.
        """
        return await self._storage.pictures.get(key)
