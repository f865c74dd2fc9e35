"""The command line: each command parses its arguments and turns a failure into a sentence.

Exit codes: 0 done, 1 failed, 2 usage or configuration; `space` also 3, the model does not fit.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot import __version__
from bot.config import DEFAULT_FILE, Config, SpaceSection, load
from bot.errors import BotError, ConfigError

cli = typer.Typer(
    name="janus-bot",
    help="A Discord and Telegram bot that chats, looks at pictures and draws with Janus-Pro-7B.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file; ./config.toml if it is there.", dir_okay=False),
]
SpaceOption = Annotated[
    str | None, typer.Option(help="A Space's id (owner/name) or the address of a Gradio server.")
]


@cli.command()
def run(config: ConfigOption = None) -> None:
    """Run all configured adapters; without any token the web chat alone."""
    from bot.app import App  # noqa: PLC0415 - loads both platform libraries

    with _failures():
        settings = _prepare(config)
        path = config or DEFAULT_FILE
        code = asyncio.run(App(settings, follow=(path, partial(load, config, os.environ))).run())
    raise typer.Exit(code)


@cli.command()
def demo(config: ConfigOption = None) -> None:
    """Serve the web chat with an offline stand-in for the model: no account, no network."""
    from bot.commands.demo import run_demo  # noqa: PLC0415 - loads the web chat

    with _failures():
        settings = _prepare(config, quiet=True)
        code = asyncio.run(run_demo(settings))
    raise typer.Exit(code)


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask; may be empty with a picture.")],
    image: Annotated[
        Path | None, typer.Option(help="A picture to ask about.", exists=True, dir_okay=False)
    ] = None,
    space: SpaceOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask one question in the terminal."""
    from bot.commands.terminal import ask_once  # noqa: PLC0415 - loads the provider

    with _failures():
        asyncio.run(ask_once(_at_space(_prepare(config, quiet=True), space), question, image))


@cli.command()
def imagine(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="The same seed draws the same again.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(min=1, max=10, help="How strictly to follow the words.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the pictures.", file_okay=False)
    ] = Path(),
    space: SpaceOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw five pictures in the terminal, and save them with their recipe."""
    from bot.commands.terminal import imagine_once  # noqa: PLC0415 - loads the provider
    from bot.i18n import Catalogue  # noqa: PLC0415 - same
    from bot.turns.commands import CommandError  # noqa: PLC0415 - same
    from bot.turns.commands import imagine as checked  # noqa: PLC0415 - same

    with _failures():
        try:
            command = checked(prompt, seed, guidance)
        except CommandError as error:
            raise ConfigError(error.said_in(Catalogue().words())) from error
        asyncio.run(imagine_once(_at_space(_prepare(config, quiet=True), space), command, output))


@cli.command(
    add_help_option=False,  # that of the other program is asked for
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def space(context: typer.Context) -> None:
    """Serve Janus-Pro on your own hardware, or a stand-in without the model."""
    sys.stdout.flush()
    # As another program in place of this one: signals then reach it and nothing else.
    os.execv(sys.executable, [sys.executable, "-m", "bot.space", *context.args])  # noqa: S606 - our own module


@cli.command()
def doctor(
    config: ConfigOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As one object, for programs.")] = False,
) -> None:
    """Check configuration, tokens, intents, Spaces and database, and say what to do."""
    from bot.commands.doctor import examine  # noqa: PLC0415 - loads everything

    with _failures():
        healthy = asyncio.run(examine(_prepare(config, quiet=True), as_json=as_json))
    raise typer.Exit(0 if healthy else 1)


@cli.command()
def export(
    channel: Annotated[
        str, typer.Argument(help="telegram:<chat>[:<topic>], discord:<channel> or web:<room>")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; named after the channel.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write everything stored about a channel to a JSON file."""
    from bot.commands.export import export_channel  # noqa: PLC0415 - loads the storage

    with _failures():
        written = asyncio.run(export_channel(_prepare(config, quiet=True), channel, output))
    typer.echo(f"Written to {written}")


@cli.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    cli()


def _prepare(path: Path | None, *, quiet: bool = False) -> Config:
    """Read the configuration and set up logging; `quiet` for commands that talk to a person."""
    from bot.logs import configure  # noqa: PLC0415 - keeps `--help` fast

    config = load(path, os.environ)
    level = "warning" if quiet and config.log.level == "info" else config.log.level
    configure(level, config.log.format, secrets=config.secrets())
    return config


def _at_space(config: Config, space: str | None) -> Config:
    """The configuration, with the Space that the command line names, if it does."""
    if space is None:
        return config
    try:
        section = SpaceSection(url=space) if "://" in space else SpaceSection(id=space)
    except ValueError as error:
        raise ConfigError(
            f"--space {space} is neither a Space (owner/name) nor an address (http://…)."
        ) from error
    return config.model_copy(update={"spaces": (section,)})


@contextmanager
def _failures() -> Iterator[None]:
    """An expected failure is a sentence on standard error and an exit code."""
    try:
        yield
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except BotError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
