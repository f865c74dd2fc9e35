"""What the web chat needs of the storage, and the bounds that it keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.models import ChannelKey, Turn


class Archive(Protocol):
    """What is on disk: the page shows a conversation from it, also after a restart."""

    async def turns(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        """The channel's newest turns, `limit` at most, newest last, finished or not.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def removed(self, turns: Sequence[Turn]) -> Collection[str]:
        """Ids of those of these turns whose reply was removed.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def picture(self, key: str) -> tuple[bytes, str]:
        """Bytes and media type of a picture by the SHA-256 of its bytes.

        Raises:
            KeyError: not here, or removed since.
            StorageError: the store cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much one message may carry; the page is told, and the server counts while reading.

    Attributes:
        files: files in one message.
        file_bytes: bytes of one file.
        text_bytes: bytes of the text in UTF-8.
        seconds: until a slow upload is given up.
    """

    files: int = 4
    file_bytes: int = 20 * 1024 * 1024
    text_bytes: int = 32 * 1024
    seconds: float = 120.0

    @property
    def total_bytes(self) -> int:
        """Bytes of a whole request, multipart boundaries and headers included."""
        return self.files * self.file_bytes + self.text_bytes + 64 * 1024
