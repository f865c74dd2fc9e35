"""Calls to the functions of one Gradio server: join its queue, follow the events, give up cleanly.

One `session_hash` per call: on a shared one, a broken stream would take all other calls with it.
Every error of the network leaves as a `ProviderError`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

import aiohttp
from yarl import URL

from bot.errors import (
    BadInput,
    GenerationCancelled,
    GenerationTimeout,
    ProviderError,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider.errors import (
    function_error,
    image_too_large,
    network_error,
    network_exceptions,
    redirected,
    was_closed,
)
from bot.provider.gradio.config import Function, SpaceConfig, read_config
from bot.provider.gradio.events import (
    Cancelled,
    Completed,
    Estimation,
    Event,
    EventParser,
    Failed,
    Generating,
    Heartbeat,
    Log,
    ProcessStarts,
    Progress,
    StreamClosed,
    UnexpectedError,
)
from bot.provider.http import REDIRECTS, Answer, HttpClient, JsonBody

CONFIG_SECONDS = 600.0
"""Until `/config` is read again, lest a redeployed Space runs another function."""
MAX_CONFIG_BYTES = 8 * 1024 * 1024
"""The original app's has 31 kB."""
MAX_STREAM_BYTES = 64 * 1024 * 1024
_MAX_REDIRECTS = 3
_DRAIN_SECONDS = 0.5
"""In which the end of a finished stream has to come for its connection to be kept."""
_WITHDRAW_PAUSE_SECONDS = 0.1
"""Between two tries to learn the id of a request that was cancelled on its way."""
_JOIN_HEADERS = {"x-gradio-user": "api"}
"""For any other user the `spaces` package puts HTML and advice for a browser into its errors."""

CallEvent: TypeAlias = Estimation | ProcessStarts | Progress | Log | Generating | Completed
"""What `GradioClient.call` yields: everything else either means nothing or is an exception."""
_OUTCOMES = (Completed, Failed, Cancelled)
"""What becomes of an event; the server ends the stream after it."""
_LAST = (*_OUTCOMES, StreamClosed, UnexpectedError)
"""Nothing of interest follows these; an `UnexpectedError` may even be repeated for ever."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ConfigCache:
    """What is known of one server, shared by all its clients.

    Attributes:
        known: see `read_config`.
        config: what was read last; `None` before that.
        prefix: in front of every path but `/config`, as the configuration says.
        good_until: when to read it again, in seconds of `time.monotonic`.
        base: root of the server, where that is not the one that was given but was found from it.
    """

    known: Mapping[str, Function]
    config: SpaceConfig | None = None
    prefix: str = ""
    good_until: float = 0.0
    base: str = ""
    _reading: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def reading(self) -> asyncio.Lock:
        """To be held while it is read; of the running loop, as there may be one after another."""
        loop = asyncio.get_running_loop()
        if self._reading is None or self._reading[0] is not loop:
            self._reading = loop, asyncio.Lock()
        return self._reading[1]

    def forget(self) -> None:
        """Make the next call read it again."""
        self.good_until = 0.0


@dataclass(frozen=True, slots=True)
class GradioClient:
    """Calls functions of one Gradio server.

    Attributes:
        http: to the server.
        cache: what earlier calls learnt of it.
    """

    http: HttpClient
    cache: ConfigCache

    async def config(self) -> SpaceConfig:
        """What the server says about itself; read once and then kept for `CONFIG_SECONDS`.

        Raises:
            SpaceUnreachable: no answer, or not one of Gradio.
            ProviderError: the server refuses to say.
        """
        cache = self.cache
        if cache.config is not None and time.monotonic() < cache.good_until:
            return cache.config
        async with cache.reading():
            if cache.config is not None and time.monotonic() < cache.good_until:
                return cache.config
            # Not under the prefix: this is where one learns of it.
            answer = await self._ask_config()
            config = read_config(answer.json(), cache.known)
            if config is None:
                raise self._not_gradio()
            cache.config, cache.prefix = config, config.prefix
            cache.good_until = time.monotonic() + CONFIG_SECONDS
            return config

    async def _ask_config(self) -> Answer:
        """The answer of `/config`, over redirects within one site; then that is the server.

        Raises:
            SpaceUnreachable: it leads elsewhere, or in circles.
        """
        for _ in range(1 + _MAX_REDIRECTS):
            answer = await self.http.fetch("GET", "/config", max_bytes=MAX_CONFIG_BYTES)
            if answer.status not in REDIRECTS:
                return answer
            location = answer.headers.get("Location", "")
            base = self.http.redirected_base("/config", location)
            if not base:
                raise redirected(self.http.host, location)
            _log.info("%s is found at %s", self.http.host, URL(base).with_user(None))
            self.http.move(base)
            self.cache.base = base
        raise SpaceUnreachable(f"{self.http.host} sends the bot in circles.")

    async def join(
        self,
        function: Function,
        data: Sequence[Any],
        session_hash: str,
        headers: Mapping[str, str],
        limits: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        """Send the request that puts a call into the queue; the caller ends the response.

        Args:
            function: from the configuration.
            data: a JSON value per input.
            session_hash: letters and digits that no other call uses.
            headers: for this request only, which is where ZeroGPU looks for its tokens.
            limits: in time; `Timeouts.answer` if not given.

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
            self.http.request,
            "POST",
            f"{self.cache.prefix}/queue/join",
            headers={**_JOIN_HEADERS, **headers},
            limits=limits,
            data=JsonBody(body),
        )
        try:
            return await send()
        except SpaceUnreachable as error:
            # A pooled connection that the server had closed meanwhile: nobody read the request.
            # One that ends in order after it was sent may end because it was read.
            if not was_closed(error):
                raise
            return await send()

    async def open_stream(self, session_hash: str) -> aiohttp.ClientResponse:
        """Ask for the events of a session that has joined, and return when the stream begins.

        There is no limit on its time but on connecting, as aiohttp would count all of the stream.

        Args:
            session_hash: as it is written in an address.

        Raises:
            ProviderError: there is no answer.
        """
        return await self.http.request(
            "GET",
            f"{self.cache.prefix}/queue/data?session_hash={session_hash}",
            headers={"Accept": "text/event-stream"},
            limits=self.http.endless,
        )

    async def call(
        self,
        function: Function,
        data: Sequence[Any],
        session_hash: str,
        headers: Mapping[str, str],
    ) -> AsyncGenerator[CallEvent, None]:
        """Run a function and yield what becomes of it; the last event is `Completed`.

        The arguments are those of `join`.

        Raises:
            ProviderError: it did not come to an answer.

        Cancelling: hangs up, which frees a place in the queue, and tells the Space, which frees a
            running one; gives up after `Timeouts.cancel`. So does closing the generator. A running
            function that does not stream goes on in its thread, to nobody.
        """
        event_id, stream = await self._enter(function, data, session_hash, headers)
        last: Event | None = None
        try:
            while last is None and (events := await stream.read()):
                for event in events:
                    if isinstance(event, _LAST):
                        last = event
                        break
                    if not isinstance(event, Heartbeat):
                        yield event
            if isinstance(last, Completed):
                yield last
        finally:
            await stream.close(drain=isinstance(last, _OUTCOMES))
            if last is None:
                await self._cancel(function, session_hash, event_id)
        if not isinstance(last, Completed):
            raise _error_for(last)

    async def _enter(
        self,
        function: Function,
        data: Sequence[Any],
        session_hash: str,
        headers: Mapping[str, str],
    ) -> tuple[str, EventStream]:
        """Join the queue and open its stream, in one time limit; the event's id, and the stream.

        Cancelling: withdraws the request, which the Space may have taken before it answered. So
            does the time limit.
        """
        http, event_id = self.http, ""
        try:
            async with asyncio.timeout(http.timeouts.answer):
                response = await self.join(function, data, session_hash, headers, http.endless)
                joined = await http.read(response)
                event_id = self._event_id(joined, data)
                stream = await self.open_stream(session_hash)
                if stream.status != HTTPStatus.OK:
                    raise (await http.read(stream)).error()
                return event_id, EventStream(stream, http, event_id)
        except (ProviderError, TimeoutError, asyncio.CancelledError) as error:
            if event_id:
                await self._cancel(function, session_hash, event_id)
            elif not isinstance(error, ProviderError):
                await self._withdraw(function, session_hash)
            if isinstance(error, TimeoutError):
                raise network_error(error, http.host) from error
            raise

    def _event_id(self, joined: Answer, data: Sequence[Any]) -> str:
        if joined.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            if any(isinstance(value, dict) and "meta" in value for value in data):
                raise image_too_large(0, None)
            raise BadInput(f"{self.http.host} takes no requests as large as this one.")
        match joined.json():
            case {"event_id": str(event_id)}:
                return event_id
            case _:
                raise self._not_gradio()

    async def _withdraw(self, function: Function, session_hash: str) -> None:
        """Cancel a request whose id is not known; gives up after `Timeouts.cancel`. Never fails.

        The stream of its session tells the id, also to those who come late. Before the request has
        arrived, if it does at all, the session is not known.
        """
        try:
            async with asyncio.timeout(self.http.timeouts.cancel):
                while True:
                    stream = EventStream(await self.open_stream(session_hash), self.http)
                    try:
                        events = await stream.read()
                    finally:
                        await stream.close()
                    for event in events:
                        if event_id := getattr(event, "event_id", ""):
                            await self._cancel(function, session_hash, event_id)
                            return
                    await asyncio.sleep(_WITHDRAW_PAUSE_SECONDS)
        except (TimeoutError, ProviderError) as error:
            _log.debug("%s not told of a cancellation: %r", self.http.host, error)

    async def _cancel(self, function: Function, session_hash: str, event_id: str) -> None:
        """Tell the Space that nobody waits for an event any more. Never fails."""
        body = {
            "session_hash": session_hash,
            "fn_index": function.fn_index,
            "event_id": event_id,
        }
        limits = aiohttp.ClientTimeout(total=self.http.timeouts.cancel)
        try:
            await self.http.fetch("POST", f"{self.cache.prefix}/cancel", json=body, limits=limits)
        except ProviderError as error:
            _log.debug("%s not told of a cancellation: %s", self.http.host, error)

    def _not_gradio(self) -> SpaceUnreachable:
        return SpaceUnreachable(f"{self.http.host} answers, but it is not a Gradio server.")


def _error_for(last: Event | None) -> ProviderError:
    """The error for the event with which a stream ended in place of an answer.

    Args:
        last: `None` if the stream broke off.
    """
    match last:
        case Failed(text=text, title=title):
            return function_error(text, title)
        case Cancelled():
            return GenerationCancelled("The Space says that the request was cancelled.")
        case UnexpectedError(session_not_found=True):
            return StreamLost("The Space has forgotten the request; it was probably restarted.")
        case UnexpectedError(message=message):
            return StreamLost(f"The Space broke off: {message}")
        case _:
            return StreamLost("The Space ended the stream before the answer was complete.")


class EventStream:
    """An open event stream; `close` it in any case.

    One timer watches over the whole stream. A time limit around each read would cost more than
    reading does, and one around many would not survive a generator that yields in between.

    Args:
        response: with status 200; nothing of its body is read yet.
        http: that it came by.
        event_id: whose events are read; others on the same stream are left out. `""` for all.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, http: HttpClient, event_id: str = ""
    ) -> None:
        self._response = response
        self._http = http
        self._parser = EventParser(event_id)
        self._read = 0
        self._over: ProviderError | None = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._deadline = math.inf
        self._left = http.timeouts.generation
        self._timer = self._loop.call_at(self._heard + http.timeouts.silence, self._look)

    async def read(self) -> list[Event]:
        """The events that come next, at least one; none if the connection has ended.

        Raises:
            GenerationTimeout: the function has run for longer than `Timeouts.generation`.
            StreamLost: silence, a broken connection, or something that is no event stream.
        """
        while True:
            try:
                chunk = await self._response.content.readany()
            except network_exceptions() as error:
                lost = self._over or network_error(error, self._http.host, streaming=True)
                raise lost from error
            if not chunk:
                return []
            self._heard = self._loop.time()
            self._read += len(chunk)
            if self._read > MAX_STREAM_BYTES:
                raise StreamLost("The Space sent more than an answer needs.")
            events = self._parser.feed(chunk)
            for event in events:
                self._clock(event)
            if events:
                return events

    def _clock(self, event: Event) -> None:
        """Let the time of the function run while it works, and stand while it only waits."""
        runs = self._deadline < math.inf
        if isinstance(event, Progress) and event.waits:
            if runs:
                self._left = self._deadline - self._heard
                self._deadline = math.inf
        elif isinstance(event, ProcessStarts | Progress | Generating) and not runs:
            self._deadline = self._heard + self._left
            if self._deadline < self._timer.when():
                self._timer.cancel()
                self._timer = self._loop.call_at(self._deadline, self._look)

    async def close(self, *, drain: bool = False) -> None:
        """Hang up.

        Args:
            drain: the stream is finished, so read its end before: then its connection can be used
                again.
        """
        self._timer.cancel()
        content = self._response.content
        try:
            if drain and not content.at_eof():
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while await content.readany():
                        pass
        except network_exceptions():
            pass  # the answer is complete; only the connection is lost
        finally:
            if drain:
                self._response.release()  # or closed, if the end did not come
            else:
                self._response.close()

    def _look(self) -> None:
        """Hang up if it has taken too long; otherwise look again when it may have."""
        now = self._loop.time()
        timeouts = self._http.timeouts
        if self._response.content.total_bytes > self._read:
            self._heard = now  # it is we who have not read for a while
        if now >= self._deadline:
            self._over = GenerationTimeout(f"The Space took longer than {timeouts.generation:g} s.")
        elif now >= self._heard + timeouts.silence:
            self._over = StreamLost("The Space fell silent in the middle of the request.")
        else:
            again = min(self._deadline, self._heard + timeouts.silence)
            self._timer = self._loop.call_at(again, self._look)
            return
        self._response.close()
