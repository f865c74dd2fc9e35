"""`janus-bot doctor`: checks everything that the bot needs, and says what to do."""

from __future__ import annotations

import asyncio
import enum
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from bot.builders import chat_adapters, database_location, has_platform, open_spaces, open_storage
from bot.config import Config
from bot.errors import AdapterError, ModelNotServed, ProviderError, StorageError
from bot.i18n import Catalogue
from bot.own_space.plan import make_plan
from bot.platforms.adapter import Adapter
from bot.provider import Spaces
from bot.provider.quota import described
from bot.provider.responses import GpuTime
from bot.redaction import redacted

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

    def __post_init__(self) -> None:
        # Platforms and Spaces are quoted here.
        object.__setattr__(self, "text", redacted(self.text))

    def __str__(self) -> str:
        return f"{self.health} {self.what}: {self.text}"


async def examine(config: Config, *, as_json: bool = False) -> bool:
    """Print each finding as soon as it is known, or all as one object of JSON.

    Returns:
        Whether none is bad.
    """
    if as_json:
        return await _examine_as_json(config)
    console = Console(highlight=False)
    colours = {Health.GOOD: "green", Health.NOTE: "yellow", Health.BAD: "red"}
    healthy = True
    async for finding in findings(config):
        healthy &= finding.health is not Health.BAD
        line = Text(f"{finding.health} ", style=colours[finding.health])
        console.print(line.append(f"{finding.what}: ", style="bold").append(finding.text))
    return healthy


async def _examine_as_json(config: Config) -> bool:
    found = [finding async for finding in findings(config)]
    healthy = all(finding.health is not Health.BAD for finding in found)
    lines = [
        {"health": each.health.name.lower(), "what": each.what, "text": each.text} for each in found
    ]
    typer.echo(json.dumps({"healthy": healthy, "findings": lines}, ensure_ascii=False, indent=2))
    return healthy


async def findings(config: Config) -> AsyncIterator[Finding]:
    """Look at everything that can be looked at without people noticing."""
    yield Finding(Health.GOOD, "Configuration", "can be read")
    for warning in config.warnings:
        yield Finding(Health.NOTE, "Configuration", warning)
    yield await _storage(config)
    elsewhere = tuple(section for section in config.spaces if not section.model)
    if elsewhere:
        asked = config.model_copy(update={"spaces": elsewhere})
        async with open_spaces(asked, public_names=False) as spaces:
            for finding in await _spaces(spaces):
                yield finding
    for section in config.spaces:
        if section.model:
            yield await own_space(section.model)
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
    adapters: Mapping[str, Adapter],
    connected: Mapping[str, bool],
    spaces: Spaces,
    config: Config,
) -> AsyncIterator[str]:
    """What a running bot can find out about itself without disturbing anybody.

    Args:
        adapters: by name, opened.
        connected: by name, whether it is.
        spaces: the ones in use.
        config: of the bot.
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
    found = await _spaces(spaces)
    for finding in found:
        yield str(finding)
    # Once it is up, it has the memory that a plan would look for.
    bad = {each.what for each in found if each.health is Health.BAD}
    for section in config.spaces:
        if section.model and f"Space {section.public_name}" in bad:
            yield str(await own_space(section.model))


async def _spaces(spaces: Spaces) -> list[Finding]:
    found = [
        Finding(Health.BAD, f"Space {name}", str(found))
        if isinstance(found, ProviderError)
        else Finding(Health.GOOD, f"Space {name}", _functions(found))
        for name, found in await spaces.examine()
    ]
    return [*found, *(_gpu_time(known) for known in await spaces.ask_gpu_time())]


def _gpu_time(known: GpuTime) -> Finding:
    enough = known.suffices and not known.why and not known.anonymous
    health = Health.GOOD if enough else Health.NOTE
    return Finding(health, f"GPU time of {known.space}", described(known))


def _functions(checked: str) -> str:
    """What a Space is, and which of its inputs takes what."""
    version, *functions = checked.splitlines() or [""]
    told = ", ".join(filter(None, [version, *functions]))
    return f"answers, and has both functions{told and ': '}{told}"


async def own_space(model: str, program: tuple[str, ...] = ()) -> Finding:
    """What the bot would start for a `[[spaces]] model`, and whether this machine can.

    Args:
        model: as it is configured.
        program: asked in place of `bot.space`.
    """
    what = f"Model {model}"
    try:
        plan = await make_plan(model, program=program)
    except ModelNotServed as error:
        return Finding(Health.BAD, what, f"is not started: {error}")
    need = f"needs {_gb(plan.memory_needed)}, and {_gb(plan.memory_free)} are free"
    if not plan.fits:
        advice = (
            "Free some memory (a bot that runs already has its model there), set a smaller model "
            'such as "1b", or name a Space with id or url.'
        )
        why = " ".join([f"does not fit: {need}.", plan.reason, *plan.alternatives, advice])
        return Finding(Health.BAD, what, why)
    parts = [f"{plan.model} on {plan.device} in {plan.dtype}, {plan.pictures} pictures at a time"]
    if plan.seconds_per_drawing is not None:
        parts.append(f"about {plan.seconds_per_drawing:.0f} s for a drawing")
    parts.append(need)
    if plan.download:
        parts.append(f"downloads {_gb(plan.download)} first")
    return Finding(Health.GOOD, what, f"{'; '.join(parts)}. {plan.reason}".rstrip())


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


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
