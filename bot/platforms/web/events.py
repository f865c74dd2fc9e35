"""The stream of events that an open page listens to: each is the newest state of one reply."""

from __future__ import annotations

import asyncio
import json

import structlog
from aiohttp import web

from bot.platforms.web.parsing import ROOM, Languages
from bot.platforms.web.surface import LiveReply, LiveRooms

HEARTBEAT_SECONDS = 15.0
"""Silence after which a stream shows that it lives; proxies cut at 30 to 60."""
STALLED_TIMEOUT_SECONDS = 30.0
"""A page that does not read for so long loses its stream; it will connect again."""
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
                        async with asyncio.timeout(HEARTBEAT_SECONDS):
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
        async with asyncio.timeout(STALLED_TIMEOUT_SECONDS):
            await stream.write(text.encode())
