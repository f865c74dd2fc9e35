"""The configuration is followed, and what is too old is forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot import housekeeping
from bot.builders import defaults, policy
from bot.config import Config, load
from bot.errors import StorageError
from bot.i18n import Catalogue
from bot.storage import RecordStore, Storage
from bot.turns.settings import ChannelSettings, Settings


async def test_a_changed_file_is_taken_over_and_a_wrong_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart; a mistake leaves what was."""
    monkeypatch.setattr(housekeeping, "GLANCE_SECONDS", 0.01)
    path = tmp_path / "config.toml"
    path.write_text("[limits]\nturns_per_minute = 6\n")
    applied: asyncio.Queue[Config] = asyncio.Queue()
    loads = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def loading() -> Config:
        try:
            return load(path, {})
        finally:
            loop.call_soon_threadsafe(loads.release)

    task = asyncio.create_task(housekeeping.follow(path, loading, applied.put_nowait))
    try:
        async with asyncio.timeout(60):
            await asyncio.sleep(0)  # the task looks at the file as it is
            path.write_text("[limits]\nturns_per_minute = 1\n[access]\nallow = ['telegram:1']\n")
            config = await applied.get()
            await loads.acquire()
            assert policy(config).allowance.turns_per_minute == 1
            assert policy(config).rules.allow == {"telegram:1"}
            path.write_text("[limits]\nturns_per_minute = 'many'\n")
            await loads.acquire()
            path.write_text("[history]\nmessages = 3\n")
            assert defaults(await applied.get()).history == 3
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_too_old_goes_daily_and_what_is_too_much_hourly(
    monkeypatch: pytest.MonkeyPatch, file_storage: Storage
) -> None:
    """From the start on, and a full disk in between does not end it."""
    monkeypatch.setattr(housekeeping, "HOUR_SECONDS", 0.0)
    asked: asyncio.Queue[str] = asyncio.Queue(60)

    class Kept(RecordStore):
        def __init__(self) -> None:
            """Needs no database."""

        async def expired(self, default_days: int) -> int:
            await asked.put(f"older than {default_days} days")
            return 0

        async def trim(self, max_bytes: int) -> int:
            await asked.put(f"above {max_bytes} bytes")
            if asked.qsize() == 2:
                raise StorageError("The disk is full.")
            return 1

    settings = ChannelSettings(file_storage.channels, Catalogue(), Settings(retention=30), "en")
    task = asyncio.create_task(housekeeping.keep_house(Kept(), settings, 5))
    async with asyncio.timeout(60):
        seen = [await asked.get() for _ in range(50)]
    day = ["older than 30 days", *["above 5 bytes"] * 24]
    assert seen == day * 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
