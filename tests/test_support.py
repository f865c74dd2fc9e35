"""What several parts share: backoff, background tasks, bounded reading, durable files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.errors import StorageError
from bot.support import (
    BackgroundTasks,
    Backoff,
    TooManyBytes,
    read_bounded,
    skipped_when_broken,
    write_durably,
)


@given(first=st.floats(0.001, 100), highest=st.floats(0.001, 1000), count=st.integers(1, 30))
def test_pauses_grow_up_to_their_limit(first: float, highest: float, count: int) -> None:
    backoff = Backoff(first, highest)
    pauses = [backoff.next() for _ in range(count)]
    assert pauses == [min(highest, first * 2**tried) for tried in range(count)]


def test_after_a_success_pauses_begin_anew() -> None:
    backoff = Backoff(1, 30)
    assert [backoff.next() for _ in range(3)] == [1, 2, 4]
    backoff.reset()
    assert backoff.next() == 1


async def test_background_tasks_are_held_until_they_end() -> None:
    tasks = BackgroundTasks()
    release = asyncio.Event()
    task = tasks.start(release.wait(), name="waiting")
    assert (len(tasks), task.get_name()) == (1, "waiting")
    release.set()
    assert await task
    assert len(tasks) == 0


async def test_closing_cancels_and_waits_for_what_still_runs() -> None:
    tasks, ended = BackgroundTasks(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    started = [tasks.start(work()) for _ in range(3)]
    await asyncio.sleep(0)
    await tasks.close()
    assert all(task.cancelled() for task in started)
    assert len(ended) == 3
    await tasks.close()


async def _stream(chunks: Sequence[bytes], read: list[int]) -> AsyncIterator[bytes]:
    for number, chunk in enumerate(chunks):
        read.append(number)
        yield chunk


@given(chunks=st.lists(st.binary(max_size=8), max_size=8), limit=st.integers(0, 40))
def test_a_stream_is_read_whole_or_refused_at_the_chunk_that_is_too_much(
    chunks: list[bytes], limit: int
) -> None:
    whole, read = b"".join(chunks), list[int]()

    async def run() -> bytes:
        return await read_bounded(_stream(chunks, read), limit)

    if len(whole) <= limit:
        assert asyncio.run(run()) == whole
        return
    with pytest.raises(TooManyBytes):
        asyncio.run(run())
    before = sum(len(chunks[number]) for number in read[:-1])
    assert before <= limit


def test_a_file_is_written_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.json"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["file.json"]  # noqa: PTH208 - hidden ones as well


def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"", mode=0o644)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_what_was_there_stays_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - hidden ones as well


async def test_background_tasks_may_end_by_themselves() -> None:
    """Within the grace that they are given; what takes longer is cancelled."""
    ended, tasks = list[str](), BackgroundTasks()

    async def work(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        ended.append(name)

    tasks.start(work("short", 0.01))
    tasks.start(work("long", 600))
    await tasks.close(grace_seconds=0.3)
    assert ended == ["short"]
    assert len(tasks) == 0


@pytest.mark.parametrize(
    "fault", [KeyError("a bug"), AssertionError("another"), OSError("a third")]
)
def test_a_broken_event_is_skipped_and_logged(fault: Exception) -> None:
    """With its traceback, and with what tells which one it was."""

    def handle() -> None:
        raise fault

    with capture_logs() as logs, skipped_when_broken(structlog.get_logger(), "skipped", update=7):
        handle()
    (line,) = logs
    assert (line["event"], line["update"], line["log_level"]) == ("skipped", 7, "error")
    assert line["exc_info"]


@pytest.mark.parametrize("error", [StorageError("disk full"), asyncio.CancelledError()])
def test_an_event_that_was_not_stored_is_not_skipped(error: BaseException) -> None:
    """It is to be handled again."""
    with pytest.raises(type(error)), skipped_when_broken(structlog.get_logger(), "skipped"):
        raise error
