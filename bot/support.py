"""Small things that several parts share, and that no library does better.

For dictionaries that forget, use `cachetools` (`LRUCache`, `TTLCache`, `FIFOCache`) directly.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bot.errors import StorageError

if TYPE_CHECKING:
    # Its import takes a fifth of a second, and the provider by itself needs none of it.
    from structlog.stdlib import BoundLogger

_T = TypeVar("_T")


class TooManyBytes(Exception):
    """A source gave more bytes than its reader accepts."""


class Backoff:
    """Pauses between failures, each twice as long as the last.

    Args:
        first_seconds: the first pause; above 0.
        max_seconds: no pause is longer.
    """

    def __init__(self, first_seconds: float, max_seconds: float) -> None:
        self._first = min(first_seconds, max_seconds)
        self._max = max_seconds
        self._pause = self._first

    def next(self) -> float:
        """Seconds to wait before the next try."""
        pause = self._pause
        self._pause = min(self._max, 2 * pause)
        return pause

    def reset(self) -> None:
        """It worked: the next failure counts as a first one again."""
        self._pause = self._first


class BackgroundTasks:
    """Tasks that nobody awaits, held until they end (asyncio itself holds them only weakly)."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, _T], *, name: str | None = None) -> asyncio.Task[_T]:
        """Start some work beside the caller.

        An exception that nobody collects goes to the event loop's handler, as usual.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Cancel all of them and wait for their end. Their errors are dropped.

        Args:
            grace_seconds: how long they may take to end by themselves first.

        Cancelling: they are cancelled at once.
        """
        tasks = list(self._tasks)
        try:
            if tasks and grace_seconds:
                await asyncio.wait(tasks, timeout=grace_seconds)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def skipped_when_broken(log: BoundLogger, event: str, **fields: object) -> Iterator[None]:
    """Handle one event of a platform: an error in it costs that event and no other.

    The one place where unexpected errors of handlers end; they are logged with their traceback. A
    `StorageError` passes, because then nothing was stored and the event must be handled again.

    Args:
        log: of the module whose event it is.
        event: what the line in the log says, e.g. `"update skipped"`.
        fields: what else it says.

    Raises:
        StorageError: nothing could be stored.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception:
        log.exception(event, **fields)


async def read_bounded(chunks: AsyncIterable[bytes], max_bytes: int) -> bytes:
    """All bytes of a stream, e.g. the body of a download.

    Raises:
        TooManyBytes: more than `max_bytes` came; nothing is read beyond the chunk that exceeded
            it.
    """
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > max_bytes:
            raise TooManyBytes(f"more than {max_bytes} bytes")
    return bytes(data)


def write_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that it is there whole or not at all, and survives a power failure.

    The folder is made if it is not there. While being written the file has another name in the same
    folder, a dot followed by its own name; a process that dies leaves such a file behind. Blocks
    for the disk, so an event loop runs it in a thread.

    Args:
        path: replaced if it is there already.
        data: all of it.
        mode: permissions of the file, whatever the umask.

    Raises:
        OSError: the disk refused; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)  # still there only if something went wrong
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk: a new file survives only once its name does.

    Raises:
        OSError: the disk refused.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
