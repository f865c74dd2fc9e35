"""The child process of a Space of our own: started, watched, started again, and ended.

The only place that knows the command line of `bot.space`, its ready line and its exit codes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import structlog

from bot.config.schema import AUTO, PREFIX
from bot.errors import ModelNotServed
from bot.files import OWN_SPACE
from bot.hosts import is_loopback
from bot.support import Backoff

log = structlog.get_logger(__name__)

NAME = OWN_SPACE
"""What recipes and reports call it; its address changes with every start."""

READY = "space ready: "
"""Begins the line on the child's standard output in which its address follows."""

MISCONFIGURED, DOES_NOT_FIT = 2, 3
"""Exit codes with which the child says that starting it again is pointless."""

_AS_CHILD = ("--port", "0", "--with-parent")

SILENT_SECONDS = 300.0
"""Without a word before the ready line, after which a child counts as stuck. Importing the
libraries takes a minute on a small machine; a download takes longer, and says how far it is."""

STEADY_SECONDS = 60.0
"""Having been up for this long, the end of a child counts as a first one again."""

_STOP_SECONDS = 4.0
"""Between asking the child to end and killing it. The turns have ended before, and all of the bot
ends within ten seconds."""

_LAST_WORDS_SECONDS = 2.0
"""To read what is left in the pipes of a child that has ended."""

_CHUNK_BYTES = 4096
"""Read at a time; other tasks go on in between."""

_MAX_LINE_BYTES = 4000
"""A longer line becomes several."""

_LAST_LINES = 3
"""Kept for the sentence that says why the child gave up."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Colours and whatever else would move the cursor of a terminal."""


def command(*options: str, model: str = AUTO) -> tuple[str, ...]:
    """The command line of `bot.space` for a model, as `[[spaces]] model` names it."""
    if model.startswith("~"):
        model = str(Path(model).expanduser())
    chosen = () if model == AUTO else ("--model", model)
    return (sys.executable, "-m", "bot.space", *options, *chosen)


def environment() -> Mapping[str, str]:
    """The child's environment: ours without the bot's settings, among which are its tokens.

    Nor those of a Space: a token that it asked for would be known to nobody.
    """
    ours = (PREFIX, "JANUS_SPACE_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**own, "PYTHONUNBUFFERED": "1"}  # what it said last would be lost when it is killed


@dataclass(slots=True, eq=False)
class Life:
    """One child, from its start to its end.

    Attributes:
        pid: of the process.
        heard: when it last said something, in seconds of the event loop's clock.
        url: its root; empty until it is ready.
        up_since: when it became ready, in seconds of the same clock.
        over: set once it has ended.
    """

    pid: int
    heard: float
    url: str = ""
    up_since: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)


class OwnSpace:
    """A Space as a child process; entered, it is started, and it is kept running until the end.

    What the child writes goes to the log, a line each. It ends with this process however that ends,
    because its standard input closes then. Leaving the block takes `_STOP_SECONDS` at most.

    Args:
        command: of the program.
        silent_seconds: see `SILENT_SECONDS`.
        pauses: before the child is started again.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        silent_seconds: float = SILENT_SECONDS,
        pauses: Backoff | None = None,
    ) -> None:
        self._command = command
        self._silent_seconds = silent_seconds
        self._pauses = pauses or Backoff(1.0, 60.0)
        self._keeping: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        """Set while waiting for the child would be pointless: it is up, or given up."""
        self._life: Life | None = None
        self._refusal = ""
        self._last_words: deque[str] = deque(maxlen=_LAST_LINES)

    @classmethod
    def of_model(cls, model: str) -> Self:
        """The Space that `[[spaces]] model` stands for."""
        return cls(command(*_AS_CHILD, model=model))

    @classmethod
    def stand_in(cls) -> Self:
        """A Space without a model."""
        return cls(command(*_AS_CHILD, "--stand-in"))

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(), name="own Space")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping

    @property
    def life(self) -> Life | None:
        """The child that is up now, if one is."""
        return self._life

    async def up(self) -> Life:
        """Wait until the child is up, however long that takes.

        Raises:
            ModelNotServed: it will never be.

        Cancelling: changes nothing.
        """
        while True:
            await self._settled.wait()
            if self._refusal:
                raise ModelNotServed(self._refusal)
            if self._life is not None:
                return self._life

    async def _keep(self) -> None:
        """Run one child after the other, until one says that it is pointless."""
        while True:
            self._last_words.clear()
            code, steady = await self._live()
            if code in {MISCONFIGURED, DOES_NOT_FIT}:
                self._give_up(code)
                return
            if steady:
                self._pauses.reset()
            pause = self._pauses.next()
            log.warning("own Space ended; it is started again", code=code, next_try=pause)
            await asyncio.sleep(pause)

    def _give_up(self, code: int) -> None:
        said = " ".join(self._last_words) or "It did not say why."
        self._refusal = f"The model is not started. {said}"
        self._settled.set()
        why = "does not fit" if code == DOES_NOT_FIT else "cannot work as configured"
        log.error("own Space is given up", reason=why, code=code, said=said)

    async def _live(self) -> tuple[int | None, bool]:
        """Run one child to its end; its exit code, and whether it was up for a good while.

        Cancelling: ends the child.
        """
        loop = asyncio.get_running_loop()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,  # closes with this process, however that ends
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the bot, which ends it after its turns
                env=environment(),
            )
        except OSError as error:
            log.warning("own Space cannot be started", reason=error.strerror)
            return None, False
        life = Life(process.pid, loop.time())
        log.info("own Space starts", pid=process.pid)
        reading = [
            asyncio.create_task(self._listen(process.stdout, life, announces=True)),
            asyncio.create_task(self._listen(process.stderr, life, announces=False)),
        ]
        watch = asyncio.create_task(self._kill_if_stuck(process, life))
        try:
            await process.wait()
        finally:
            watch.cancel()
            self._down(life)
            await _end(process)
            _, unread = await asyncio.wait(reading, timeout=_LAST_WORDS_SECONDS)
            for task in unread:
                task.cancel()
        steady = bool(life.url) and loop.time() - life.up_since >= STEADY_SECONDS
        return process.returncode, steady

    async def _listen(
        self, stream: asyncio.StreamReader | None, life: Life, *, announces: bool
    ) -> None:
        assert stream is not None  # noqa: S101 - asked for above
        lines = Lines()
        while True:
            chunk = await stream.read(_CHUNK_BYTES)
            life.heard = asyncio.get_running_loop().time()
            for line in lines.feed(chunk):
                url = _address(line) if announces and not life.url else ""
                if url:
                    self._ready(life, url)
                else:
                    self._last_words.append(line)
                    log.info("own Space says", line=line)
            if not chunk:
                return
            await asyncio.sleep(0)  # reading what is there already lets nobody else run

    def _ready(self, life: Life, url: str) -> None:
        if life.over.is_set():
            return
        life.url, life.up_since = url, asyncio.get_running_loop().time()
        self._life = life
        self._settled.set()
        log.info("own Space is up", url=url)

    def _down(self, life: Life) -> None:
        life.over.set()
        self._life = None
        self._settled.clear()

    async def _kill_if_stuck(self, process: asyncio.subprocess.Process, life: Life) -> None:
        clock = asyncio.get_running_loop().time
        while not life.url:
            left = life.heard + self._silent_seconds - clock()
            if left <= 0:
                log.warning("own Space is stuck and killed", seconds=self._silent_seconds)
                _kill(process)
                return
            await asyncio.sleep(left)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the child if it runs, and whatever it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
    _kill(process)
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the child with all of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _address(line: str) -> str:
    """The address that a ready line names; empty for any other line."""
    if not line.startswith(READY):
        return ""
    url = line.removeprefix(READY).strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and parts.port and is_loopback(parts.hostname or "")
    except ValueError:
        usable = False
    return url.rstrip("/") if usable else ""


class Lines:
    """Cuts what a program writes into lines.

    A line ends where the program says so, where it begins one anew as progress bars do, and where
    it would become too long.
    """

    def __init__(self) -> None:
        self._left = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that are complete now, without empty ones; all that is left for `b""`."""
        parts = re.split(rb"[\r\n]+", self._left + chunk)
        self._left = parts.pop() if chunk else b""
        while len(self._left) > _MAX_LINE_BYTES:
            parts.append(self._left[:_MAX_LINE_BYTES])
            self._left = self._left[_MAX_LINE_BYTES:]
        lines = (_CONTROL.sub("", part.decode("utf-8", "replace")).rstrip() for part in parts)
        return [line for line in lines if line]
