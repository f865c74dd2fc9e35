"""What the bot does besides answering: keeps its store small, and notices a new configuration."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from bot.config import Config
from bot.errors import ConfigError, StorageError
from bot.storage import RecordStore
from bot.turns.settings import ChannelSettings

log = structlog.get_logger(__name__)

HOUR_SECONDS = 3600.0
_HOURS_A_DAY = 24
GLANCE_SECONDS = 2.0
"""Between two looks at the configuration file."""


async def keep_house(records: RecordStore, settings: ChannelSettings, max_bytes: int) -> None:
    """Delete what is too old, now and every day, and what is too much every hour, until cancelled.

    Args:
        records: what is kept.
        settings: their default says how long.
        max_bytes: of all pictures together; 0 for any number.
    """
    for hour in itertools.count():
        try:
            if hour % _HOURS_A_DAY == 0:
                count = await records.expired(settings.defaults.retention)
                log.info("old requests forgotten", count=count)
            if removed := await records.trim(max_bytes):
                log.warning("oldest pictures removed: storage.max_pictures_mb", count=removed)
        except StorageError as error:
            log.error("nothing forgotten now", reason=str(error))  # noqa: TRY400 - no bug
        await asyncio.sleep(HOUR_SECONDS)


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
        await asyncio.sleep(GLANCE_SECONDS)
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
