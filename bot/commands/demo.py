"""The demo: the web chat, and a stand-in Space as a program of its own that ends with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec

import typer

from bot.app import App
from bot.config import Config
from bot.config.schema import (
    DiscordSection,
    LimitsSection,
    SpaceSection,
    StorageSection,
    TelegramSection,
)
from bot.errors import ConfigError, SpaceUnreachable

STAND_IN = "web-stand-in"
"""What the page says above the chat, by its key in the catalogue."""

READY = "space ready: "
"""What the stand-in prints before its address."""

_START_TIMEOUT_SECONDS = 180.0
"""Importing gradio takes some on a small machine."""

_STOP_TIMEOUT_SECONDS = 15.0


async def run_demo(config: Config) -> int:
    """Serve the demo until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigError: the stand-in's packages are not installed.
        SpaceUnreachable: the stand-in does not start.
    """
    if find_spec("gradio") is None:
        raise ConfigError("The demo needs the extra `space`: pip install 'janus-bot[space]'")
    typer.echo("Starting the stand-in Space…")
    async with stand_in_space() as url:
        app = App(_demo_config(config, url), stand_in=STAND_IN, announce=_announce)
        return await app.run()


@asynccontextmanager
async def stand_in_space() -> AsyncIterator[str]:
    """A stand-in Space of its own process; yields its address.

    Raises:
        SpaceUnreachable: it does not start.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.space", "--stand-in", "--port", "0", "--with-parent"),
        stdin=asyncio.subprocess.PIPE,  # closes with this process, however that ends
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the bot, which ends the Space after its turns
    )
    try:
        yield await _address(process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(_START_TIMEOUT_SECONDS):
            async for line in process.stdout:
                text = line.decode(errors="replace").strip()
                if text.startswith(READY):
                    return text.removeprefix(READY)
    except TimeoutError:
        pass
    raise SpaceUnreachable("The stand-in Space did not start; its own output says why.")


def _demo_config(config: Config, url: str) -> Config:
    """The same configuration with the stand-in, its own data, and the web chat alone."""
    return config.model_copy(
        update={
            "bot": config.bot.model_copy(update={"data_dir": config.bot.data_dir / "demo"}),
            "spaces": (SpaceSection(url=url),),
            "telegram": TelegramSection(),
            "discord": DiscordSection(),
            "storage": StorageSection(),
            "http": config.http.model_copy(update={"enabled": True}),
            # Everybody at the demo is the same person.
            "limits": LimitsSection(turns_per_minute=0, images_per_day=0, queued_turns=0),
        }
    )


def _announce(url: str) -> None:
    typer.echo(f"\n  janus-bot demo: open {url} in your browser. Ctrl-C ends it.\n")
