"""`janus-bot ask` and `imagine` on a terminal and interrupted, on a Space that a test directs."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.running_bot import environment
from tests.servers.faulty_space import (
    CLOSE,
    STARTS,
    FaultySpace,
    completed,
    event,
    says,
)

pytestmark = pytest.mark.timeout(400)

WAIT = 120
"""Seconds that a command may take to start, on a busy machine."""


async def started(folder: Path, *arguments: str, terminal: int) -> asyncio.subprocess.Process:
    """A command with all that it reads and writes on a terminal."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=folder,
        env={**environment(folder), "TERM": "xterm", "COLUMNS": "80"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )


class Written:
    """What comes out of a terminal, as it comes."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._data = b""
        self._more = asyncio.Condition()
        self._reading = asyncio.ensure_future(self._read())

    async def shows(self, words: str) -> None:
        """Wait until these words stood on it."""
        async with asyncio.timeout(WAIT), self._more:
            await self._more.wait_for(lambda: words.encode() in self._data)

    async def whole(self) -> str:
        """All that came until the other side was closed."""
        await self._reading
        return self._data.decode()

    async def _read(self) -> None:
        while chunk := await asyncio.to_thread(self._chunk):
            async with self._more:
                self._data += chunk
                self._more.notify_all()

    def _chunk(self) -> bytes:
        try:
            return os.read(self._terminal, 65536)
        except OSError:  # so Linux tells that the other side was closed
            return b""


async def test_progress_is_live_and_gone_when_the_answer_comes(
    space: FaultySpace, tmp_path: Path
) -> None:
    """One line that is rewritten, then the words, without anything that steers the terminal."""
    ours, theirs = pty.openpty()
    terminal = Written(ours)

    async def script() -> AsyncIterator[bytes]:
        yield event("estimation", rank=2, queue_size=7)
        await terminal.shows("waiting: 3rd of 7")
        yield STARTS
        yield completed("A \x1b[2J\x07red fox.")
        yield CLOSE

    space.script = script
    try:
        process = await started(
            tmp_path, "ask", "What is it?", "--space", space.url, terminal=theirs
        )
        os.close(theirs)
        written = await terminal.whole()
        code = await process.wait()
    finally:
        os.close(ours)
    assert code == 0, written
    assert written.rstrip().endswith("A [2Jred fox.")
    assert "\x1b[2K" in written  # the live line was taken away
    assert "\x1b[2J" not in written
    assert "\x07" not in written


async def test_a_pipe_gets_the_words_as_they_are(space: FaultySpace, tmp_path: Path) -> None:
    """Plain lines of progress, and not a byte of the answer changed."""
    space.script = says(STARTS, completed("A \x1b[1mred\x1b[0m fox."), CLOSE)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "ask", "What?", "--space", space.url),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert (process.returncode, output) == (0, b"A \x1b[1mred\x1b[0m fox.\n"), errors.decode()
    assert b"the model is running\n" in errors
    assert b"\x1b" not in errors


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children be interrupted; whoever runs in the background passes on that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("command", ["ask", "imagine"])
async def test_ctrl_c_cancels_on_the_space(
    space: FaultySpace, tmp_path: Path, command: str
) -> None:
    """It hangs up, tells the Space, says nothing more and ends as shells expect."""

    async def forever() -> AsyncIterator[bytes]:
        yield STARTS
        await asyncio.Event().wait()

    space.script = forever
    ours, theirs = pty.openpty()
    terminal = Written(ours)
    try:
        process = await started(tmp_path, command, "a fox", "--space", space.url, terminal=theirs)
        os.close(theirs)
        await asyncio.wait_for(space.streaming.wait(), WAIT)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), WAIT) == 130
        written = await terminal.whole()
    finally:
        os.close(ours)
    assert len(space.cancelled) == 1
    await asyncio.wait_for(space.hung_up.wait(), WAIT)
    assert "Traceback" not in written
    assert not list(tmp_path.glob("*.png"))
