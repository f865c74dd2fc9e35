"""What the adapter learns about its server, its chats and its people while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cachetools import FIFOCache, LRUCache
from telegram import Message

from bot.files import File

_FIRST_SUPERGROUP_ID: Final = -1_000_000_000_000
"""Ids of supergroups and channels are this or smaller (Bot API: they begin with -100)."""
_MAX_CHATS: Final = 10_000
_MAX_PEOPLE: Final = 1000
_MAX_PICTURES: Final = 20
"""Of one person."""
_MAX_NOTICES: Final = 1000


class SentPicture(NamedTuple):
    """A picture that Telegram has, and what it shows."""

    file_id: str
    alt: str


@dataclass(slots=True)
class ServerState:
    """Shared by all surfaces of an adapter, and gone when the process ends.

    Attributes:
        remembers_pictures: whether pictures of people are remembered at all; only inline mode
            needs them.
        drafts: whether the server knows `sendMessageDraft`.
        without_drafts: private chats that take none all the same.
        without_ephemeral: occasions on which the server takes no messages for one person of a
            group.
        moved: groups that became supergroups, old id to new id.
        notices: recent messages of the bot that belong to no turn, as chat and message id.
        example_file_id: of the picture that goes with the help, once it was sent.
        pictures: what was drawn for each person where nobody else sees it, by `File.key`; the
            newest last.
    """

    remembers_pictures: bool = False
    drafts: bool = True
    without_drafts: LRUCache[int, None] = field(default_factory=lambda: LRUCache(_MAX_CHATS))
    without_ephemeral: set[str] = field(default_factory=set)
    moved: LRUCache[int, int] = field(default_factory=lambda: LRUCache(_MAX_CHATS))
    notices: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MAX_NOTICES))
    example_file_id: str | None = None
    pictures: LRUCache[int, FIFOCache[str, SentPicture]] = field(
        default_factory=lambda: LRUCache(_MAX_PEOPLE)
    )
    _newest: LRUCache[int, int] = field(default_factory=lambda: LRUCache(_MAX_CHATS))

    def saw(self, chat: int, message_id: int) -> int:
        """Remember that a chat has this message.

        Returns:
            The newest message id known where the chat takes its numbers from.
        """
        # Supergroups number their own messages; all other chats share the account's numbers.
        numbered = chat if chat <= _FIRST_SUPERGROUP_ID else 0
        newest = self._newest[numbered] = max(message_id, self._newest.get(numbered, 0))
        return newest

    def said(self, chat: int, message_id: int) -> None:
        """Remember a message of the bot that belongs to no turn."""
        self.saw(chat, message_id)
        self.notices.append((chat, message_id))

    def sent_pictures(self, person: int, files: Sequence[File], sent: Sequence[Message]) -> None:
        """Remember where Telegram has pictures that were sent to somebody in private."""
        if not self.remembers_pictures:
            return
        theirs = self.pictures.setdefault(person, FIFOCache(_MAX_PICTURES))
        for file, message in zip(files, sent, strict=False):
            if message.photo:
                theirs.pop(file.key, None)  # put last again
                theirs[file.key] = SentPicture(message.photo[-1].file_id, file.alt)

    def pictures_of(self, person: int) -> Mapping[str, SentPicture]:
        """Somebody's pictures, by `File.key`; the newest last."""
        return self.pictures.get(person) or {}
