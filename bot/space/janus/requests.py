"""What is asked of the loop, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor

from bot.errors import BotError
from bot.space.engine import Caller, Pictures, Progress
from bot.space.janus.remembered import Key

Event: TypeAlias = Progress | Pictures | list[int] | BotError | None
"""How far a request is, its pictures, new tokens of its answer, its failure; `None`: it is done."""


class NoMemory(BotError):
    """The machine has not enough memory for this now."""


class Stopping(BotError):
    """The Space ends, and the running work with it."""


@dataclass(eq=False, slots=True)
class Request:
    """What is asked.

    Attributes:
        caller: who asks.
        seed: of its own source of noise.
        temperature: 0 to 1.
        send: takes events, in the loop's thread.
        is_cancelled: set from any thread; the loop lets go of the request at its next turn.
    """

    caller: Caller
    seed: int
    temperature: float
    send: Callable[[Event], None]
    is_cancelled: bool = field(default=False, init=False)


@dataclass(eq=False, slots=True)
class Drawing(Request):
    """Five pictures; a `prompt` and what stands in its place without one, both of one length."""

    prompt: Sequence[int]
    no_prompt: Sequence[int]
    guidance: float


@dataclass(eq=False, slots=True)
class Answer(Request):
    """An answer of at most `most` tokens.

    Attributes:
        before: tokens up to the picture, or the whole prompt if there is none.
        pixels: of the picture, or `None`.
        after: tokens behind the picture.
        key: under which the picture is remembered.
        top_p: 0 to 1.
        most: tokens of the answer.
        ends: tokens that end it.
    """

    before: Sequence[int]
    pixels: Tensor | None
    after: Sequence[int]
    key: Key | None
    top_p: float
    most: int
    ends: frozenset[int]
