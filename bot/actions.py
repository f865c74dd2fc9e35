"""What buttons do, as data: small enough for every platform, and good for ever.

A button carries an `Action` in its written form. It names a turn by its short id, so it works after
a restart and a year later, as long as the turn is stored.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from bot.i18n import Words

MAX_ACTION_BYTES: Final = 64
"""What Telegram takes (Bot API, `callback_data`); Discord takes 100 characters."""


class Verb(enum.StrEnum):
    """What a press means. The values are written into messages: never change one."""

    STOP = "stop"
    """Stop the turn `target`."""
    RETRY = "retry"
    """Answer the turn `target` again."""
    AGAIN = "again"
    """Draw the prompt of `target` with a new seed."""
    EDIT = "edit"
    """Draw with the seed of `target` and a prompt that the person is asked for."""
    LESS = "less"
    """Draw `target` with less guidance and the same seed."""
    MORE = "more"
    """Draw `target` with more guidance and the same seed."""
    FULL = "full"
    """Send picture number `value` of `target`, from 1, as a file."""
    DELETE = "delete"
    """Remove the reply of `target`."""
    SET = "set"
    """Show the choices of the setting `target`, or set it to `value`."""
    FORGET = "forget"
    """Delete what is stored; `target` says whose: `person` or `channel`."""


_SIGNS: Final = MappingProxyType(
    {
        Verb.STOP: "■",
        Verb.RETRY: "↻",
        Verb.AGAIN: "🔁",
        Verb.EDIT: "✏️",
        Verb.LESS: "\N{HEAVY MINUS SIGN}",
        Verb.MORE: "\N{HEAVY PLUS SIGN}",
        Verb.DELETE: "🗑",
    }
)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a press does.

    Attributes:
        verb: what.
        target: a turn's id or the name of a setting; no colon in it.
        value: more about it.
    """

    verb: Verb
    target: str = ""
    value: str = ""

    def __str__(self) -> str:
        """The written form: `verb:target:value`."""
        return f"{self.verb}:{self.target}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form.

        Raises:
            ValueError: it is not one, or of a newer version of the bot.
        """
        verb, target, value = text.split(":", 2)
        return cls(Verb(verb), target, value)


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message.

    Attributes:
        action: what a press does.
        label: a few words, without a sign.
        danger: it takes something away.
        chosen: of several choices, the one that holds now.
    """

    action: Action
    label: str
    danger: bool = False
    chosen: bool = False

    @property
    def text(self) -> str:
        """What stands on it in chats: the label behind a sign."""
        if self.action.verb is Verb.DELETE:
            return _SIGNS[Verb.DELETE]  # five in a row leave no room for the word on a phone
        sign = "●" if self.chosen else _SIGNS.get(self.action.verb, "")
        return f"{sign} {self.label}".lstrip()


Rows = tuple[tuple[Button, ...], ...]
"""Buttons in rows, five a row at most."""

_MAX_NUMBERED: Final = 5
"""Pictures of one call, and buttons in a row."""


def under_drawing(turn_id: str, pictures: int, words: Words) -> Rows:
    """What stands under pictures that the bot made.

    Args:
        turn_id: of the turn that made them.
        pictures: how many.
        words: the language of the labels.
    """
    first = (
        Button(Action(Verb.AGAIN, turn_id), words("button-again")),
        Button(Action(Verb.EDIT, turn_id), words("button-edit")),
        Button(Action(Verb.LESS, turn_id), words("button-less")),
        Button(Action(Verb.MORE, turn_id), words("button-more")),
        Button(Action(Verb.DELETE, turn_id), words("button-delete"), danger=True),
    )
    numbers = tuple(
        Button(Action(Verb.FULL, turn_id, str(number)), str(number))
        for number in range(1, min(pictures, _MAX_NUMBERED) + 1)
    )
    return (first, numbers)
