"""Runs a Space in this process until it is told to end: its socket, signals and temporary folder.

Importing this module is cheap: Gradio is imported by `serve`, after its environment is set.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from bot.errors import ConfigError
from bot.space.engine import Engine

READY = "space ready: "
"""Begins the one line on standard output; the rest of the line is the URL."""

_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Keeps the libraries, which read it when they are imported, from reporting to anybody."""


def announce(url: str) -> None:
    """Print the line for which a program that starts this one waits."""
    print(f"{READY}{url}", flush=True)  # noqa: T201 - this line is the interface


@dataclass(frozen=True, slots=True)
class Door:
    """Where to listen, and who may come in.

    Attributes:
        host: address to listen on.
        port: 0 for any free one.
        access_tokens: one of them is asked for; needed where other machines can connect.
        on_hugging_face: Hugging Face stands in front, decides who comes in, and shows the page in a
            frame of its own.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    access_tokens: Sequence[str] = ()
    on_hugging_face: bool = False


def serve(
    engine: Engine,
    door: Door,
    *,
    queue_size: int = 32,
    concurrency: int = 1,
    ready: Callable[[str], None] = announce,
) -> None:
    """Serve until SIGINT or SIGTERM, then end within about a second.

    Must be called in the main thread, once in a process. Everything that is written lies in a
    temporary folder, which is gone afterwards.

    Args:
        engine: answers and draws.
        door: where to listen.
        queue_size: requests that may wait; further ones are refused. 0 for no limit.
        concurrency: calls of each function that run at the same time.
        ready: called with the URL once requests are answered.

    Raises:
        ConfigError: Gradio is not installed, or the address cannot be used, or everybody who
            reaches it could use the Space.
    """
    host, is_local = door.host, _is_local(door.host)
    if not (is_local or door.access_tokens or door.on_hugging_face):
        raise ConfigError(
            f"Everybody who reaches {host} could use the Space. Add --access-token, or listen on "
            "127.0.0.1."
        )
    with (
        _ended_by_signals(),
        tempfile.TemporaryDirectory(prefix="janus-space-") as folder,
        _environment({**_ENVIRONMENT, "GRADIO_TEMP_DIR": folder}),
        _listening(host, door.port) as listener,
    ):
        try:
            from bot.space import app, calls  # noqa: PLC0415 - reads the environment set above
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"Serving a Space needs {error.name}: pip install 'janus-bot[space]'"
            ) from error
        url = _url(host, listener.getsockname()[1])
        server = app.server(
            engine,
            lambda: ready(url),
            calls.Calls(
                door.access_tokens, is_local=is_local, on_hugging_face=door.on_hugging_face
            ),
            queue_size=queue_size,
            concurrency=concurrency,
        )
        server.run(sockets=[listener])


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an orderly end of the block, at any moment of it.

    uvicorn handles both while it serves, and raises them again when it has ended.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end(_signal: int, _frame: FrameType | None) -> None:
        for number in numbers:  # a second one must not interrupt the cleaning up
            signal.signal(number, signal.SIG_IGN)
        raise _Ended

    previous: dict[signal.Signals, Any] = {number: signal.signal(number, end) for number in numbers}
    try:
        with contextlib.suppress(_Ended):
            yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Ended(BaseException):
    """A signal asked for the end; not an `Exception`, because no handler of failures may see it."""


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket. Bound before Gradio is imported, so that a port in use is known at once.

    Raises:
        ConfigError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        # By number: the text of the error itself repeats the address.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise ConfigError(f"Cannot listen on {host}:{port}: {reason}") from error
    with listener:
        yield listener


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
