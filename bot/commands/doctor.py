"""`janus-bot doctor`: checks everything that the bot needs, and says what to do."""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bot.builders import chat_adapters, database_location, has_platform, open_spaces, open_storage
from bot.config import Config
from bot.errors import AdapterError, StorageError
from bot.i18n import Catalogue
from bot.platforms.adapter import Adapter
from bot.provider import Spaces

_ANSWER_TIMEOUT_SECONDS = 15.0
"""For one platform."""
_NO_ANSWER = f"did not answer within {_ANSWER_TIMEOUT_SECONDS:g} s; is it reachable?"


class Health(enum.StrEnum):
    """How something is: the mark that is put in front of it."""

    GOOD = "✓"
    NOTE = "·"
    """Works; worth knowing."""
    BAD = "✗"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what the doctor says.

    Attributes:
        health: how it is.
        what: what was looked at.
        text: what was found, and what to do about it.
    """

    health: Health
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.health} {self.what}: {self.text}"


async def examine(config: Config) -> bool:
    """Print each finding as soon as it is known; returns whether none is bad."""
    console = Console(highlight=False)
    colours = {Health.GOOD: "green", Health.NOTE: "yellow", Health.BAD: "red"}
    healthy = True
    async for finding in findings(config):
        healthy &= finding.health is not Health.BAD
        line = Text(f"{finding.health} ", style=colours[finding.health])
        console.print(line.append(f"{finding.what}: ", style="bold").append(finding.text))
    return healthy


async def findings(config: Config) -> AsyncIterator[Finding]:
    """Look at everything that can be looked at without people noticing."""
    yield Finding(Health.GOOD, "Configuration", "can be read")
    for warning in config.warnings:
        yield Finding(Health.NOTE, "Configuration", warning)
    yield await _storage(config)
    async with open_spaces(config) as spaces:
        async for finding in _spaces(spaces):
            yield finding
    if not has_platform(config):
        yield Finding(
            Health.NOTE,
            "Platforms",
            "none; set [telegram] token or [discord] token to add one to the web chat",
        )
    for adapter in chat_adapters(config, Catalogue()):
        async for finding in _platform(adapter):
            yield finding


async def _storage(config: Config) -> Finding:
    where = database_location(config)
    if isinstance(where, Path) and not where.exists():
        folder = next(each for each in where.parents if each.exists())
        if os.access(folder, os.W_OK):
            return Finding(Health.GOOD, "Database", f"will be created as {where}")
        return Finding(Health.BAD, "Database", f"{folder} cannot be written to; check its owner")
    try:
        async with open_storage(config):
            return Finding(Health.GOOD, "Database", "sound, and of this version")
    except StorageError as error:
        return Finding(Health.BAD, "Database", str(error))


async def look_around(
    adapters: Mapping[str, Adapter], connected: Mapping[str, bool], spaces: Spaces
) -> AsyncIterator[str]:
    """What a running bot can find out about itself without disturbing anybody.

    Args:
        adapters: by name, opened.
        connected: by name, whether it is.
        spaces: the ones in use.
    """
    for name, adapter in adapters.items():
        what = name.capitalize()
        if not connected.get(name, False):
            yield str(Finding(Health.BAD, what, "not connected; the log says why"))
            continue
        yield str(Finding(Health.GOOD, what, "connected"))
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_SECONDS):
                advice = await adapter.advice()
        except (AdapterError, TimeoutError) as error:
            advice = [str(error) or _NO_ANSWER]
        for text in advice:
            yield str(Finding(Health.NOTE, what, text))
    async for finding in _spaces(spaces):
        yield str(finding)


async def _spaces(spaces: Spaces) -> AsyncIterator[Finding]:
    for name, problem in await spaces.check():
        if problem is None:
            yield Finding(Health.GOOD, f"Space {name}", "answers, and has both functions")
        else:
            yield Finding(Health.BAD, f"Space {name}", str(problem))


async def _platform(adapter: Adapter) -> AsyncIterator[Finding]:
    what = adapter.name.capitalize()
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_SECONDS):
            await adapter.open()
            advice = await adapter.advice()
    except (AdapterError, TimeoutError) as error:
        yield Finding(Health.BAD, what, str(error) or _NO_ANSWER)
    else:
        yield Finding(Health.GOOD, what, "accepts the token")
        for text in advice:
            yield Finding(Health.NOTE, what, text)
    finally:
        await adapter.close()
