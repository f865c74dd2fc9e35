"""A Space that does what a test tells it to, on the wire that Gradio speaks.

It replays recorded event streams, and fails in the ways that real servers and proxies fail. It can
also play Hugging Face for its own Space. Everything that a client did is written down.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
VERSIONS = ("4.44.1", "5.1.0", "6.31.0")
EVENT_ID = "0123456789abcdef0123456789abcdef"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"
    b"\x90wS\xde\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
"""One red pixel."""

_LINE = re.compile(r"\[ *[\d.]+\] (?:SSE\d* )?(data: \{.*\})$")


def recorded(version: str, name: str) -> list[str]:
    """The `data:` lines of a recording, in order."""
    path = TRANSCRIPTS / version / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [match[1] for line in lines if (match := _LINE.match(line)) and '"msg"' in line]


def streams(version: str, name: str) -> list[bytes]:
    """The event streams of a recording, one per session, as they were on the wire."""
    whole: list[bytes] = []
    stream = b""
    for line in recorded(version, name):
        stream += f"{line}\n\n".encode()
        if '"close_stream"' in line:
            whole.append(stream)
            stream = b""
    return [*whole, stream] if stream else whole


def event(msg: str, **fields: Any) -> bytes:
    """One event as it is on the wire, of the event that `join` answers with."""
    body = {"msg": msg, "event_id": EVENT_ID, **fields}
    return f"data: {json.dumps(body)}\n\n".encode()


STARTS = event("process_starts", eta=None)
CLOSE = event("close_stream")


def completed(*data: Any) -> bytes:
    """The final event of a call that worked."""
    return event("process_completed", output={"data": list(data)}, success=True)


def failed(text: str | None, **output: Any) -> bytes:
    """The final event of a call that raised."""
    return event("process_completed", output={"error": text, **output}, success=False)


def gallery(*paths: str) -> list[dict[str, Any]]:
    """The output of the function that makes pictures."""
    return [{"image": {"path": path, "url": "http://elsewhere.invalid/x"}} for path in paths]


PICTURES = {f"/srv/cache/{number}.png": PNG + bytes([number]) for number in range(5)}
"""What a Space of Janus draws, by path."""


class Cut(Exception):
    """Raised by a script: the server drops the connection here."""


Script: TypeAlias = Callable[[], AsyncIterator[bytes]]
"""What the event stream sends; may wait in between, or raise `Cut`."""
Refuse: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Looks at a request first, and answers in place of the Space if it likes."""


def says(*chunks: bytes) -> Script:
    """A script that sends chunks and ends."""

    async def script() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return script


def grows(*paths: str, first: bool = False) -> bytes:
    """A growing gallery as Gradio streams it: whole at `first`, then as what has changed of it."""
    shown = gallery(*paths)
    data = [shown] if first else [[["replace", [], shown]]]
    return event("process_generating", output={"data": data, "is_generating": True}, success=True)


def says_between(*steps: bytes | asyncio.Event) -> Script:
    """A script that sends chunks, and waits where the test says so."""

    async def script() -> AsyncIterator[bytes]:
        for step in steps:
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    return script


DRAWN = says(STARTS, completed(gallery(*PICTURES)), CLOSE)


@dataclass(slots=True)
class Joined:
    """A request to join the queue, as it came."""

    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class FaultySpace:
    """The server; fields may be changed at any time.

    Attributes:
        url: its root.
        config: answer of `/config`.
        script: what every event stream sends.
        refuse: see `Refuse`.
        files: by path, as the gallery names them.
        joined: requests to join, oldest first.
        cancelled: bodies of requests to cancel.
        requests: method and path of everything.
        uploads: names and bytes of files.
        hung_up: set when a client closes an event stream before its end.
        told: set when a client cancels.
        streaming: set when an event stream has sent something.
        stage: what the Hub says of this Space; `None` for no such Space.
        page: HTML of the Space's page on the Hub.
        jwt: token that the Hub gives to those with cookies.
    """

    url: str = ""
    config: dict[str, Any] = field(default_factory=lambda: config("6.31.0"))
    script: Script = field(default_factory=lambda: says(STARTS, completed("An answer."), CLOSE))
    refuse: Refuse | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    joined: list[Joined] = field(default_factory=list)
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    cancelled: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    streaming: asyncio.Event = field(default_factory=asyncio.Event)
    stage: str | None = "RUNNING"
    page: str = ""
    jwt: str = ""

    def asked(self, path: str) -> list[dict[str, str]]:
        """Headers of all requests to paths that begin so."""
        return [headers for _, asked, headers in self.requests if asked.startswith(path)]

    def application(self) -> web.Application:
        """The server's routes; both prefixes are served, as `/config` decides which is used."""
        app = web.Application(middlewares=[self._written_down], client_max_size=64 * 1024 * 1024)
        app.router.add_get("/config", self._config)
        for prefix in ("", "/gradio_api"):
            app.router.add_post(f"{prefix}/queue/join", self._join)
            app.router.add_get(f"{prefix}/queue/data", self._data)
            app.router.add_post(f"{prefix}/cancel", self._cancel)
            app.router.add_post(f"{prefix}/upload", self._upload)
            app.router.add_get(f"{prefix}/file={{path:.*}}", self._file)
        app.router.add_get("/api/spaces/{space:.+}/host", self._host)
        app.router.add_get("/api/spaces/{space:.+}/jwt", self._jwt)
        app.router.add_get("/api/spaces/{space:.+}", self._space)
        app.router.add_get("/spaces/{space:.+}", self._page)
        return app

    @web.middleware
    async def _written_down(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs, dict(request.headers)))
        if self.refuse is not None and (answer := await self.refuse(request)) is not None:
            return answer
        return await handler(request)

    async def _config(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.config)

    async def _join(self, request: web.Request) -> web.StreamResponse:
        self.joined.append(Joined(await request.json(), dict(request.headers)))
        return web.json_response({"event_id": EVENT_ID})

    async def _data(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        ended = False
        try:
            async for chunk in self.script():
                await response.write(chunk)
                self.streaming.set()
            ended = True
        except Cut:
            ended = True
            assert request.transport is not None
            request.transport.close()
        except ConnectionError:
            pass
        finally:
            if not ended:
                self.hung_up.set()
        return response

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        self.cancelled.append(await request.json())
        self.told.set()
        return web.json_response({"success": True})

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        part = (await request.post())["files"]
        assert isinstance(part, web.FileField)
        self.uploads.append((part.filename, part.file.read()))
        return web.json_response([f"/srv/cache/{part.filename}"])

    async def _file(self, request: web.Request) -> web.StreamResponse:
        data = self.files.get("/" + request.match_info["path"].lstrip("/"))
        if data is None:
            return web.json_response({"detail": "File not allowed"}, status=403)
        return web.Response(body=data, content_type="image/webp")

    async def _host(self, request: web.Request) -> web.StreamResponse:
        if self.stage is None:
            return web.json_response({"error": "Repository not found"}, status=401)
        return web.json_response({"host": self.url})

    async def _space(self, request: web.Request) -> web.StreamResponse:
        if self.stage is None:
            return web.json_response({"error": "Repository not found"}, status=401)
        runtime = {"stage": self.stage, "errorMessage": "no such module"}
        return web.json_response({"id": request.match_info["space"], "runtime": runtime})

    async def _jwt(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"token": self.jwt} if self.jwt else {"error": "no"})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.page, content_type="text/html")


def config(version: str) -> dict[str, Any]:
    """A recorded `/config`."""
    path = TRANSCRIPTS / version / "config.json"
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


@asynccontextmanager
async def faulty_space(**fields: Any) -> AsyncIterator[FaultySpace]:
    """A running server on a free port."""
    space = FaultySpace(**fields)
    runner = web.AppRunner(space.application(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    space.url = f"http://{host}:{port}"
    try:
        yield space
    finally:
        await runner.cleanup()


@pytest.fixture
async def space() -> AsyncIterator[FaultySpace]:
    """A Space that answers well wherever a test does not say otherwise, and has `PICTURES`."""
    async with faulty_space(files={**PICTURES}) as running:
        yield running


def reply(status: int, body: str = "", **headers: str) -> Refuse:
    """A `Refuse` that answers everything alike."""

    async def refuse(_: web.Request) -> web.StreamResponse | None:
        return web.Response(status=status, text=body, headers=headers)

    return refuse


def only(path: str, refuse: Refuse, times: int = 1_000_000) -> Refuse:
    """A `Refuse` for paths that contain `path`, the first `times` times."""
    left = [times]

    async def chosen(request: web.Request) -> web.StreamResponse | None:
        if path not in request.path_qs or left[0] <= 0:
            return None
        left[0] -= 1
        return await refuse(request)

    return chosen


def firstly(*rules: Refuse) -> Refuse:
    """The first rule that answers."""

    async def chosen(request: web.Request) -> web.StreamResponse | None:
        for rule in rules:
            if (answer := await rule(request)) is not None:
                return answer
        return None

    return chosen
