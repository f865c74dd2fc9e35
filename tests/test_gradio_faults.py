"""Nothing but the bot's own errors leaves the provider, whatever a server or a caller does."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import (
    BadInput,
    BotError,
    ConfigError,
    CredentialsRefused,
    GenerationCancelled,
    GenerationFailed,
    GenerationTimeout,
    GpuAborted,
    ImageError,
    ModelNotServed,
    ModelStarting,
    NoGpu,
    ProviderError,
    QueueFull,
    QuotaExceeded,
    SpaceAsleep,
    SpaceBroken,
    SpaceBuilding,
    SpaceNotFound,
    SpacePaused,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider import DeepseekAI_JanusPro7b, open_session
from bot.provider.errors import function_error, http_error
from bot.provider.gradio.config import read_config
from bot.provider.http import Timeouts
from bot.provider.prompt import KNOWN_FUNCTIONS, UNDERSTAND
from tests.servers.faulty_space import (
    CLOSE,
    EVENT_ID,
    PNG,
    STARTS,
    FaultySpace,
    Refuse,
    completed,
    config,
    event,
    failed,
    firstly,
    gallery,
    only,
    reply,
    says,
)
from tests.servers.space_client import ask

SOON = Timeouts(
    connect=30, answer=30, transfer=30, silence=30, generation=30, cancel=30, wake=0.05, poll=0.01
)
DEEP = "[" * 5000
WORDS = ["", "x", "\ud800", "\0", "a\r\nb: c", "ü" * 300, "<a href='http://[x'>", "9" * 5000]
ODD: list[Any] = [None, True, 0, -1, 1e308, float("nan"), 10**400, *WORDS, [], [[]], [None], {}]
ODD += [{"x": {}}, {"path": 1}, [["append"]], [[["append", [], 1]]], [[["delete", ["a"], 0]]]]


def http(head: str, body: bytes = b"") -> bytes:
    """An answer as it is on the wire, whose head is not checked by any library."""
    return f"HTTP/1.1 {head}\r\n\r\n".encode("utf-8", "surrogatepass") + body


RAW = [
    b"",
    b"\0\xff\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n<html>",
    http("999 What\r\nContent-Length: 0"),
    http("200"),
    http("200 OK\r\nContent-Length: -1", b"{}"),
    http("200 OK\r\nContent-Length: 99", b'{"cut'),
    http("200 OK\r\nContent-Length: 2\r\nContent-Length: 3", b"{}"),
    http("200 OK\r\nTransfer-Encoding: chunked", b"zz\r\n{}"),
    http("200 OK\r\nTransfer-Encoding: chunked", b"ff\r\n{}"),
    http("200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2", b"2\r\n{}\r\n0\r\n\r\n"),
    http("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4", b"nope"),
    http("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12", gzip.compress(b"{}")[:12]),
    http("200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 4", b"nope"),
    http("200 OK\r\nContent-Encoding: br\r\nContent-Length: 4", b"nope"),
    http("200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 4", b"nope"),
    http("200 OK\r\nX-Long: " + "x" * 100_000),
    http("200 OK\r\n" + "X-Many: x\r\n" * 2000 + "X: x"),
    http("200 OK\r\nno colon here"),
    http("200 OK\r\nX: a\0b"),
    http("200 OK\r\nX: \udcff"),
    http('200 OK\r\nSet-Cookie: a b="c\r\nContent-Length: 2', b"{}"),
    http("200 OK\r\nContent-Type: text/html; charset=nonsense\r\nContent-Length: 2", b"\xff\xfe"),
    http("204 No Content"),
    http("206 Partial Content\r\nContent-Length: 2", b"{}"),
    http("304 Not Modified"),
    http("100 Continue"),
    http("101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket"),
    http("302 Found\r\nLocation: http://[::1\r\nContent-Length: 0"),
    http("302 Found\r\nLocation: //\udcff/x\r\nContent-Length: 0"),
    http("302 Found\r\nContent-Length: 0"),
    http("401 Unauthorized\r\nWWW-Authenticate: \udcff\r\nContent-Length: 0"),
    http("407 Proxy Authentication Required\r\nContent-Length: 0"),
    http("413 Too Large\r\nContent-Length: 0"),
    http("429 Slow\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\nContent-Length: 0"),
    http("503 No\r\nRetry-After: 99999999999\r\nContent-Length: 0"),
]
BODIES = [
    *("", "null", "[]", "{}", "1", '"x"', "<html>hello</html>", DEEP, "9" * 5000, "NaN"),
    *('{"detail": [1, {"loc": 1}]}', '{"detail": {"error": 5}}', '["\\ud800"]', "\ufeff{}"),
]
PATHS = ["/config", "/queue/join", "/queue/data", "/file=", "/upload", "/api/spaces", "/spaces/"]


def raw(answer: bytes) -> Refuse:
    """Answer with these bytes, and hang up."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        assert request.transport is not None
        request.transport.write(answer)
        request.transport.close()
        return web.Response()

    return refuse


async def outcome(space: FaultySpace, *, time: float = 20, **options: Any) -> BotError | None:
    """Ask for a picture of a Space on a Hub, so that every address is asked; nothing is left."""
    before = asyncio.all_tasks()
    async with open_session() as session:
        one = DeepseekAI_JanusPro7b(
            space="me/janus", hf_url=space.url, session=session, timeout=time, timeouts=SOON
        )
        found: BotError | None = None
        try:
            await ask(one, **options)
        except BotError as error:
            found = error
        assert isinstance(session.connector, aiohttp.BaseConnector)
        assert not session.connector._acquired
    left = asyncio.all_tasks() - before
    assert not [task for task in left if "RequestHandler" not in repr(task)]
    if found is not None:
        assert str(found)
        assert "\n" not in str(found)[:1]
    return found


def requests_for(path: str) -> dict[str, Any]:
    """A request that comes by there."""
    question = path == "/upload"
    picture = {"messages": ["?"], "media": [PNG]}
    return picture if question else {"prompt": "a fox", "cookies": {"token": "x"}}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.timeout(300)
async def test_answers_that_are_no_http(space: FaultySpace, path: str) -> None:
    """Whatever bytes come from any address, an error of ours comes of it, or nothing at all."""
    space.script = says(STARTS, completed(gallery("/srv/cache/0.png")), CLOSE)
    if path == "/upload":
        space.config = config("4.44.1")
    for answer in RAW:
        space.refuse = only(path, raw(answer))
        found = await outcome(space, **requests_for(path))
        # Who has no token is anonymous, and whom the Hub does not answer asks the usual address.
        assert found is not None or path in {"/spaces/", "/file="}, answer[:60]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.timeout(300)
async def test_answers_that_are_not_what_they_should_be(space: FaultySpace, path: str) -> None:
    """Well-formed answers with something else in them."""
    space.script = says(STARTS, completed(gallery("/srv/cache/0.png")), CLOSE)
    if path == "/upload":
        space.config = config("4.44.1")
    for body in BODIES:
        for status in (200, 422):
            space.refuse = only(path, reply(status, body))
            found = await outcome(space, **requests_for(path))
            # No ticket to the queue, so no way to an answer.
            assert found is not None or path != "/queue/join" or status == 200, body


def odd_events() -> Iterator[bytes]:
    """Events with one thing wrong."""
    kinds = ("estimation", "process_starts", "progress", "log", "unexpected_error", "heartbeat")
    fields = ("rank", "queue_size", "eta", "progress_data", "log", "level", "message", "event_id")
    for odd in ODD:
        for kind in kinds:
            yield event(kind, **dict.fromkeys(fields, odd))
        yield event("progress", progress_data=[{"index": odd, "length": odd, "progress": odd}])
        yield event("process_generating", output={"data": odd})
        yield event("process_generating", output={"data": [odd]})
        yield event("process_generating", output=odd)
        yield event("process_completed", output=odd, success=True)
        yield event("process_completed", output={"data": odd}, success=True)
        yield completed(odd)
        yield completed([{"image": odd}])
        yield completed([{"image": {"path": odd}}])
        yield event("process_completed", output={"error": odd, "title": odd}, success=False)
        yield event(str(odd), x=odd)


@pytest.mark.parametrize("prompt", [None, "a fox"])
@pytest.mark.timeout(300)
async def test_events_that_are_not_what_they_should_be(
    space: FaultySpace, prompt: str | None
) -> None:
    """A field of any type in any event is left out, or ends in an error of ours."""
    one = DeepseekAI_JanusPro7b(api_url=space.url, timeouts=SOON)
    said = [response async for response in one.create_async_generator("", ["x"])]
    assert said
    async with open_session() as session:
        one = DeepseekAI_JanusPro7b(api_url=space.url, session=session, timeouts=SOON)
        for odd in odd_events():
            space.script = says(STARTS, odd, CLOSE)
            try:
                words = [said.content for said in await ask(one, "", ["x"], prompt=prompt)]
            except BotError as error:
                words = [str(error)]
            # No half of a surrogate pair is in them, so they can be sent on.
            assert "".join(words).encode().decode() == "".join(words), odd


def pieces(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to all parts of a JSON value, the first three of each list."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from pieces(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:3]):
            yield from pieces(inner, (*path, index))


def test_configurations_that_are_not_what_they_should_be() -> None:
    """A part of any type in place of any other is a fallback, or no Gradio server."""
    whole = config("6.31.0")
    whole = {key: whole[key] for key in whole if key not in {"components", "layout", "css"}}
    for path in pieces(whole):
        for odd in ODD:
            broken = copy.deepcopy(whole)
            if not path:
                broken = odd
            else:
                place = broken
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = odd
            read = read_config(broken, KNOWN_FUNCTIONS)
            if read is not None:
                with contextlib.suppress(ProviderError):
                    read.function(UNDERSTAND.name)
                assert json.dumps(read.prefix).isascii()


@settings(max_examples=200)
@given(st.text(max_size=80), st.text(max_size=40))
def test_any_words_of_a_space_are_an_error_with_a_sentence(text: str, title: str) -> None:
    """Reading them never fails."""
    assert str(function_error(text, title))


@settings(max_examples=200)
@given(
    st.integers(300, 999),
    st.binary(max_size=80) | st.sampled_from(BODIES).map(lambda body: body.encode()),
    st.text(max_size=12),
)
def test_any_refusal_is_an_error_with_a_sentence(status: int, body: bytes, after: str) -> None:
    """So is every status, with any body and any header."""
    assert str(http_error(status, body, {"Retry-After": after}, "host"))


def leaves(root: type[BotError]) -> set[type[BotError]]:
    """All kinds of an error that have no kinds of their own."""
    below = root.__subclasses__()
    return set().union(*map(leaves, below)) if below else {root}


async def for_ever() -> AsyncIterator[bytes]:
    """A function that never ends."""
    yield STARTS
    await asyncio.Event().wait()


DOWN = only("/config", reply(503, "Your space is in error, check its status on hf.co"))
OUTCOMES: dict[type[ProviderError], dict[str, Any]] = {
    SpaceUnreachable: {"refuse": DOWN},
    SpaceAsleep: {"refuse": DOWN, "stage": "SLEEPING"},
    SpaceBuilding: {"refuse": DOWN, "stage": "BUILDING"},
    SpacePaused: {"refuse": DOWN, "stage": "PAUSED"},
    SpaceBroken: {"refuse": DOWN, "stage": "RUNTIME_ERROR"},
    SpaceNotFound: {"stage": None},
    CredentialsRefused: {
        "refuse": only("/config", reply(401, '{"error": "Invalid credentials in header"}'))
    },
    QueueFull: {"refuse": only("/join", reply(503, '{"detail":"Queue is full. Max size is 2"}'))},
    QuotaExceeded: {"script": says(STARTS, failed("exceeded your GPU quota (9s requested"))},
    NoGpu: {"script": says(STARTS, failed("No GPU was available after 60s."))},
    GpuAborted: {"script": says(STARTS, failed("'GPU task aborted'"))},
    BadInput: {"script": says(STARTS, failed("Value 99 is greater than maximum value 10."))},
    GenerationFailed: {"script": says(STARTS, failed(None), CLOSE)},
    StreamLost: {"script": says(STARTS)},
    GenerationTimeout: {"script": for_ever},
    GenerationCancelled: {"script": says(event("process_completed", output={}, success=True))},
}
"""What has to happen on a Space, or at the Hub, for each outcome."""


def test_every_outcome_is_in_the_map() -> None:
    """No kind of failure is left that a Space could not lead to, and none is missing here."""
    of_the_own_process = {ModelStarting, ModelNotServed}  # see test_own_space.py
    assert leaves(ProviderError) == set(OUTCOMES) | of_the_own_process


@pytest.mark.parametrize("kind", OUTCOMES, ids=lambda kind: str(kind.__name__))
async def test_each_outcome_has_its_error(space: FaultySpace, kind: type[ProviderError]) -> None:
    """Of exactly that kind, as that is what people are told by."""
    for name, value in OUTCOMES[kind].items():
        setattr(space, name, value)
    found = await outcome(space, time=0.5 if kind is GenerationTimeout else 60, messages=["x"])
    assert type(found) is kind


def constructed(**options: Any) -> Callable[[FaultySpace], DeepseekAI_JanusPro7b]:
    """A provider made with odd options."""
    return lambda space: DeepseekAI_JanusPro7b(**{"api_url": space.url, **options}, timeouts=SOON)


@pytest.mark.parametrize(
    "options",
    [
        {"api_url": "http://[::1"},
        {"api_url": "http://a b"},
        {"api_url": "http://host:99999"},
        {"api_url": "http://" + "a" * 70 + ".invalid"},
        {"api_url": "http://a..b"},
        {"api_url": "http://\ud800"},
        {"api_url": "\0"},
        {"hf_url": "nonsense", "space": "me/janus"},
        *({"proxy": proxy} for proxy in ("nonsense", "http://", "ftp://host", "http://[::1", "\0")),
        *({"proxy": proxy} for proxy in ("socks5://", "socks5://host", "socks9://host:1", "socks")),
        {"proxy": "http://127.0.0.1:1"},
        {"proxy": "socks5://127.0.0.1:1"},
    ],
)
async def test_settings_that_cannot_work(space: FaultySpace, options: dict[str, Any]) -> None:
    """An address that is none is an error of the configuration, sooner or later."""
    with pytest.raises((ConfigError, ProviderError)):
        await ask(constructed(**options)(space), "", ["x"])


@pytest.mark.parametrize(
    "options",
    [
        {"messages": [1]},
        {"messages": [None]},
        {"messages": ["x"], "seed": "many"},
        {"messages": ["x"], "seed": float("inf")},
        {"messages": ["x"], "temperature": "hot"},
        {"prompt": "x", "guidance": []},
        {"messages": ["x"], "media": ["\0"]},
        {"messages": ["x"], "media": ["/no/such/file"]},
        {"messages": ["x"], "media": ["data:image/png;base64,\ud800"]},
        {"messages": ["x"], "media": ["data:"]},
        {"messages": ["x"], "media": [b""]},
        {"messages": [{"content": [{"image_url": {"url": "/etc/passwd"}}]}]},
        {"messages": [{"content": [{"image_url": {"url": "http://127.0.0.1/a.png"}}]}]},
    ],
)
async def test_requests_that_cannot_work(space: FaultySpace, options: dict[str, Any]) -> None:
    """What a caller gives is refused with a sentence, before anything is sent."""
    with pytest.raises((BadInput, ImageError)):
        await ask(constructed()(space), **options)
    assert not space.requests


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "hf_a\r\nX: b"},
        {"zerogpu_uuid": "a\nb"},
        {"cookies": {"a b": "c\0"}},
        {"cookies": {"a": "b\r\nc"}},
    ],
)
async def test_secrets_that_cannot_be_sent(space: FaultySpace, options: dict[str, Any]) -> None:
    """A line break in a header is refused, and the secret is not in the text."""
    found = await outcome(space, messages=["x"], **options)
    assert found is None or isinstance(found, ConfigError)
    assert not any("X" in headers for _, _, headers in space.requests)
    assert "hf_a" not in str(found)


async def test_a_session_that_is_closed(space: FaultySpace) -> None:
    """As at the end of the bot, while a turn is beginning."""
    async with open_session() as session:
        one = DeepseekAI_JanusPro7b(api_url=space.url, session=session)
    with pytest.raises(ProviderError):
        await ask(one, "", ["x"])


async def test_words_in_a_message_are_no_template(space: FaultySpace) -> None:
    """Anything may be said, halves of characters included."""
    for words in (*WORDS, "{0}", "%s"):
        if words:
            await ask(constructed()(space), "", [words], seed=1)
    assert len(space.joined) == len(WORDS) + 1


async def test_failures_of_everything_at_once(space: FaultySpace) -> None:
    """Each request fails in another way, and the last one works."""
    space.script = says(STARTS, failed("no"), CLOSE)
    space.refuse = firstly(
        only("/config", raw(b"")), only("/queue/join", reply(500)), only("/cancel", reply(500))
    )
    assert await outcome(space, messages=["x"]) is not None
    space.refuse = None
    space.script = says(STARTS, completed("yes"), CLOSE)
    assert await outcome(space, messages=["x"]) is None
    assert space.joined[-1].body["session_hash"] != EVENT_ID
