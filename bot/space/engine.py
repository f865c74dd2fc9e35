"""What a Space needs of the engine behind it: the stand-in, or the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from PIL import Image

MAX_SEED = 2**32 - 1
MAX_TEXT_CHARS = 20_000
"""Of a question or a prompt; the model's context is far smaller."""

STEPS, TOKENS = "steps", "tokens"
QUEUED = "in the queue"
"""The unit of a request that waits: `done` others are before it, of `total` that wait."""
STARTING = "starting"
"""The unit while the model is fetched and loaded; `done` of `total` is the share that is there."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        address: of the connection; callers take turns by it.
        scope: whose pictures these are; what is remembered of them is used in this scope alone.
    """

    address: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request is; the newest replaces the one before.

    Attributes:
        done: of `total`; what is counted is the unit's business.
        total: above 0.
        what: a few words for people.
        unit: `STEPS`, `TOKENS`, `QUEUED` or `STARTING`.
    """

    done: int
    total: int
    what: str
    unit: str = STEPS


@dataclass(frozen=True, slots=True)
class Pictures:
    """All pictures of a drawing, RGB; drawn down to some row and grey below, but for the last."""

    images: tuple[Image.Image, ...]


Answering: TypeAlias = AsyncGenerator[Progress | str, None]
Drawing: TypeAlias = AsyncGenerator[Progress | Pictures, None]


class Engine(Protocol):
    """What stands behind the Space's two functions.

    Both are asynchronous generators. Closing one, or cancelling the task that waits for it, ends
    the work. A `BotError` that is raised is shown to the person; anything else is a mistake in the
    program, of which the person learns only that it happened.
    """

    def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,
        top_p: float,
        temperature: float,
        caller: Caller,
    ) -> Answering:
        """Answer a question about a picture.

        Args:
            image: RGB, any size; `None` if there is none.
            question: as typed, `MAX_TEXT_CHARS` at most.
            seed: 0 to `MAX_SEED`.
            top_p: 0 to 1.
            temperature: 0 to 1.
            caller: who asks.

        Yields:
            Progress, then the answer in pieces, each only what is new.
        """
        ...

    def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        """Draw five pictures.

        Args:
            prompt: as typed, `MAX_TEXT_CHARS` at most.
            seed: 0 to `MAX_SEED`; the same arguments give the same pictures.
            guidance: 1 to 10, how closely to follow the prompt.
            temperature: 0 to 1, how much pictures vary.
            caller: who asks.

        Yields:
            Progress and previews, and at the very end the finished pictures.
        """
        ...
