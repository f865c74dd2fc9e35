"""The words that people can use, the same on every platform.

`parse` reads them from a line of text; a platform with structured commands builds them itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from bot.turn import MAX_GUIDANCE, MAX_SEED, MIN_GUIDANCE, Ask, Imagine


@dataclass(frozen=True, slots=True)
class Retry:
    """Answer the channel's newest request again."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the person's newest unfinished turn in this channel."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget the conversation so far when answering; nothing is deleted."""


@dataclass(frozen=True, slots=True)
class Help:
    """Say what the bot can do."""


Command: TypeAlias = Ask | Imagine | Retry | Stop | Reset | Help
"""Everything that a person can want."""

WORDS: dict[str, str] = {
    "imagine": "Draw five pictures from a description",
    "ask": "Ask a question, about a picture if you like",
    "retry": "Answer the last request again",
    "stop": "Stop the reply that is being made",
    "reset": "Start the conversation afresh",
    "help": "What I can do",
}
"""Command words and what each does, in the order in which menus list them."""


class CommandError(Exception):
    """A command that cannot be carried out as written; the text tells how to write it."""


def parse(text: str) -> Command | None:  # noqa: PLR0911 - one return per word
    """Read a command line such as `/imagine a red fox --seed 42 --guidance 6`.

    A bot name after the word (`/imagine@janus_bot`) is accepted and ignored: whether it is this
    bot's name is the platform's business.

    Returns:
        The command, or `None` if `text` does not begin with one of `WORDS`.

    Raises:
        CommandError: a known word with a value that cannot be used.
    """
    match = re.match(r"/([a-z_]+)(?:@\w+)?(?:\s+|$)", text.lstrip(), re.IGNORECASE)
    if match is None:
        return None
    word = match[1].lower()
    rest = text.lstrip()[match.end() :].strip()
    match word:
        case "imagine":
            return _imagine(rest)
        case "ask":
            return Ask(rest)
        case "retry":
            return Retry()
        case "stop":
            return Stop()
        case "reset":
            return Reset()
        case "help" | "start":
            return Help()
        case _:
            return None


def imagine(prompt: str, seed: int | None = None, guidance: float | None = None) -> Imagine:
    """An `Imagine` with its values checked.

    Raises:
        CommandError: no prompt, or a value outside its range.
    """
    if not prompt.strip():
        raise CommandError("Tell me what to draw, for example: /imagine a red fox in the snow")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise CommandError(f"The seed is a whole number from 0 to {MAX_SEED}.")
    if guidance is not None and not MIN_GUIDANCE <= guidance <= MAX_GUIDANCE:
        raise CommandError(f"The guidance is a number from {MIN_GUIDANCE:g} to {MAX_GUIDANCE:g}.")
    return Imagine(prompt.strip(), seed, guidance)


_OPTION = re.compile(r"(?:^|\s)(?:--|\u2014)(seed|guidance)(?:\s+|=)(\S+)", re.IGNORECASE)
"""Phones turn two hyphens into a dash, so that is read as well."""


def _imagine(rest: str) -> Imagine:
    values = {name.lower(): value for name, value in _OPTION.findall(rest)}
    prompt = _OPTION.sub(" ", rest).strip()
    seed = guidance = None
    if "seed" in values:
        if not re.fullmatch(r"\d{1,10}", values["seed"], re.ASCII):
            raise CommandError(f"The seed is a whole number from 0 to {MAX_SEED}.")
        seed = int(values["seed"])
    if "guidance" in values:
        try:
            guidance = float(values["guidance"].replace(",", "."))
        except ValueError:
            raise CommandError(
                f"The guidance is a number from {MIN_GUIDANCE:g} to {MAX_GUIDANCE:g}."
            ) from None
    return imagine(prompt, seed, guidance)
