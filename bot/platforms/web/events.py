"""The stream of events that an open page listens to: each is the newest state of one reply."""

from __future__ import annotations

import asyncio
import json

import structlog
from aiohttp import web

from bot.i18n import Words
from bot.platforms.web.surface import LiveReply, LiveRooms

HEARTBEAT_SECONDS = 15.0
"""Silence after which a stream shows that it lives; proxies cut at 30 to 60."""
STALLED_TIMEOUT_SECONDS = 30.0
"""A page that does not read for so long loses its stream; it will connect again."""
MAX_STREAMS = 512

log = structlog.get_logger(__name__)


async def stream_events(
    request: web.Request, room: str, rooms: LiveRooms, words: Words
) -> web.StreamResponse:
    """Answer with the stream of a room, until the page goes away or the rooms are closed.

    A page that comes back says in `Last-Event-ID` what it has seen, and is told what is newer.

    Cancelling: ends the stream.
    """
    if rooms.watching >= MAX_STREAMS:
        return web.json_response({"error": words("web-many-pages")}, status=503)
    stream = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    seen = rooms.version_of(request.headers.get("Last-Event-ID", ""))
    with rooms.watch(room, seen) as watch:
        await stream.prepare(request)
        try:
            await _write(stream, "retry: 1000\n\n")
            await _write_changes(stream, rooms, watch.take())
            # From here on nothing is missed: now the page reads the transcript.
            await _write(stream, "event: ready\ndata: {}\n\n")
            while not watch.closed:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await watch.wait()
                except TimeoutError:
                    await _write(stream, ": still here\n\n")
                await _write_changes(stream, rooms, watch.take())
        except (ConnectionError, TimeoutError):
            log.debug("page gone")
    return stream


async def _write_changes(
    stream: web.StreamResponse, rooms: LiveRooms, replies: list[LiveReply]
) -> None:
    for reply in replies:
        data = json.dumps(reply.to_json(), separators=(",", ":"))
        await _write(stream, f"id: {rooms.event_id(reply)}\nevent: reply\ndata: {data}\n\n")


async def _write(stream: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(STALLED_TIMEOUT_SECONDS):
        await stream.write(text.encode())
