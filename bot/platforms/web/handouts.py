"""Files that the bot hands out beside its pictures, such as an export: on disk for some minutes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bot.files import File
from bot.models import JsonObject

KEEP_SECONDS = 900.0
"""How long a file can be fetched, again and again: a download that breaks off is begun anew."""

MOST_KEPT = 64
"""Files at a time; a further one takes the place of the oldest."""

_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Handout:
    name: str
    media_type: str
    until: float


class Handouts:
    """Keeps files under names that nobody guesses. Whoever knows one may fetch it.

    Args:
        folder: for these files only; what an earlier process left there is removed by `clear`.
        clock: monotonic seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._kept: dict[str, _Handout] = {}

    async def add(self, file: File) -> JsonObject:
        """Keep a file, and tell the page about it.

        Raises:
            OSError: it cannot be written.

        Cancelling: the file may be kept until it is old.
        """
        while len(self._kept) >= MOST_KEPT:
            self._remove(next(iter(self._kept)))
        key = secrets.token_hex(16)
        name = _UNUSUAL.sub("_", file.name)[-100:]
        self._kept[key] = _Handout(name, file.media_type, self._clock() + KEEP_SECONDS)
        try:
            await asyncio.to_thread(_write, self._folder / key, file.data)
        except OSError:
            self._remove(key)
            raise
        return {
            "url": f"/files/{key}",
            "name": name,
            "type": file.media_type,
            "size": len(file.data),
        }

    def response(self, key: str) -> web.FileResponse:
        """A file as it is served: to be saved, never to be run.

        Raises:
            KeyError: it is not kept, or not any more.
        """
        self.sweep()
        handout = self._kept[key]
        return web.FileResponse(
            self._folder / key,
            headers={
                "Content-Type": handout.media_type,
                "Content-Disposition": f'attachment; filename="{handout.name}"',
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cache-Control": "private, no-store",
            },
        )

    def sweep(self) -> None:
        """Remove what is old."""
        now = self._clock()
        for key in [key for key, each in self._kept.items() if each.until <= now]:
            self._remove(key)

    def clear(self) -> None:
        """Remove everything, also what an earlier process left. Blocks as the disk does."""
        self._kept.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _remove(self, key: str) -> None:
        del self._kept[key]
        with contextlib.suppress(OSError):  # removed with all others at the next start
            (self._folder / key).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb", opener=_private) as file:
        file.write(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
