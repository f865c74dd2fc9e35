"""What the adapter learns about its server and its chats while it runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_SUPERGROUPS = -1_000_000_000_000
"""Ids of supergroups and channels are smaller (Bot API: they begin with -100)."""

_CHATS = 10_000
"""Chats of which the newest message id is remembered."""
_PEOPLE, _PICTURES = 1000, 20
"""People of whom recent pictures are remembered, and how many of each."""


@dataclass(slots=True)
class ServerState:
    """Shared by all surfaces of an adapter, and gone when the process ends.

    Attributes:
        drafts: whether the server knows `sendMessageDraft`.
        without_drafts: private chats that take none all the same.
        without_whispers: occasions on which the server takes no messages for one person of a group.
        moved: groups that became supergroups, old id to new id.
        newest: the newest message id seen in each space of numbers: supergroups have their own,
            all other chats share those of the bot's account, under 0.
        notices: recent messages of the bot that belong to no turn, as chat and message id.
        example: the file id of the picture that goes with the help, once it was sent.
        pictures: what was drawn for each person where nobody else sees it: key to file id and
            description, the newest last.
        remembers: whether those are remembered at all; only inline mode needs them.
    """

    drafts: bool = True
    without_drafts: set[int] = field(default_factory=set)
    without_whispers: set[str] = field(default_factory=set)
    moved: dict[int, int] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    notices: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=1000))
    example: str | None = None
    pictures: dict[int, dict[str, tuple[str, str]]] = field(default_factory=dict)
    remembers: bool = False

    def saw(self, chat: int, message_id: int) -> None:
        """Remember the newest message of a chat."""
        newest = max(message_id, self.newest_of(chat))
        self.newest.pop(_space(chat), None)
        self.newest[_space(chat)] = newest  # put last: the first are those that nobody writes in
        if len(self.newest) > _CHATS:
            del self.newest[next(iter(self.newest))]

    def newest_of(self, chat: int) -> int:
        """The newest message id known where this chat takes its numbers from; 0 for none."""
        return self.newest.get(_space(chat), 0)

    def noticed(self, chat: int, message_id: int) -> None:
        """Remember a message of the bot that belongs to no turn."""
        self.saw(chat, message_id)
        self.notices.append((chat, message_id))

    def made(self, person: int, key: str, file_id: str, alt: str) -> None:
        """Remember a picture that was sent to somebody in private."""
        if not self.remembers:
            return
        theirs = self.pictures.pop(person, {})
        theirs.pop(key, None)
        theirs[key] = (file_id, alt)
        if len(theirs) > _PICTURES:
            del theirs[next(iter(theirs))]
        self.pictures[person] = theirs  # put last: the first are those who draw nothing
        if len(self.pictures) > _PEOPLE:
            del self.pictures[next(iter(self.pictures))]

    def made_by(self, person: int) -> list[tuple[str, str]]:
        """File ids and descriptions of somebody's pictures, the newest first."""
        return list(reversed(self.pictures.get(person, {}).values()))

    def file_of(self, person: int, key: str) -> str | None:
        """The file id of a picture of somebody's; `None` if it is not known."""
        found = self.pictures.get(person, {}).get(key)
        return None if found is None else found[0]


def _space(chat: int) -> int:
    return chat if chat <= _SUPERGROUPS else 0
