"""One reply in a room of the web chat, and the newest states of all of them for the open pages.

The truth is in the archive. Here is only what has changed since, in memory, and a page that
connects gets all of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Final, Self

from cachetools import FIFOCache, LRUCache

from bot.errors import PreviewUnsupported
from bot.files import File
from bot.models import Address, JsonObject
from bot.platforms.web.pages import inline_html, markdown_html
from bot.platforms.web.transcript import picture_to_json, rows_to_json
from bot.reply.surface import Anchor, Content, Limits, Mood, Receipt, Search

PLATFORM = "web"
MAX_FINISHED = 256
"""Finished replies remembered, so that a late edit finds the messages beside it."""
MAX_PREVIEW_BYTES = 64 * 2**20
"""Of all pictures that are being made, in all rooms; five of them have 300 kB."""
LIMITS = Limits(
    text=20_000,
    caption=20_000,
    files=10,
    interval=0.1,
    moods=True,
    rate=1e6,
    buttons=True,
    private=True,
    preview_seconds=0.0,
)


@dataclass(frozen=True, slots=True)
class WebTarget:
    """Where a reply is shown.

    Attributes:
        room: as in the address of the page.
        reply: the `message_id` of the request that it answers.
    """

    room: str
    reply: str

    def to_address(self) -> Address:
        return Address(PLATFORM, self.room, asdict(self))

    @classmethod
    def from_address(cls, address: Address) -> Self:
        return cls(str(address.data["room"]), str(address.data["reply"]))


@dataclass(frozen=True, slots=True)
class WebReceipt:
    """How a message is found again, also by a process that did not create it.

    Attributes:
        message: the nonce that it was created with.
        order: where it stands in its reply, from 0.
    """

    message: str
    order: int

    def to_json(self) -> Receipt:
        return asdict(self)

    @classmethod
    def from_json(cls, receipt: Receipt) -> Self:
        return cls(str(receipt["message"]), int(receipt["order"]))


class WebSurface:
    """A `bot.reply.surface.Surface` whose messages are states that open pages are told.

    It never fails: what it shows is memory, and pictures are in the archive before they are shown.
    A receipt from before a restart is as good as a new one.

    Cancelling: nothing is waited for, so a call is made entirely or not at all.
    """

    limits: Final = LIMITS
    rate_limit_info: Final = None

    def __init__(self, rooms: LiveRooms, target: WebTarget) -> None:
        self._rooms = rooms
        self._target = target

    def anchor(self) -> Anchor:
        """Nothing: a nonce is enough."""
        return {}

    async def find(self, search: Search) -> None:
        """Never needed: the same nonce shows the same message again."""
        del search

    def measure(self, text: str) -> int:
        """Characters of the Markdown: the page itself has no limit."""
        return len(text)

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Show a new message; the same nonce shows the same message again."""
        order = self._rooms.place(self._target.room, self._target.reply, nonce)
        receipt = WebReceipt(nonce, order).to_json()
        await self.edit(receipt, content)
        return receipt

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Make a message show `content`, wherever the process that created it has gone."""
        at = WebReceipt.from_json(receipt)
        shown = _content_to_json(at.message, content)
        working = content.mood is Mood.WORKING
        message = LiveMessage(at.message, at.order, working, shown, content.previews)
        self._rooms.put(self._target.room, self._target.reply, message)

    async def delete(self, receipt: Receipt) -> None:
        message = WebReceipt.from_json(receipt).message
        self._rooms.remove(self._target.room, self._target.reply, message)

    async def preview(self, content: Content) -> None:  # noqa: ARG002 - the port's signature
        """Never: an edit is as cheap.

        Raises:
            PreviewUnsupported: always.
        """
        raise PreviewUnsupported("The web chat has no drafts.")


def _content_to_json(message_id: str, content: Content) -> JsonObject:
    """A message as the page reads it: its `mood`, `html` or `status`, a `note` on how it ended."""
    status = content.status
    return {
        "id": message_id,
        "mood": content.mood.value,
        "html": markdown_html(content.text),
        "note": markdown_html(content.note),
        "status": status
        and {
            "activity": status.activity.value,
            "html": inline_html(status.text),
            "share": status.share,
            "remaining": status.remaining,
            "note": inline_html(status.note),
            "resumed": inline_html(status.resumed),
        },
        "pictures": [picture_to_json(file.key, file.name, file.alt) for file in content.files],
        "previews": [
            {"url": f"/previews/{file.key}", "alt": file.alt} for file in content.previews
        ],
        "buttons": rows_to_json(content.buttons),
    }


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message of a reply.

    Attributes:
        id: the nonce that it was created with.
        order: where it stands in the reply, from 0.
        working: it is not what will stand there in the end.
        shown: as the page reads it.
        previews: pictures that are being made, which are nowhere but here.
    """

    id: str
    order: int
    working: bool
    shown: JsonObject
    previews: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveReply:
    """One reply: a whole state, so that the newest replaces any other.

    Attributes:
        id: the `message_id` of the request that it answers.
        version: grows with every change in the process.
        messages: in order; none once they are deleted.
    """

    id: str
    version: int
    messages: tuple[LiveMessage, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether nothing is being worked on any more."""
        return not any(message.working for message in self.messages)

    def to_json(self) -> JsonObject:
        return {"reply": self.id, "messages": [message.shown for message in self.messages]}


class Watch:
    """One open page of a room. A page that reads slowly misses states, never the newest one."""

    def __init__(self, replies: Iterable[LiveReply]) -> None:
        self._pending = {reply.id: reply for reply in replies}
        self._changed = asyncio.Event()
        self.closed = False

    def offer(self, reply: LiveReply) -> None:
        self._pending[reply.id] = reply
        self._changed.set()

    def close(self) -> None:
        self.closed = True
        self._changed.set()

    async def wait(self) -> None:
        """Wait for a change or for the end.

        Cancelling: nothing is lost; the next call returns at once if something has changed.
        """
        await self._changed.wait()

    def take(self) -> list[LiveReply]:
        """What has changed since the last call, oldest change first."""
        pending = sorted(self._pending.values(), key=lambda reply: reply.version)
        self._pending = {}
        if not self.closed:
            self._changed.clear()
        return pending


class LiveRooms:
    """The replies of all rooms that have not reached the archive for good."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self._version = 0
        self._working: dict[tuple[str, str], LiveReply] = {}
        self._finished = FIFOCache[tuple[str, str], LiveReply](MAX_FINISHED)
        self._watches: dict[str, set[Watch]] = {}
        self._previews = LRUCache[str, File](
            MAX_PREVIEW_BYTES, getsizeof=lambda file: len(file.data)
        )
        self._shown: dict[tuple[str, str], set[str]] = {}

    @property
    def watching(self) -> int:
        """Open pages, in all rooms."""
        return sum(len(watches) for watches in self._watches.values())

    def event_id(self, reply: LiveReply) -> str:
        """The id of the event that tells this state; means nothing after a restart."""
        return f"{self.epoch}-{reply.version}"

    def version_of(self, event_id: str) -> int:
        """The version that a page has seen; 0 if the id is of another process or of nobody."""
        epoch, _, version = event_id.partition("-")
        known = epoch == self.epoch and version.isascii() and version.isdigit()
        return int(version) if known and len(version) < len(str(2**63)) else 0

    def put(self, room: str, reply_id: str, message: LiveMessage) -> None:
        """Add a message to a reply, or replace the one with the same id."""
        others = [m for m in self._messages(room, reply_id) if m.id != message.id]
        self._publish(room, reply_id, sorted((*others, message), key=lambda m: m.order))

    def remove(self, room: str, reply_id: str, message_id: str) -> None:
        """Take a message out of a reply."""
        left = [m for m in self._messages(room, reply_id) if m.id != message_id]
        self._publish(room, reply_id, left)

    def place(self, room: str, reply_id: str, message_id: str) -> int:
        """The order of a message: the one it has, or the next free one of its reply."""
        places = {m.id: m.order for m in self._messages(room, reply_id)}
        return places.get(message_id, 1 + max(places.values(), default=-1))

    def preview(self, key: str) -> File:
        """A picture that is being made, by its SHA-256.

        Raises:
            KeyError: it is finished, or too many others have come since.
        """
        return self._previews[key]

    @contextmanager
    def watch(self, room: str, seen: int = 0) -> Iterator[Watch]:
        """Watch a room, beginning with all states newer than version `seen`."""
        replies = chain(self._working.items(), self._finished.items())
        watch = Watch(r for (where, _), r in replies if where == room and r.version > seen)
        self._watches.setdefault(room, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[room].discard(watch)
            if not self._watches[room]:
                del self._watches[room]

    def forget_finished(self) -> None:
        """Forget all finished replies: the archive alone says what there still is of them."""
        self._finished.clear()

    def close(self) -> None:
        """End every stream."""
        for watch in chain.from_iterable(self._watches.values()):
            watch.close()

    def _messages(self, room: str, reply_id: str) -> tuple[LiveMessage, ...]:
        key = room, reply_id
        reply = self._working.get(key) or self._finished.get(key)
        return reply.messages if reply is not None else ()

    def _publish(self, room: str, reply_id: str, messages: Sequence[LiveMessage]) -> None:
        self._version += 1
        reply = LiveReply(reply_id, self._version, tuple(messages))
        key = room, reply_id
        self._working.pop(key, None)
        self._finished.pop(key, None)
        if reply.finished:
            self._finished[key] = reply
            for preview in self._shown.pop(key, ()):
                self._previews.pop(preview, None)
        else:
            self._working[key] = reply
            for file in chain.from_iterable(message.previews for message in messages):
                if len(file.data) <= MAX_PREVIEW_BYTES:
                    self._previews[file.key] = file
                    # A page with a slow line may ask for an older one yet.
                    self._shown.setdefault(key, set()).add(file.key)
        for watch in self._watches.get(room, ()):
            watch.offer(reply)
