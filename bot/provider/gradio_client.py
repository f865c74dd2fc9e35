"""A client of one Gradio server, version 4.44 to 6, as far as a queue of long calls needs it.

One `session_hash` per call: on a shared one, a broken stream would take all other calls with it.
Every error of the network leaves as a `ProviderError`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

import aiohttp

from bot.errors import ProviderError, SpaceUnreachable
from bot.provider.event_stream import EventStream
from bot.provider.failures import ending
from bot.provider.faults import translate
from bot.provider.gradio_config import Function, SpaceConfig
from bot.provider.gradio_events import (
    Cancelled,
    Completed,
    Estimation,
    Event,
    Failed,
    Generating,
    Heartbeat,
    Log,
    ProcessStarts,
    Progress,
    StreamClosed,
    UnexpectedError,
)
from bot.provider.gradio_server import MAX_ANSWER, GradioServer
from bot.provider.request_body import JsonBody

_WITHDRAW_AGAIN = 0.1
"""Seconds between two tries to learn the id of a request that was cancelled on its way."""
_RESET = {errno.ECONNRESET, errno.EPIPE, None}
"""Aiohttp's own `ClientConnectionResetError` has no number."""

# The `spaces` package puts hints for programs into its error texts for this user.
_JOIN_HEADERS = {"x-gradio-user": "api"}

CallEvent: TypeAlias = Estimation | ProcessStarts | Progress | Log | Generating | Completed
"""What `GradioClient.call` yields: everything else either means nothing or is an exception."""

_log = logging.getLogger(__name__)


class GradioClient:
    """Calls functions of one Gradio server.

    Args:
        server: which.
        config: what it says about itself.
        join_headers: sent only when joining the queue, which is where ZeroGPU looks for its token.
    """

    def __init__(
        self,
        server: GradioServer,
        config: SpaceConfig,
        join_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._server = server
        self._queue = f"{config.prefix}/queue"
        self._cancelling = f"{config.prefix}/cancel"
        self._wire = server.wire
        self._patience = server.wire.patience
        self._join_headers = {**_JOIN_HEADERS, **(join_headers or {})}

    async def start_join(
        self,
        function: Function,
        data: Sequence[Any],
        session_hash: str,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        """Send the request that puts a call into the queue; the caller closes the response.

        Args:
            function: from the configuration.
            data: a JSON value per input.
            session_hash: letters and digits that no other call uses.
            limits: in time; `Patience.answer` if not given.

        Raises:
            ProviderError: there is no answer.
        """
        body: dict[str, Any] = {
            "data": list(data),
            "event_data": None,
            "fn_index": function.fn_index,
            "session_hash": session_hash,
        }
        if function.trigger_id is not None:
            body["trigger_id"] = function.trigger_id
        send = partial(
            self._wire.start,
            "POST",
            f"{self._queue}/join",
            timeout=limits,
            headers=self._join_headers,
            data=JsonBody(body),
        )
        try:
            return await send()
        except SpaceUnreachable as error:
            # A pooled connection that the server had closed meanwhile: nobody read the request.
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _RESET:
                raise
            return await send()

    async def start_stream(self, session_hash: str) -> aiohttp.ClientResponse:
        """Open the event stream of a session that has joined; the caller closes the response.

        Args:
            session_hash: as it is written in an address.

        Raises:
            ProviderError: there is no answer within `Patience.answer`.
        """
        try:
            async with asyncio.timeout(self._patience.answer):
                return await self._listen(session_hash)
        except TimeoutError as error:
            raise translate(error, self._wire.host) from error

    async def call(
        self, function: Function, data: Sequence[Any], session_hash: str
    ) -> AsyncGenerator[CallEvent, None]:
        """Run a function and yield what becomes of it; the last event is `Completed`.

        Args:
            function: from the configuration.
            data: a JSON value per input.
            session_hash: letters and digits that no other call uses.

        Raises:
            ProviderError: it did not come to an answer.

        Cancelling: hangs up, which frees a place in the queue, and tells the Space, which frees a
            running one; gives up after `Patience.cancel`. So does closing the generator. A running
            function that does not stream goes on in its thread, to nobody.
        """
        event_id, response = await self._enter(function, data, session_hash)
        last: Event | None = None
        try:
            with EventStream(response, self._wire, event_id) as stream:
                while last is None and (events := await stream.read()):
                    for event in events:
                        if isinstance(event, _LAST):
                            last = event
                            break
                        if isinstance(event, ProcessStarts):
                            stream.limit(self._patience.generation)
                        if not isinstance(event, Heartbeat):
                            yield event
                if isinstance(last, Completed):
                    yield last
                if isinstance(last, _OUTCOMES):
                    await stream.drain()
            if failed := ending(last):
                raise failed
        finally:
            if last is None:
                await self._cancel(function, session_hash, event_id)

    async def _enter(
        self, function: Function, data: Sequence[Any], session_hash: str
    ) -> tuple[str, aiohttp.ClientResponse]:
        """Join the queue and open its stream, in one time limit; the event's id, and the stream.

        Cancelling: withdraws the request, which the Space may have taken before it answered. So
            does the time limit.
        """
        event_id = ""
        try:
            async with asyncio.timeout(self._patience.answer):
                event_id = await self._join(function, data, session_hash)
                response = await self._listen(session_hash)
                if response.status != HTTPStatus.OK:
                    self._server.expect_ok(await self._wire.read(response, limit=MAX_ANSWER))
                return event_id, response
        except (ProviderError, TimeoutError, asyncio.CancelledError) as error:
            if event_id:
                await self._cancel(function, session_hash, event_id)
            elif not isinstance(error, ProviderError):
                await self._withdraw(function, session_hash)
            if isinstance(error, TimeoutError):
                raise translate(error, self._wire.host) from error
            raise

    async def _listen(self, session_hash: str) -> aiohttp.ClientResponse:
        return await self._wire.listen(f"{self._queue}/data?session_hash={session_hash}")

    async def _withdraw(self, function: Function, session_hash: str) -> None:
        """Cancel a request whose id is not known; gives up after `Patience.cancel`. Never fails.

        The stream of its session tells the id, also to those who come late. Before the request has
        arrived, if it does at all, the session is not known.
        """
        try:
            async with asyncio.timeout(self._patience.cancel):
                while True:
                    response = await self._listen(session_hash)
                    with EventStream(response, self._wire) as stream:
                        for event in await stream.read():
                            if event_id := getattr(event, "event_id", ""):
                                await self._cancel(function, session_hash, event_id)
                                return
                    await asyncio.sleep(_WITHDRAW_AGAIN)
        except (TimeoutError, ProviderError) as error:
            _log.debug("%s not told of a cancellation: %r", self._wire.host, error)

    async def _join(self, function: Function, data: Sequence[Any], session_hash: str) -> str:
        endless = self._patience.within(None)
        response = await self.start_join(function, data, session_hash, endless)
        answer = await self._wire.read(response, limit=MAX_ANSWER)
        self._server.expect_ok(answer)
        match answer.json():
            case {"event_id": str(event_id)}:
                return event_id
            case _:
                raise self._server.not_gradio()

    async def _cancel(self, function: Function, session_hash: str, event_id: str) -> None:
        """Tell the Space that nobody waits for an event any more. Never fails."""
        body = {
            "session_hash": session_hash,
            "fn_index": function.fn_index,
            "event_id": event_id,
        }
        limits = aiohttp.ClientTimeout(total=self._patience.cancel)
        try:
            await self._wire.fetch(
                "POST", self._cancelling, limit=MAX_ANSWER, json=body, timeout=limits
            )
        except ProviderError as error:
            _log.debug("%s not told of a cancellation: %s", self._wire.host, error)


_OUTCOMES = (Completed, Failed, Cancelled)
"""What becomes of an event; the server ends the stream after it."""
_LAST = (*_OUTCOMES, StreamClosed, UnexpectedError)
"""Nothing of interest follows these; an `UnexpectedError` may even be repeated for ever."""
