"""The demo: the web chat, and a stand-in Space as a program of its own that ends with it."""

from __future__ import annotations

from importlib.util import find_spec

import typer

from bot.app import App
from bot.config import Config
from bot.config.schema import (
    AUTO,
    DiscordSection,
    LimitsSection,
    SpaceSection,
    StorageSection,
    TelegramSection,
)
from bot.errors import ConfigError
from bot.own_space import OwnSpace

STAND_IN = "web-stand-in"
"""What the page says above the chat, by its key in the catalogue."""


async def run_demo(config: Config) -> int:
    """Serve the demo until SIGTERM or SIGINT; returns the exit code.

    The page opens at once; what is asked before the stand-in is up waits for it.

    Raises:
        ConfigError: the stand-in's packages are not installed.
    """
    if find_spec("gradio") is None:
        raise ConfigError("The demo needs the extra `space`: pip install 'janus-bot[space]'")
    app = App(
        _demo_config(config),
        stand_in=STAND_IN,
        announce=_announce,
        own_space=lambda _: OwnSpace.stand_in(),
    )
    return await app.run()


def _demo_config(config: Config) -> Config:
    """The same configuration with the stand-in, its own data, and the web chat alone."""
    return config.model_copy(
        update={
            "bot": config.bot.model_copy(update={"data_dir": config.bot.data_dir / "demo"}),
            "spaces": (SpaceSection(model=AUTO),),
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
