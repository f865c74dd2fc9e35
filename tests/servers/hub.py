"""A small Hugging Face on 127.0.0.1: what huggingface_hub and the download ask of the real one.

It speaks the list of a model's files with their hashes, HEAD with the headers by which files are
cached, large files by a redirect to another path, and ranges. It can be told to fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 100_000
"""Files from this size on are kept as the hub keeps large ones."""


@dataclass
class FakeHub:
    """What the server has, what it was asked, and how it is to fail.

    Attributes:
        endpoint: its address.
        store: where large files are, as on the hub under another name.
        models: contents by repository and name.
        asked: "METHOD path" of every request, with the range if there was one.
        refusals: statuses for the next requests, used up one by one; 0 lets one pass.
        error_code: sent along with a refusal, as the hub does.
        cut_after: the connection is cut after so many bytes of a content, once for each entry.
        changed: contents that are sent in place of those that were promised.
        ignores_ranges: sends the whole file whatever was asked.
        hold: a cut connection stays open until this is set.
        tokens: `Authorization` headers, with the name under which the server was asked.
    """

    endpoint: str = ""
    store: str = ""
    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    error_code: str = ""
    cut_after: list[int] = field(default_factory=list)
    changed: dict[str, bytes] = field(default_factory=dict)
    ignores_ranges: bool = False
    hold: threading.Event | None = None
    tokens: set[tuple[str, str]] = field(default_factory=set)

    def contents(self) -> list[str]:
        """Ranges of the large contents that were asked for."""
        return [each.removeprefix("GET /large/") for each in self.asked if "GET /large/" in each]


def digest(content: bytes) -> str:
    """The name that a content has in the cache."""
    if len(content) >= LARGE_BYTES:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's


def described(name: str, content: bytes) -> Mapping[str, object]:
    """A file as the list of files has it."""
    entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": digest(content)}
    if len(content) >= LARGE_BYTES:
        sha = digest(content)
        entry |= {
            "blobId": sha[:40],
            "lfs": {"sha256": sha, "size": len(content), "pointerSize": 135},
        }
    return entry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing: what was asked is kept."""

    def _answer(self, *, with_body: bool) -> None:
        path, hub = unquote(urlsplit(self.path).path), self.hub
        part = self.headers.get("range", "")
        host = self.headers.get("host", "").partition(":")[0]
        hub.tokens.add((host, self.headers.get("authorization", "")))
        hub.asked.append(f"{self.command} {path} {part}".strip())
        if hub.refusals and (status := hub.refusals.pop(0)):
            self._send(status, {"X-Error-Code": hub.error_code} if hub.error_code else {}, b"no")
            return
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/.+)?", path):
            self._list(found[1])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self._resolve(found[1], found[2], with_body=with_body)
        elif found := re.fullmatch(r"/large/([^/]+/[^/]+)/(.+)", path):
            self._content(found[2], hub.models[found[1]][found[2]])
        else:
            self._send(404, {}, b"")

    def _list(self, model: str) -> None:
        files = self.hub.models.get(model)
        if files is None:
            self._send(404, {"X-Error-Code": "RepoNotFound"}, b"{}")
            return
        listed = [described(name, content) for name, content in files.items()]
        body = {"id": model, "modelId": model, "sha": COMMIT, "siblings": listed}
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, model: str, name: str, *, with_body: bool) -> None:
        content = self.hub.models.get(model, {}).get(name)
        if content is None:
            code = "EntryNotFound" if model in self.hub.models else "RepoNotFound"
            self._send(404, {"X-Error-Code": code, "X-Repo-Commit": COMMIT}, b"")
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(content)}"'}
        if len(content) >= LARGE_BYTES:
            headers |= {
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{digest(content)}"',
                "Location": f"{self.hub.store}/large/{model}/{name}",
            }
            self._send(302, headers, b"")
        elif with_body:
            self._content(name, content, headers)
        else:
            self._send(200, headers | {"Content-Length": str(len(content))}, None)

    def _content(self, name: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        hub = self.hub
        content = hub.changed.get(name, content)
        status, sent = 200, content
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if found and not hub.ignores_ranges:
            begin = int(found[1])
            if begin >= len(content):
                self._send(416, {}, b"")
                return
            status, sent = 206, content[begin:]
        self.send_response(status)
        for key, value in ((headers or {}) | {"Content-Length": str(len(sent))}).items():
            self.send_header(key, value)
        self.end_headers()
        if len(content) >= LARGE_BYTES and hub.cut_after:
            self.wfile.write(sent[: hub.cut_after.pop(0)])
            self.wfile.flush()
            if hub.hold is not None:
                hub.hold.wait(60)
            self.close_connection = True
            return
        self.wfile.write(sent)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: whoever asked may hang up."""


@contextlib.contextmanager
def running_hub() -> Iterator[FakeHub]:
    """The server, until the block ends."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    hub.store = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        if hub.hold is not None:
            hub.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
