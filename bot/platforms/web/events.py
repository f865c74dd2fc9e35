"""What the open pages show of replies that are being made: newest states, and who waits for them.

The truth is in the archive. This is only what has changed since, kept in memory, and a page that
connects gets all of it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog
from aiohttp import web

from bot.actions import Rows
from bot.models import JsonObject
from bot.platforms.web.parsing import ROOM, Languages
from bot.platforms.web.status import Status
from bot.platforms.web.transcript import rows_to_json
from bot.reply.surface import Mood

FINISHED_KEPT = 256
"""Finished replies remembered, so that a late edit finds the messages beside it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as the page shows it.

    Attributes:
        key: SHA-256 in hexadecimal, by which the archive finds it.
        name: file name for saving; empty: the page makes one up.
        alt: what it shows.
    """

    key: str
    name: str
    alt: str

    def to_json(self) -> JsonObject:
        """As the page reads it."""
        return {"url": f"/pictures/{self.key}", "name": self.name, "alt": self.alt}


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message of a reply.

    Attributes:
        id: the nonce that it was created with.
        order: place in the reply, from 0.
        html: safe to show.
        pictures: in order.
        mood: as in `bot.reply.surface.Content`.
        status: what is being done, in place of an answer; `None` if `html` is one.
        buttons: in rows.
    """

    id: str
    order: int
    html: str
    pictures: tuple[Picture, ...]
    mood: Mood
    status: Status | None = None
    buttons: Rows = ()

    def to_json(self) -> JsonObject:
        """As the page reads it."""
        return {
            "id": self.id,
            "html": self.html,
            "pictures": [picture.to_json() for picture in self.pictures],
            "mood": self.mood.value,
            "status": self.status.text if self.status else None,
            "progress": self.status.progress if self.status else None,
            "paused": self.status.paused if self.status else False,
            "buttons": rows_to_json(self.buttons),
        }


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
        return all(message.mood is not Mood.WORKING for message in self.messages)

    def to_json(self) -> JsonObject:
        """As the page reads it."""
        return {"reply": self.id, "messages": [message.to_json() for message in self.messages]}


class Watch:
    """One open page of a room. A page that reads slowly misses states, never the newest one."""

    def __init__(self, replies: tuple[LiveReply, ...]) -> None:
        self._pending = {reply.id: reply for reply in replies}
        self._changed = asyncio.Event()
        self.closed = False

    def offer(self, reply: LiveReply) -> None:
        """Replace what is pending for this reply."""
        self._pending[reply.id] = reply
        self._changed.set()

    def close(self) -> None:
        """End the stream of this page."""
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
        self._replies: dict[str, dict[str, LiveReply]] = {}
        self._finished: dict[tuple[str, str], None] = {}
        self._watches: dict[str, set[Watch]] = {}

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
        messages = sorted((*others, message), key=lambda m: m.order)
        self._publish(room, LiveReply(reply_id, self._version, tuple(messages)))

    def remove(self, room: str, reply_id: str, message_id: str) -> None:
        """Take a message out of a reply."""
        left = tuple(m for m in self._messages(room, reply_id) if m.id != message_id)
        self._publish(room, LiveReply(reply_id, self._version, left))

    def place(self, room: str, reply_id: str, message_id: str) -> int:
        """The order of a message: the one it has, or the next free one of its reply."""
        places = {m.id: m.order for m in self._messages(room, reply_id)}
        return places.get(message_id, 1 + max(places.values(), default=-1))

    @contextmanager
    def watch(self, room: str, seen: int = 0) -> Iterator[Watch]:
        """Watch a room, beginning with all states newer than version `seen`."""
        replies = self._replies.get(room, {}).values()
        watch = Watch(tuple(reply for reply in replies if reply.version > seen))
        self._watches.setdefault(room, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[room].discard(watch)
            if not self._watches[room]:
                del self._watches[room]

    def forget_finished(self) -> None:
        """Forget all finished replies: the archive alone says what there still is of them."""
        for room, reply_id in list(self._finished):
            self._forget(room, reply_id)

    def close(self) -> None:
        """End every stream."""
        for watches in self._watches.values():
            for watch in watches:
                watch.close()

    def _messages(self, room: str, reply_id: str) -> tuple[LiveMessage, ...]:
        reply = self._replies.get(room, {}).get(reply_id)
        return reply.messages if reply is not None else ()

    def _publish(self, room: str, reply: LiveReply) -> None:
        self._version += 1
        reply = replace(reply, version=self._version)
        self._replies.setdefault(room, {})[reply.id] = reply
        self._finished.pop((room, reply.id), None)
        if reply.finished:
            self._finished[room, reply.id] = None
        for watch in self._watches.get(room, ()):
            watch.offer(reply)
        while len(self._finished) > FINISHED_KEPT:
            self._forget(*next(iter(self._finished)))

    def _forget(self, room: str, reply_id: str) -> None:
        del self._finished[room, reply_id]
        del self._replies[room][reply_id]
        if not self._replies[room]:
            del self._replies[room]


HEARTBEAT = 15.0
"""Seconds of silence after which a stream shows that it lives; proxies cut at 30 to 60."""
STALLED = 30.0
"""Seconds after which a page that does not read loses its stream; it will connect again."""
MAX_STREAMS = 512

log = structlog.get_logger(__name__)


class Events:
    """The handler of event streams.

    Args:
        rooms: what is being said.
        languages: for what is said to visitors.
    """

    def __init__(self, rooms: LiveRooms, languages: Languages) -> None:
        self._rooms = rooms
        self._languages = languages

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [web.get(f"{ROOM}/events", self._stream)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self._rooms.watching >= MAX_STREAMS:
            words = self._languages.words(request)
            return web.json_response({"error": words("web-many-pages")}, status=503)
        stream = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        seen = self._rooms.version_of(request.headers.get("Last-Event-ID", ""))
        with self._rooms.watch(request.match_info["room"], seen) as watch:
            await stream.prepare(request)
            try:
                await self._write(stream, "retry: 1000\n\n")
                await self._write_changes(stream, watch.take())
                # From here on nothing is missed: now the page reads the transcript.
                await self._write(stream, "event: ready\ndata: {}\n\n")
                while not watch.closed:
                    try:
                        async with asyncio.timeout(HEARTBEAT):
                            await watch.wait()
                    except TimeoutError:
                        await self._write(stream, ": still here\n\n")
                    await self._write_changes(stream, watch.take())
            except (ConnectionError, TimeoutError):
                log.debug("page gone")
        return stream

    async def _write_changes(self, stream: web.StreamResponse, replies: list[LiveReply]) -> None:
        for reply in replies:
            data = json.dumps(reply.to_json(), separators=(",", ":"))
            event_id = self._rooms.event_id(reply)
            await self._write(stream, f"id: {event_id}\nevent: reply\ndata: {data}\n\n")

    @staticmethod
    async def _write(stream: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(STALLED):
            await stream.write(text.encode())
