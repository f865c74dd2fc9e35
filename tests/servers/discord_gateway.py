"""The gateway of the local Discord: HELLO, IDENTIFY, RESUME with replay, closes on demand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.servers.discord_world import Json, snowflake

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
MESSAGE_CONTENT = 1 << 15
PAUSE = 4.0
"""Seconds between two starts of one bucket: 5 on Discord; a busy machine is given one."""


@dataclass
class Session:
    """One gateway session, which outlives its connections.

    Attributes:
        shard: its number, and how many there are.
        sent: every event with its number, for replay.
    """

    intents: int
    shard: tuple[int, int] = (0, 1)
    id: str = field(default_factory=snowflake)
    sent: list[Json] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None
    transport: asyncio.WriteTransport | None = None


class Gateway:
    """Accepts clients and sends them events.

    Attributes:
        at_once: buckets of shards that start sessions independently of each other, each one in
            `PAUSE` seconds; 0: as they like.
        too_soon: number of IDENTIFYs that were sent back to wait.
        close_next: close codes for coming IDENTIFYs, e.g. 4014.
        identified: intents of each IDENTIFY that was accepted.
        shards: the shard of each.
        resumed: number of sessions resumed.
        heartbeats: number received.
        parted: close codes that clients sent.
    """

    def __init__(
        self,
        token: str,
        welcome: Callable[[Session], list[tuple[str, Json]]],
        touch: Callable[[], None],
    ) -> None:
        self._token = token
        self._welcome = welcome
        self._touch = touch
        self._sessions: dict[str, Session] = {}
        self.privileged = 0
        self.at_once = 0
        self.too_soon = 0
        self._started: dict[int, float] = {}
        self.close_next: list[int] = []
        self.identified: list[int] = []
        self.shards: list[tuple[int, int]] = []
        self.resumed = 0
        self.heartbeats = 0
        self.parted: list[int | None] = []

    @property
    def live(self) -> list[Session]:
        """Sessions with an open connection."""
        return [one for one in self._sessions.values() if _is_open(one)]

    async def dispatch(
        self, event: str, data: Json, seen: Callable[[Session], Json] | None = None
    ) -> None:
        """Send an event to its shard's sessions, now or when they resume; `seen` adapts it."""
        for session in self._sessions.values():
            if not is_for(session, data.get("guild_id")):
                continue
            await self._send(session, event, seen(session) if seen is not None else data)

    async def drop(self, shard: int | None = None) -> None:
        """Cut all connections, or those of one shard, without a goodbye."""
        for session in self.live:
            if shard is not None and session.shard[0] != shard:
                continue
            assert session.transport is not None
            session.transport.abort()
            session.socket = session.transport = None

    def forget(self) -> None:
        """End the sessions that have no connection: nobody can resume them."""
        self._sessions = {one.id: one for one in self.live}

    async def close(self, code: int) -> None:
        """Close all connections with a code."""
        for session in self.live:
            assert session.socket is not None
            await session.socket.close(code=code)

    async def ask_to_reconnect(self) -> None:
        """Opcode 7."""
        for session in self.live:
            assert session.socket is not None
            await session.socket.send_json({"op": RECONNECT, "d": None})

    async def invalidate(self) -> None:
        """Opcode 9, not resumable."""
        for session in self.live:
            del self._sessions[session.id]
            assert session.socket is not None
            await session.socket.send_json({"op": INVALID, "d": False})

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 41250}})
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                await self._received(request, socket, json.loads(message.data))
                self._touch()
            self.parted.append(socket.close_code)
        finally:  # a client that was killed says no goodbye: then this task is cancelled
            for session in self._sessions.values():
                if session.socket is socket:
                    session.socket = session.transport = None
            self._touch()
        return socket

    async def _received(
        self, request: web.Request, socket: web.WebSocketResponse, message: Json
    ) -> None:
        data = message["d"]
        match message["op"]:
            case 1:
                self.heartbeats += 1
                await socket.send_json({"op": ACK, "d": None})
            case 2:
                await self._identify(request, socket, data)
            case 6:
                await self._resume(request, socket, data)

    async def _identify(
        self, request: web.Request, socket: web.WebSocketResponse, data: Json
    ) -> None:
        if data["token"] != self._token:
            await socket.close(code=4004)
        elif self.close_next:
            await socket.close(code=self.close_next.pop(0))
        elif data["intents"] & MESSAGE_CONTENT & ~self.privileged:
            await socket.close(code=4014)
        elif self._is_too_soon((data.get("shard") or (0, 1))[0]):
            await socket.send_json({"op": INVALID, "d": False})
        else:
            self.identified.append(data["intents"])
            number, count = data.get("shard") or (0, 1)
            self.shards.append((number, count))
            session = Session(
                data["intents"], (number, count), socket=socket, transport=request.transport
            )
            self._sessions[session.id] = session
            for event, payload in self._welcome(session):
                if event == "READY":
                    payload |= {"resume_gateway_url": f"ws://{request.host}/gateway"}
                await self._send(session, event, payload)

    def _is_too_soon(self, shard: int) -> bool:
        """Whether another shard of the same bucket has just started; if not, this one does."""
        if not self.at_once:
            return False
        bucket, now = shard % self.at_once, time.monotonic()
        soon = now < self._started.get(bucket, float("-inf")) + PAUSE
        self.too_soon += soon
        if not soon:
            self._started[bucket] = now
        return soon

    async def _resume(
        self, request: web.Request, socket: web.WebSocketResponse, data: Json
    ) -> None:
        session = self._sessions.get(data["session_id"])
        if data["token"] != self._token:
            await socket.close(code=4004)
        elif session is None:
            await socket.send_json({"op": INVALID, "d": False})
        else:
            session.socket, session.transport = socket, request.transport
            for event in [one for one in session.sent if one["s"] > (data["seq"] or 0)]:
                await socket.send_json(event)
            self.resumed += 1
            await self._send(session, "RESUMED", {})

    async def _send(self, session: Session, event: str, data: Json) -> None:
        message = {"op": DISPATCH, "t": event, "s": len(session.sent) + 1, "d": data}
        session.sent.append(message)
        if session.socket is not None and _is_open(session):
            # A client can be gone without anybody having noticed.
            with suppress(ConnectionError):
                await session.socket.send_json(message)
        self._touch()


def is_for(session: Session, guild_id: str | None) -> bool:
    """Whether events of a server, or of direct messages without one, go to a session."""
    number, count = session.shard
    return number == (0 if guild_id is None else (int(guild_id) >> 22) % count)


def _is_open(session: Session) -> bool:
    return session.socket is not None and not session.socket.closed
