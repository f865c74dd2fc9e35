"""What a Space needs of the engine behind it: the stand-in, or a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from PIL import Image

MAX_SEED = 2**32 - 1
MAX_TEXT_CHARS = 20_000
"""Of a question or a prompt; the model's context is far smaller."""


class Report(Protocol):
    """Takes progress; raises to end the work when nobody waits for it any more."""

    def __call__(self, done: int, total: int, what: str, /) -> None:
        """Say that `done` of `total` steps of `what` (a few words for people) are behind us."""
        ...


class Engine(Protocol):
    """What stands behind the Space's two functions. Both are called in worker threads.

    A `BotError` that is raised is shown to the person; anything else is a mistake in the program,
    of which the person learns only that it happened.
    """

    def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,
        top_p: float,
        temperature: float,
    ) -> Iterator[str]:
        """Answer a question about a picture.

        Args:
            image: RGB, any size; `None` if there is none.
            question: as typed, `MAX_TEXT_CHARS` at most.
            seed: 0 to `MAX_SEED`.
            top_p: 0 to 1.
            temperature: 0 to 1.

        Returns:
            The answer in pieces, each only what is new.
        """
        ...

    def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, report: Report
    ) -> Sequence[Image.Image]:
        """Draw five pictures of 768x768.

        Args:
            prompt: as typed, `MAX_TEXT_CHARS` at most.
            seed: 0 to `MAX_SEED`; the same arguments give the same pictures.
            guidance: 1 to 10, how closely to follow the prompt.
            temperature: 0 to 1, how much pictures vary.
            report: called often, from the calling thread.
        """
        ...
