"""The Gradio client against a server that fails in every way that real ones do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import aiohttp_socks
import pytest
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from bot.errors import (
    BadInput,
    GenerationCancelled,
    GenerationFailed,
    GenerationTimeout,
    GpuAborted,
    ImageTooLarge,
    NoGpu,
    ProviderError,
    QueueFull,
    QuotaExceeded,
    SpaceBroken,
    SpaceNotFound,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider.failures import failure, wait_in
from bot.provider.faults import foreign, translate
from bot.provider.gradio_client import CallEvent, GradioClient
from bot.provider.gradio_config import read_config
from bot.provider.gradio_events import Completed, Generating
from bot.provider.gradio_files import MAX_DATA_URL, download, picture
from bot.provider.gradio_server import ConfigCache, GradioServer
from bot.provider.job import GENERATE, KNOWN, UNDERSTAND
from bot.provider.request_body import DataUrl
from bot.provider.wire import Patience, Wire, open_session
from tests.servers.faulty_space import (
    CLOSE,
    EVENT_ID,
    PNG,
    STARTS,
    VERSIONS,
    Cut,
    FaultySpace,
    config,
    event,
    failed,
    faulty_space,
    firstly,
    only,
    reply,
    says,
    streams,
)

SOON = Patience(
    connect=30, answer=30, transfer=30, silence=30, generation=30, cancel=30, wake=30, poll=0.01
)


@asynccontextmanager
async def connected(
    patience: Patience = SOON, **fields: Any
) -> AsyncIterator[tuple[FaultySpace, GradioServer]]:
    """A server, and a client of it that has to leave no connection open."""
    async with faulty_space(**fields) as space, open_session() as session:
        yield space, GradioServer(Wire(session, space.url, patience=patience), ConfigCache(KNOWN))
        assert isinstance(session.connector, aiohttp.BaseConnector)
        assert not session.connector._acquired


async def call(server: GradioServer) -> list[CallEvent]:
    async with aclosing(
        GradioClient(server, await server.config()).call(UNDERSTAND, ["x"], "hash")
    ) as events:
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
        assert issubclass(kind, foreign())
        # Their constructors want all sorts of things, and the text uses none of them.
        error = kind.__new__(kind)
        assert isinstance(translate(error, "host"), SpaceUnreachable)
        assert isinstance(translate(error, "host", streaming=True), StreamLost)


def test_translation_tells_what_to_look_at() -> None:
    """A name, a certificate, a proxy and a timeout are told apart."""
    kinds: list[type[BaseException]] = [
        aiohttp.ClientConnectorDNSError,
        aiohttp.ClientConnectorCertificateError,
        aiohttp.ClientProxyConnectionError,
        aiohttp.ServerTimeoutError,
        aiohttp.ClientConnectorError,
    ]
    texts = {str(translate(kind.__new__(kind), "host")) for kind in kinds}
    assert len(texts) == 5


async def test_unreachable_server() -> None:
    """Nobody listens: one sentence, no aiohttp error."""
    async with faulty_space() as space:
        url = space.url
    async with open_session() as session:
        server = GradioServer(Wire(session, url, patience=SOON), ConfigCache(KNOWN))
        with pytest.raises(SpaceUnreachable, match="cannot be reached"):
            await server.config()


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_configs(version: str) -> None:
    """Prefix, version and both functions are found in every version."""
    read = read_config(config(version), KNOWN)
    assert read is not None
    assert read.prefix == ("" if version == "4.44.1" else "/gradio_api")
    assert read.takes_data_urls == (version != "4.44.1")
    assert read.function(GENERATE.name) == GENERATE
    assert read.function(UNDERSTAND.name) == UNDERSTAND


def test_functions_that_moved_hide_or_are_missing() -> None:
    """Names win; hidden names fall back to the known numbers; another app is refused."""
    moved = config("6.31.0")
    moved["dependencies"][2]["id"], moved["dependencies"][3]["id"] = 7, 8
    read = read_config(moved, KNOWN)
    assert read is not None
    assert read.function(UNDERSTAND.name).fn_index == 7
    hidden = config("6.31.0")
    for entry in hidden["dependencies"]:
        entry["api_name"] = False
    read = read_config(hidden, KNOWN)
    assert read is not None
    assert read.function(GENERATE.name) == GENERATE
    other = read_config({"version": "5.0", "dependencies": [{"id": 2, "api_name": "x"}]}, KNOWN)
    assert other is not None
    with pytest.raises(SpaceBroken, match="generate_image"):
        other.function(GENERATE.name)
    assert read_config(["not", "Gradio"], KNOWN) is None


async def test_config_is_read_once() -> None:
    """Many calls at once ask for the configuration once."""
    async with connected() as (space, server):
        await asyncio.gather(*(server.config() for _ in range(20)))
        assert len(space.asked("/config")) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_recorded_answers(version: str) -> None:
    """The recorded streams of every version come out as whole values, and the connection lives."""
    stream = streams(version, "stream")[0]
    recorded_id = stream.split(b'"event_id":"')[1][:32]
    stream = stream.replace(recorded_id, EVENT_ID.encode())
    async with connected(config=config(version), script=says(stream)) as (space, server):
        events = await call(server)
        assert isinstance(events[-1], Completed)
        grown = [event.data[0] for event in events if isinstance(event, Generating)]
        assert grown[-1] == events[-1].data[0]
        assert not space.cancelled
        session = server.wire.session
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
    async with connected(script=says(*chunks)) as (_, server):
        with pytest.raises(kind, match=words):
            await call(server)


async def test_cut_stream_is_lost_and_the_space_is_told() -> None:
    """A connection that breaks midway is a lost stream, and the call is cancelled for good."""

    async def script() -> AsyncIterator[bytes]:
        yield STARTS
        raise Cut

    async with connected(script=script) as (space, server):
        with pytest.raises(StreamLost, match="broke"):
            await call(server)
        assert space.cancelled == [{"session_hash": "hash", "fn_index": 2, "event_id": EVENT_ID}]


async def test_silence_is_a_lost_stream() -> None:
    """No byte, not even a heartbeat, for too long."""

    async def script() -> AsyncIterator[bytes]:
        yield event("estimation", rank=0)
        await asyncio.Event().wait()

    async with connected(Patience(silence=0.2), script=script) as (space, server):
        with pytest.raises(StreamLost, match="silent"):
            await call(server)
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

    async with connected(Patience(generation=0.3), script=script) as (space, server):
        began = asyncio.get_running_loop().time()
        with pytest.raises(GenerationTimeout):
            await call(server)
        assert asyncio.get_running_loop().time() - began >= 0.75
        assert space.cancelled


async def test_no_time_limit() -> None:
    """An endless limit is one that never comes."""
    async with connected(Patience(generation=float("inf"))) as (_, server):
        assert isinstance((await call(server))[-1], Completed)


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
    async with connected(refuse=refuse) as (space, server):
        with pytest.raises(kind) as caught:
            await call(server)
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

    async with connected(refuse=only("/queue/join", drop, times=1)) as (_, server):
        if linger is None:
            with pytest.raises(SpaceUnreachable):
                await call(server)
        assert isinstance((await call(server))[-1], Completed)


async def test_a_stream_that_never_ends_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless data stops at a limit."""
    monkeypatch.setattr("bot.provider.event_stream.MAX_STREAM", 3_000_000)

    async def script() -> AsyncIterator[bytes]:
        while True:
            yield b": " + b"x" * 1_000_000 + b"\n"

    async with connected(script=script) as (space, server):
        with pytest.raises(StreamLost, match="more than"):
            await call(server)
        await asyncio.wait_for(space.hung_up.wait(), 45)


async def test_a_huge_answer_is_not_read() -> None:
    """A short answer that is not short is refused at its limit."""
    refuse = only("/queue/join", reply(200, "x" * 1_000_000))
    async with connected(refuse=refuse) as (_, server):
        with pytest.raises(SpaceUnreachable, match="more than"):
            await call(server)


async def wait_forever() -> AsyncIterator[bytes]:
    yield STARTS
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_giving_up_hangs_up_and_tells_the_space(how: str) -> None:
    """Closing the generator and cancelling its task leave nothing behind on either side."""
    async with connected(script=wait_forever) as (space, server):
        before = asyncio.all_tasks()
        events = GradioClient(server, await server.config()).call(UNDERSTAND, ["x"], "hash")
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

    async with connected(refuse=only("/queue/join", slowly)) as (space, server):
        task = asyncio.create_task(call(server))
        await asyncio.wait_for(taken.wait(), 45)
        task.cancel()
        asyncio.get_running_loop().call_soon(answer.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [body["event_id"] for body in space.cancelled] == [EVENT_ID]


async def test_a_space_that_does_not_hear_delays_nobody() -> None:
    """Telling the Space has a limit."""

    async def never(_: web.Request) -> web.StreamResponse | None:
        await asyncio.Event().wait()
        return None

    patience = Patience(cancel=0.2)
    async with connected(patience, script=wait_forever, refuse=only("/cancel", never)) as (
        _,
        server,
    ):
        events = GradioClient(server, await server.config()).call(UNDERSTAND, ["x"], "hash")
        await anext(events)
        await asyncio.wait_for(events.aclose(), 45)


async def test_pictures_go_in_the_request_or_are_uploaded() -> None:
    """A data URL from 5.0 on while small, an upload otherwise; both exactly as given."""
    async with connected() as (space, server):
        small = await picture(server, await server.config(), PNG, "image/png")
        assert small["path"] is None
        assert small["url"] == DataUrl("image/png", PNG)
        large = PNG + b"x" * MAX_DATA_URL
        assert (await picture(server, await server.config(), large, "image/png"))[
            "path"
        ] == "/srv/cache/picture.png"
        assert space.uploads == [("picture.png", large)]
    async with connected(config=config("4.44.1")) as (space, server):
        assert (await picture(server, await server.config(), PNG, "image/png"))[
            "path"
        ] == "/srv/cache/picture.png"
        assert space.asked("/upload")


async def test_pictures_above_the_limit_of_the_space() -> None:
    """Refused before anything is sent if the limit is known, and as such if it is not."""
    async with connected(config={**config("6.31.0"), "max_file_size": 10}) as (space, server):
        with pytest.raises(ImageTooLarge, match="10 at most"):
            await picture(server, await server.config(), PNG, "image/png")
        assert not space.uploads
    refuse = only("/upload", reply(413, "File size exceeded"))
    async with connected(config=config("4.44.1"), refuse=refuse) as (_, server):
        with pytest.raises(ImageTooLarge):
            await picture(server, await server.config(), PNG, "image/png")


async def test_downloads_keep_their_order() -> None:
    """All at once, and in the order of the gallery, whatever their names."""
    files = {f"/srv/a b/ü {number}?.webp": bytes([number]) * 9 for number in range(5)}
    async with connected(files=files) as (_, server):
        assert await download(server, list(files)) == list(files.values())


async def test_downloads_stay_on_the_server() -> None:
    """A redirect is followed on the same server and nowhere else; a missing file is told."""
    async with faulty_space(files={"/b": b"elsewhere"}) as other:
        there = only("file=/a", reply(302, Location=f"{other.url}/gradio_api/file=/b"))
        here = only("file=/c", reply(302, Location="/gradio_api/file=/d"))
        loop = only("file=/e", reply(302, Location="/gradio_api/file=/e"))
        rules = firstly(there, here, loop)
        async with connected(refuse=rules, files={"/d": b"here"}) as (_, server):
            assert await download(server, ["/c"]) == [b"here"]
            for path in ("/a", "/e", "/missing"):
                with pytest.raises(GenerationFailed):
                    await download(server, ["/c", path])
        assert not other.requests


@pytest.mark.parametrize(
    ("text", "title", "kind"),
    [
        ("No GPU was available after 60s. Retry later", "ZeroGPU queue timeout", NoGpu),
        ("Value 99 is greater than maximum value 10.", "Error", BadInput),
        ("Space app has reached its GPU limit. Try re-running", "", QuotaExceeded),
        ("You have exceeded your ZeroGPU runs limit.", "", QuotaExceeded),
        ("The requested GPU duration (120s) is larger than the maximum allowed", "", BadInput),
        ("AttributeError", "ZeroGPU worker error", GenerationFailed),
        ("out of cheese", "", GenerationFailed),
    ],
)
def test_words_of_the_space(text: str, title: str, kind: type[ProviderError]) -> None:
    """What a Space says decides what a person can do."""
    assert type(failure(text, title)) is kind


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "exceeded your GPU quota (120s requested vs. 42s left). Try again in 0:06:53",
            (120, 42, 413),
        ),
        (
            "exceeded your GPU quota (46s left vs. 60s requested). Please retry in 0:00:56",
            (60, 46, 56),
        ),
        ("your free ZeroGPU quota (120s requested vs. 0s left).", (120, 0, None)),
        (
            "your Pro GPU quota (1s requested vs. 0s left). Try again in 1 day, 2:03:04",
            (1, 0, 93784),
        ),
        ("quota (1s requested vs. 0s left). Sign-up on X or retry in 0:09:48", (1, 0, 588)),
    ],
)
def test_quota_in_every_wording(text: str, values: tuple[int, int, float | None]) -> None:
    """Requested, left and the wait are read from all known wordings."""
    error = failure(f"You have {text}" if "quota" in text else text, "ZeroGPU quota exceeded")
    assert isinstance(error, QuotaExceeded)
    assert (error.requested, error.left, error.retry_after) == values
    assert wait_in("whenever") is None
