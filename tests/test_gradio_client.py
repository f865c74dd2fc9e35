"""The Gradio client against a server that fails in every way that real ones do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp
import aiohttp_socks
import pytest
import uvicorn
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from bot.errors import (
    BadInput,
    GenerationCancelled,
    GenerationFailed,
    GenerationTimeout,
    GpuAborted,
    ProviderError,
    QueueFull,
    SpaceBroken,
    SpaceNotFound,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider import http
from bot.provider.errors import network_error, network_exceptions
from bot.provider.gradio.client import CallEvent, ConfigCache, GradioClient
from bot.provider.gradio.config import read_config
from bot.provider.gradio.events import Completed, Generating
from bot.provider.http import HttpClient, Timeouts, open_session
from bot.provider.prompt import GENERATE, KNOWN_FUNCTIONS, UNDERSTAND
from tests.servers.faulty_space import (
    CLOSE,
    EVENT_ID,
    STARTS,
    VERSIONS,
    Cut,
    completed,
    config,
    event,
    failed,
    faulty_space,
    only,
    reply,
    says,
    streams,
)
from tests.servers.space_client import SOON, connected


async def call(client: GradioClient) -> list[CallEvent]:
    await client.config()
    async with aclosing(client.call(UNDERSTAND, ["x"], "hash", {})) as events:
        return [event async for event in events]


def every(root: type[BaseException]) -> set[type[BaseException]]:
    return {root}.union(*(every(child) for child in root.__subclasses__()))


def test_every_error_of_the_libraries_is_translated() -> None:
    """No error that aiohttp or aiohttp-socks knows is left without one of ours."""
    kinds: set[type[BaseException]] = {
        TimeoutError,
        OSError,
        ContentEncodingError,
        asyncio.IncompleteReadError,
        aiohttp_socks.ProxyError,
        aiohttp_socks.ProxyConnectionError,
        aiohttp_socks.ProxyTimeoutError,
    }
    kinds |= every(aiohttp.ClientError)
    assert len(kinds) > 25
    for kind in kinds:
        assert issubclass(kind, network_exceptions())
        # Their constructors want all sorts of things, and the text uses none of them.
        error = kind.__new__(kind)
        assert isinstance(network_error(error, "host"), SpaceUnreachable)
        assert isinstance(network_error(error, "host", streaming=True), StreamLost)


def test_translation_tells_what_to_look_at() -> None:
    """A name, a certificate, a proxy and a timeout are told apart."""
    kinds: list[type[BaseException]] = [
        aiohttp.ClientConnectorDNSError,
        aiohttp.ClientConnectorCertificateError,
        aiohttp.ClientProxyConnectionError,
        aiohttp.ServerTimeoutError,
        aiohttp.ClientConnectorError,
    ]
    texts = {str(network_error(kind.__new__(kind), "host")) for kind in kinds}
    assert len(texts) == 5


async def test_unreachable_server() -> None:
    """Nobody listens: one sentence, no aiohttp error."""
    async with faulty_space() as space:
        url = space.url
    async with open_session() as session:
        client = GradioClient(HttpClient(session, url, timeouts=SOON), ConfigCache(KNOWN_FUNCTIONS))
        with pytest.raises(SpaceUnreachable, match="cannot be reached"):
            await client.config()


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_configs(version: str) -> None:
    """Prefix, version and both functions are found in every version."""
    read = read_config(config(version), KNOWN_FUNCTIONS)
    assert read is not None
    assert read.prefix == ("" if version == "4.44.1" else "/gradio_api")
    assert read.takes_data_urls == (version != "4.44.1")
    assert read.function(GENERATE.name) == GENERATE
    assert read.function(UNDERSTAND.name) == UNDERSTAND


def test_functions_that_moved_hide_or_are_missing() -> None:
    """Names win; hidden names fall back to the known numbers; another app is refused."""
    moved = config("6.31.0")
    moved["dependencies"][2]["id"], moved["dependencies"][3]["id"] = 7, 8
    read = read_config(moved, KNOWN_FUNCTIONS)
    assert read is not None
    assert read.function(UNDERSTAND.name).fn_index == 7
    hidden = config("6.31.0")
    for entry in hidden["dependencies"]:
        entry["api_name"] = False
    read = read_config(hidden, KNOWN_FUNCTIONS)
    assert read is not None
    assert read.function(GENERATE.name) == GENERATE
    other = read_config(
        {"version": "5.0", "dependencies": [{"id": 2, "api_name": "x"}]}, KNOWN_FUNCTIONS
    )
    assert other is not None
    with pytest.raises(SpaceBroken, match="generate_image"):
        other.function(GENERATE.name)
    assert read_config(["not", "Gradio"], KNOWN_FUNCTIONS) is None


async def test_config_is_read_once() -> None:
    """Many calls at once ask for the configuration once."""
    async with connected() as (space, client):
        await asyncio.gather(*(client.config() for _ in range(20)))
        assert len(space.asked("/config")) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_recorded_answers(version: str) -> None:
    """The recorded streams of every version come out as whole values, and the connection lives."""
    stream = streams(version, "stream")[0]
    recorded_id = stream.split(b'"event_id":"')[1][:32]
    stream = stream.replace(recorded_id, EVENT_ID.encode())
    async with connected(config=config(version), script=says(stream)) as (space, client):
        events = await call(client)
        assert isinstance(events[-1], Completed)
        grown = [event.data[0] for event in events if isinstance(event, Generating)]
        assert grown[-1] == events[-1].data[0]
        assert not space.cancelled
        session = client.http.session
        assert isinstance(session.connector, aiohttp.BaseConnector)
        assert sum(map(len, session.connector._conns.values())) == 1


@pytest.mark.parametrize(
    ("chunks", "kind", "words"),
    [
        ([STARTS, failed(None), CLOSE], GenerationFailed, "did not say why"),
        ([STARTS, failed("'GPU task aborted'"), CLOSE], GpuAborted, "took too long"),
        (
            [STARTS, event("process_completed", output={}, success=True)],
            GenerationCancelled,
            "cancelled",
        ),
        ([STARTS, CLOSE], StreamLost, "ended"),
        ([STARTS], StreamLost, "ended"),
        ([], StreamLost, "ended"),
        ([STARTS, b"data: nonsense\n\n"], StreamLost, "not an event stream"),
        (
            [event("unexpected_error", message="Server stopped unexpectedly.")] * 9,
            StreamLost,
            "stop",
        ),
        ([event("unexpected_error", session_not_found=True)], StreamLost, "forgotten"),
    ],
)
async def test_streams_that_end_badly(
    chunks: list[bytes], kind: type[ProviderError], words: str
) -> None:
    """Each way in which a stream ends without an answer has its error."""
    async with connected(script=says(*chunks)) as (_, client):
        with pytest.raises(kind, match=words):
            await call(client)


async def test_cut_stream_is_lost_and_the_space_is_told() -> None:
    """A connection that breaks midway is a lost stream, and the call is cancelled for good."""

    async def script() -> AsyncIterator[bytes]:
        yield STARTS
        raise Cut

    async with connected(script=script) as (space, client):
        with pytest.raises(StreamLost, match="broke"):
            await call(client)
        assert space.cancelled == [{"session_hash": "hash", "fn_index": 2, "event_id": EVENT_ID}]


async def test_silence_is_a_lost_stream() -> None:
    """No byte, not even a heartbeat, for too long."""

    async def script() -> AsyncIterator[bytes]:
        yield event("estimation", rank=0)
        await asyncio.Event().wait()

    async with connected(Timeouts(silence=0.2), script=script) as (space, client):
        with pytest.raises(StreamLost, match="silent"):
            await call(client)
        assert space.cancelled


async def test_the_time_limit_counts_from_the_start() -> None:
    """Waiting in the queue does not use up the time of the generation; running does."""

    async def script() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield event("heartbeat")
            await asyncio.sleep(0.1)
        yield STARTS
        while True:
            yield event("heartbeat")
            await asyncio.sleep(0.05)

    async with connected(Timeouts(generation=0.3), script=script) as (space, client):
        began = asyncio.get_running_loop().time()
        with pytest.raises(GenerationTimeout):
            await call(client)
        assert asyncio.get_running_loop().time() - began >= 0.75
        assert space.cancelled


@pytest.mark.parametrize("unit", ["in the queue", "starting"])
async def test_waiting_inside_of_the_function_does_not_count(unit: str) -> None:
    """Our own Space starts every call at once, and says so while it waits or loads its model."""
    progress = [{"index": 1, "length": 2, "unit": unit, "progress": None, "desc": "…"}]

    async def script() -> AsyncIterator[bytes]:
        yield STARTS
        for _ in range(8):
            yield event("progress", progress_data=progress)
            await asyncio.sleep(0.1)
        yield completed("An answer.") + CLOSE

    async with connected(Timeouts(generation=0.5), script=script) as (_, client):
        assert isinstance((await call(client))[-1], Completed)


async def test_no_time_limit() -> None:
    """An endless limit is one that never comes."""
    async with connected(Timeouts(generation=float("inf"))) as (_, client):
        assert isinstance((await call(client))[-1], Completed)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, '{"detail":"Queue is full. Max size is 2 and size is 2."}', QueueFull),
        (503, "<html>no</html>", SpaceUnreachable),
        (502, "", SpaceUnreachable),
        (500, "Traceback (most recent call last)", SpaceBroken),
        (404, "<html>", SpaceNotFound),
        (401, '{"detail":{"error":"Not authenticated","auth_message":null}}', SpaceNotFound),
        (422, '{"detail":[{"msg":"Field required"}]}', BadInput),
        (429, "", QueueFull),
        (302, "", SpaceUnreachable),
        (200, "<html>hello</html>", SpaceUnreachable),
    ],
)
async def test_refused_joins(status: int, body: str, kind: type[ProviderError]) -> None:
    """Every answer but an event id has its error, and a full connection is never reused."""
    refuse = only("/queue/join", reply(status, body, **{"Retry-After": "7"}))
    async with connected(refuse=refuse) as (space, client):
        with pytest.raises(kind) as caught:
            await call(client)
        assert not space.asked("/gradio_api/queue/data")
        assert caught.value.retry_after == (7 if status in {429, 502, 503} else None)


@pytest.mark.parametrize("linger", [0, None])
async def test_a_reset_connection_is_tried_once_more(linger: int | None) -> None:
    """A reset costs a retry; an orderly close may come after the request was read, and is not."""

    async def drop(request: web.Request) -> web.StreamResponse | None:
        assert request.transport is not None
        if linger is not None:
            raw = request.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger))
        request.transport.abort()
        return None

    async with connected(refuse=only("/queue/join", drop, times=1)) as (_, client):
        if linger is None:
            with pytest.raises(SpaceUnreachable):
                await call(client)
        assert isinstance((await call(client))[-1], Completed)


@pytest.mark.parametrize("idle", [0.0, 60.0])
async def test_an_idle_connection_is_closed_before_the_server_does(
    monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    """A request on a connection that the server is closing would be lost."""
    assert uvicorn.Config("").timeout_keep_alive > http.KEEP_ALIVE_SECONDS
    monkeypatch.setattr(http, "KEEP_ALIVE_SECONDS", idle)
    connections: list[object] = []

    async def look(request: web.Request) -> web.StreamResponse | None:
        connections.append(request.transport)
        return None

    async with connected(refuse=only("/queue", look)) as (_, client):
        await call(client)
        await call(client)
    assert len(set(connections)) == (1 if idle else 4)


async def test_a_stream_that_never_ends_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless data stops at a limit."""
    monkeypatch.setattr("bot.provider.gradio.client.MAX_STREAM_BYTES", 3_000_000)

    async def script() -> AsyncIterator[bytes]:
        while True:
            yield b": " + b"x" * 1_000_000 + b"\n"

    async with connected(script=script) as (space, client):
        with pytest.raises(StreamLost, match="more than"):
            await call(client)
        await asyncio.wait_for(space.hung_up.wait(), 45)


async def test_a_huge_answer_is_not_read() -> None:
    """A short answer that is not short is refused at its limit."""
    refuse = only("/queue/join", reply(200, "x" * 1_000_000))
    async with connected(refuse=refuse) as (_, client):
        with pytest.raises(SpaceUnreachable, match="more than"):
            await call(client)


async def wait_forever() -> AsyncIterator[bytes]:
    yield STARTS
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_giving_up_hangs_up_and_tells_the_space(how: str) -> None:
    """Closing the generator and cancelling its task leave nothing behind on either side."""
    async with connected(script=wait_forever) as (space, client):
        before = asyncio.all_tasks()
        events = client.call(UNDERSTAND, ["x"], "hash", {})
        await anext(events)
        if how == "close":
            await events.aclose()
        else:

            async def rest() -> None:
                async with aclosing(events):
                    async for _ in events:
                        pass

            task = asyncio.create_task(rest())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert space.cancelled == [{"session_hash": "hash", "fn_index": 2, "event_id": EVENT_ID}]
        await asyncio.wait_for(space.hung_up.wait(), 45)
        assert {
            t for t in asyncio.all_tasks() - before if "_drive" not in repr(t)
        } <= server_tasks()


def server_tasks() -> set[asyncio.Task[Any]]:
    """Tasks of the test server's own connections, which share the loop."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" in repr(task)}


async def test_cancelled_while_joining() -> None:
    """A request that was taken but not yet answered is withdrawn by the id in its answer."""
    taken, answer = asyncio.Event(), asyncio.Event()

    async def slowly(_: web.Request) -> web.StreamResponse | None:
        taken.set()
        await answer.wait()
        return None

    async with connected(refuse=only("/queue/join", slowly)) as (space, client):
        task = asyncio.create_task(call(client))
        await asyncio.wait_for(taken.wait(), 45)
        task.cancel()
        asyncio.get_running_loop().call_soon(answer.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [body["event_id"] for body in space.cancelled] == [EVENT_ID]


@pytest.mark.parametrize("path", ["/queue/join", "/queue/data"])
@pytest.mark.parametrize("begins", [True, False])
async def test_what_is_not_answered_in_time_is_withdrawn(path: str, *, begins: bool) -> None:
    """What nobody waits for any more must not take a place in the queue, or the GPU.

    An answer that never ends is waited for no longer than one that never begins.
    """

    async def endless(request: web.Request) -> web.StreamResponse | None:
        if begins:
            await web.StreamResponse(status=502).prepare(request)
        await asyncio.Event().wait()
        return None

    timeouts = replace(SOON, answer=0.3)
    async with connected(timeouts, refuse=only(path, endless)) as (space, client):
        with pytest.raises(SpaceUnreachable, match="in time"):
            await call(client)
        assert [body["event_id"] for body in space.cancelled] == [EVENT_ID]


async def test_a_space_that_does_not_hear_delays_nobody() -> None:
    """Telling the Space has a limit."""

    async def never(_: web.Request) -> web.StreamResponse | None:
        await asyncio.Event().wait()
        return None

    timeouts = Timeouts(cancel=0.2)
    async with connected(timeouts, script=wait_forever, refuse=only("/cancel", never)) as (
        _,
        client,
    ):
        events = client.call(UNDERSTAND, ["x"], "hash", {})
        await anext(events)
        await asyncio.wait_for(events.aclose(), 45)
