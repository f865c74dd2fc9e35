"""What the bot does besides answering: keeps its store small, and notices a new configuration."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from bot.config import Config
from bot.errors import ConfigError, StorageError
from bot.turns.settings import Preferences

log = structlog.get_logger(__name__)

HOUR = 3600.0
HOURS_A_DAY = 24
GLANCE = 2.0
"""Seconds between two looks at the configuration file."""


class Tidied(Protocol):
    """Forgets old turns and pictures that are too many; see `bot.storage.Keeper`."""

    async def expired(self, default_days: int) -> int:
        """Delete the turns that are older than their channel keeps them, and lonely pictures.

        Args:
            default_days: for channels without a setting of their own; 0 for ever.

        Returns:
            How many turns were deleted.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def trim(self, max_bytes: int) -> int:
        """Remove the oldest pictures, until those that stay have at most so many bytes.

        Args:
            max_bytes: 0 for any number.

        Returns:
            How many were removed.

        Raises:
            StorageError: the database or the disk cannot be used.
        """
        ...


async def keep_house(store: Tidied, preferences: Preferences, max_bytes: int) -> None:
    """Delete what is too old, now and every day, and what is too much every hour, until cancelled.

    Args:
        store: what is kept.
        preferences: their default says how long.
        max_bytes: of all pictures together; 0 for any number.
    """
    for hour in itertools.count():
        try:
            if hour % HOURS_A_DAY == 0:
                count = await store.expired(preferences.defaults.retention)
                log.info("old requests forgotten", count=count)
            if removed := await store.trim(max_bytes):
                log.warning("oldest pictures removed: storage.max_pictures_mb", count=removed)
        except StorageError as error:
            log.error("nothing forgotten now", reason=str(error))  # noqa: TRY400 - no bug
        await asyncio.sleep(HOUR)


async def follow(path: Path, load: Callable[[], Config], apply: Callable[[Config], None]) -> None:
    """Load the configuration anew whenever its file changes, until cancelled.

    A file that is wrong changes nothing; the log says what is wrong with it.

    Args:
        path: the file; it may come and go.
        load: reads it.
        apply: takes what can be changed while running.
    """
    before = _stamp(path)
    while True:
        await asyncio.sleep(GLANCE)
        now = _stamp(path)
        if now == before:
            continue
        before = now
        began = time.monotonic()
        try:
            config = await asyncio.to_thread(load)
        except ConfigError as error:
            log.warning("configuration not changed: the file is wrong", problem=str(error))
        else:
            apply(config)
            log.info(
                "configuration changed",
                effect="limits, access, admins, language and defaults of settings; "
                "everything else after a restart",
                seconds=round(time.monotonic() - began, 3),
            )


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tells one version of a file from another."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
