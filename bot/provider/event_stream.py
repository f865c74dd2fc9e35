"""An open event stream of a Gradio server: its events, and how long one waits for them."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self

import aiohttp

from bot.errors import GenerationTimeout, ProviderError, StreamLost
from bot.provider.faults import foreign, translate
from bot.provider.gradio_events import Event, EventParser
from bot.provider.wire import Wire

MAX_STREAM = 64 * 1024 * 1024
"""Bytes of one event stream."""
_DRAIN = 0.5
"""Seconds in which the end of a finished stream has to come for its connection to be kept."""


class EventStream:
    """Reads events; a context manager that hangs up, or gives the connection back, at its end.

    One timer watches over the whole stream. A time limit around each read would cost more than
    reading does, and one around many would not survive a generator that yields in between.

    Args:
        response: with status 200; nothing of its body is read yet.
        wire: that it came by.
        event_id: whose events are read; others on the same stream are left out. `""` for all.
    """

    def __init__(self, response: aiohttp.ClientResponse, wire: Wire, event_id: str = "") -> None:
        self._response = response
        self._wire = wire
        self._parser = EventParser(event_id)
        self._read = 0
        self._over: ProviderError | None = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._deadline = math.inf
        self._timer = self._loop.call_at(self._heard + wire.patience.silence, self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._wire.finish(self._response)

    def limit(self, seconds: float) -> None:
        """Allow so many seconds from now on, in all; only the first call counts."""
        if self._deadline == math.inf:
            self._end_at(self._loop.time() + seconds)

    async def read(self) -> list[Event]:
        """The events that come next, at least one; none if the connection has ended.

        Raises:
            GenerationTimeout: the limit is reached.
            StreamLost: silence, a broken connection, or something that is no event stream.
        """
        while True:
            try:
                chunk = await self._response.content.readany()
            except foreign() as error:
                lost = self._over or translate(error, self._wire.host, streaming=True)
                raise lost from error
            if not chunk:
                return []
            self._heard = self._loop.time()
            self._read += len(chunk)
            if self._read > MAX_STREAM:
                raise StreamLost("The Space sent more than an answer needs.")
            if events := self._parser.feed(chunk):
                return events

    async def drain(self) -> None:
        """Read the end of a finished stream, so that its connection can be used again."""
        content = self._response.content
        if content.at_eof():
            return
        self._end_at(self._loop.time() + _DRAIN)
        try:
            for _ in range(8):
                if not await content.readany():
                    return
        except foreign():
            return  # the answer is complete; only the connection is lost

    def _end_at(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        """Hang up if it has taken too long; otherwise look again when it may have."""
        now = self._loop.time()
        patience = self._wire.patience
        if self._response.content.total_bytes > self._read:
            self._heard = now  # it is we who have not read for a while
        if now >= self._deadline:
            self._over = GenerationTimeout(f"The Space took longer than {patience.generation:g} s.")
        elif now >= self._heard + patience.silence:
            self._over = StreamLost("The Space fell silent in the middle of the request.")
        else:
            again = min(self._deadline, self._heard + patience.silence)
            self._timer = self._loop.call_at(again, self._look)
            return
        self._response.close()
