"""A server that replays the wire of Gradio 6.31, as fast as Python can. Runs by itself.

    python benchmarks/_replay.py [SECONDS]

It answers what the original app's server answers, from its recordings: `/config`, uploads, joining
the queue, and the event stream with an answer so many seconds after the join. No library of HTTP is
between, so that what is measured is the client. Sessions may be shared by many events, as
gradio_client does it.

A question with `[streamed]` in it is answered in pieces, as by a function that is a generator.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READY = "ready: "

_TRANSCRIPTS = Path(__file__).parent.parent / "tests" / "transcripts" / "6.31.0"
_LINE = re.compile(r'SSE\d* (data: \{"msg".*\})$')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SESSION = re.compile(rb"session_hash=([\w-]+)")
_CLOSE = b'data: {"msg":"close_stream","event_id":null}\n\n'
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n"
)


def recorded(name: str) -> list[bytes]:
    """The events of the first call of a recording, with `EVENT` for the id."""
    events: list[bytes] = []
    for line in (_TRANSCRIPTS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if match := _LINE.search(line):
            if '"close_stream"' in line:
                break
            text = re.sub(r'"event_id":"\w+"', '"event_id":"EVENT"', match[1])
            events.append(f"{text}\n\n".encode())
    return events


def api_info(config: dict[str, Any]) -> dict[str, Any]:
    """What gradio_client wants to know of the functions: how many values each takes."""
    named = {
        f"/{entry['api_name']}": {
            "parameters": [
                {"parameter_name": f"value{index}", "parameter_has_default": False}
                for index, _ in enumerate(entry["inputs"])
            ],
            "returns": [],
            "api_visibility": "public",
        }
        for entry in config["dependencies"]
    }
    return {"named_endpoints": named, "unnamed_endpoints": {}}


@dataclass
class Session:
    """Events of one `session_hash`, and the stream that they go to once it is there."""

    pending: int = 0
    waiting: list[bytes] = field(default_factory=list)
    stream: asyncio.Transport | None = None

    def say(self, data: bytes) -> None:
        """Send an event now, or as soon as the stream is opened."""
        if self.stream is None:
            self.waiting.append(data)
        else:
            self.stream.write(b"%x\r\n%b\r\n" % (len(data), data))

    def listen(self, stream: asyncio.Transport) -> None:
        """Send what has waited, and from now on everything, to `stream`."""
        self.stream = stream
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            self.say(data)
        self.end()

    def end(self) -> None:
        """Close the stream if nothing is pending."""
        if self.pending == 0 and self.stream is not None:
            self.say(_CLOSE)
            self.stream.write(b"0\r\n\r\n")
            self.stream = None


class Space:
    """What the recordings say, and the sessions.

    Args:
        seconds: from the start of an event to its answer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        raw = json.loads((_TRANSCRIPTS / "config.json").read_text(encoding="utf-8"))
        # With it, gradio_client would hold a second stream open.
        raw["connect_heartbeat"] = False
        self.config = json.dumps(raw).encode()
        self.info = json.dumps(api_info(raw)).encode()
        self.whole, self.streamed = recorded("text"), recorded("stream")
        self.sessions: dict[bytes, Session] = {}

    def join(self, body: bytes) -> bytes:
        """Take a request into the queue."""
        asked = json.loads(body)
        name = asked["session_hash"].encode()
        session = self.sessions.setdefault(name, Session())
        session.pending += 1
        event_id = secrets.token_hex(16)
        streamed = "[streamed]" in asked["data"][1]
        events = self.streamed if streamed else self.whole
        events = [event.replace(b"EVENT", event_id.encode()) for event in events]
        self._play(name, session, events)
        return json.dumps({"event_id": event_id}).encode()

    def listen(self, name: bytes, stream: asyncio.Transport) -> None:
        """Let a session's events go to `stream`."""
        session = self.sessions.get(name, Session())
        session.listen(stream)
        if session.pending == 0:
            self.sessions.pop(name, None)

    def _play(self, name: bytes, session: Session, events: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        first = next(i for i, event in enumerate(events) if b'"process_starts"' in event) + 1
        for event in events[:first]:
            session.say(event)
        rest = events[first:]
        for number, event in enumerate(rest, start=1):
            loop.call_later(self._seconds * number / len(rest), session.say, event)
        loop.call_later(self._seconds, self._over, name, session)

    def _over(self, name: bytes, session: Session) -> None:
        session.pending -= 1
        session.end()
        if session.pending == 0 and not session.waiting:
            self.sessions.pop(name, None)


class Connection(asyncio.Protocol):
    """One client's connection: requests with a length, one after the other."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._data = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._data[:end])
            length = int(match[1]) if (match := _LENGTH.search(head)) else 0
            if len(self._data) < end + 4 + length:
                return
            body = bytes(self._data[end + 4 : end + 4 + length])
            del self._data[: end + 4 + length]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        space, path = self._space, head.split(b" ", 2)[1]
        if path.startswith(b"/gradio_api/queue/data"):
            match = _SESSION.search(path)
            assert match is not None
            self._transport.write(_STREAM)
            space.listen(match[1], self._transport)
            return
        if path.startswith(b"/gradio_api/queue/join"):
            answer = space.join(body)
        elif path.startswith(b"/gradio_api/upload"):
            answer = b'["/srv/space/cache/picture.png"]'
        elif path.startswith(b"/gradio_api/info"):
            answer = space.info
        else:
            answer = space.config
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(answer), answer)
        )


async def serve(seconds: float) -> None:
    """Serve on a free port until killed."""
    space = Space(seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(space), "127.0.0.1", 0, backlog=1000)
    host, port = server.sockets[0].getsockname()
    print(f"{READY}http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
