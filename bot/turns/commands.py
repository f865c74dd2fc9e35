"""The words that people can use, the same on every platform.

`parse` reads them from a line of text; a platform with structured commands builds them itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from bot.i18n import Words
from bot.models import MAX_GUIDANCE, MAX_SEED, MIN_GUIDANCE, Ask, Imagine


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


@dataclass(frozen=True, slots=True)
class ShowRecipe:
    """Say how a picture was made: the one that the message answers, else the newest here.

    Attributes:
        message_id: the message that shows it, if the person picked one.
    """

    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class ShowSettings:
    """Show the settings of the channel, or change one.

    Attributes:
        name: of a setting; empty to show all.
        value: what to set it to; `None` to show its choices, empty for the default.
    """

    name: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """Count what was asked and drawn in the channel."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """Say what is stored about the channel and the person."""


@dataclass(frozen=True, slots=True)
class Export:
    """Hand out what is stored about the channel."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Offer to delete what is stored about the person, or the channel."""


@dataclass(frozen=True, slots=True)
class Doctor:
    """Check that everything works; for admins of the bot."""


Command: TypeAlias = (
    Ask
    | Imagine
    | Retry
    | Stop
    | Reset
    | ShowRecipe
    | ShowSettings
    | Stats
    | Privacy
    | Export
    | Forget
    | Help
    | Doctor
)
"""Everything that a person can want."""

WORDS: tuple[str, ...] = (
    "imagine",
    "ask",
    "retry",
    "stop",
    "reset",
    "recipe",
    "settings",
    "stats",
    "privacy",
    "export",
    "forget",
    "help",
    "doctor",
)
"""Command words in the order in which menus list them; `command-<word>` says what each does."""

PLAIN: dict[str, Command] = {
    "retry": Retry(),
    "stop": Stop(),
    "reset": Reset(),
    "recipe": ShowRecipe(),
    "stats": Stats(),
    "privacy": Privacy(),
    "export": Export(),
    "forget": Forget(),
    "help": Help(),
    "start": Help(),
    "doctor": Doctor(),
}
"""Commands without options, by their words."""


class CommandError(Exception):
    """A command that cannot be carried out as written.

    Args:
        key: of the sentence that tells how to write it.
        values: what it says.
    """

    def __init__(self, key: str, **values: str | float) -> None:
        super().__init__(key)
        self.key = key
        self.values = values

    def said_in(self, words: Words) -> str:
        """The sentence in a language."""
        return words(self.key, **self.values)


def parse(text: str) -> Command | None:
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
            return parse_drawing(rest)
        case "ask":
            return Ask(rest)
        case "settings":
            return _settings(rest)
        case _:
            return PLAIN.get(word)


def _settings(rest: str) -> ShowSettings:
    name, _, value = re.sub(r"^(\S+?)[:=]\s*", r"\1 ", rest).partition(" ")
    return ShowSettings(name.lower(), value.strip() or None)


def imagine(prompt: str, seed: int | None = None, guidance: float | None = None) -> Imagine:
    """An `Imagine` with its values checked.

    Raises:
        CommandError: no prompt, or a value outside its range.
    """
    if not prompt.strip():
        raise CommandError("imagine-needs-prompt")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise CommandError("imagine-bad-seed", most=str(MAX_SEED))
    if guidance is not None and not MIN_GUIDANCE <= guidance <= MAX_GUIDANCE:
        raise _bad_guidance()
    return Imagine(prompt.strip(), seed, guidance)


_OPTION = re.compile(r"(?:^|\s)(?:--|\u2014)(seed|guidance)(?:\s+|=)(\S+)", re.IGNORECASE)
"""Phones turn two hyphens into a dash, so that is read as well."""


def parse_drawing(text: str) -> Imagine:
    """Read what follows `/imagine`: a prompt, and `--seed` and `--guidance` anywhere in it.

    Raises:
        CommandError: no prompt, or a value that cannot be used.
    """
    values = {name.lower(): value for name, value in _OPTION.findall(text)}
    prompt = _OPTION.sub(" ", text).strip()
    seed = guidance = None
    if "seed" in values:
        if not re.fullmatch(r"\d{1,10}", values["seed"], re.ASCII):
            raise CommandError("imagine-bad-seed", most=str(MAX_SEED))
        seed = int(values["seed"])
    if "guidance" in values:
        try:
            guidance = float(values["guidance"].replace(",", "."))
        except ValueError:
            raise _bad_guidance() from None
    return imagine(prompt, seed, guidance)


def _bad_guidance() -> CommandError:
    return CommandError("imagine-bad-guidance", least=f"{MIN_GUIDANCE:g}", most=f"{MAX_GUIDANCE:g}")
