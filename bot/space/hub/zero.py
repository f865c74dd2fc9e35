"""The engine on ZeroGPU, where Hugging Face lends a GPU for one call at a time.

The package `spaces` runs a decorated generator in a process that it forks once a GPU is free, and
ends it when the time that was asked for is over. What is asked for is what the visitor's daily
quota is checked against, before anything runs; so a call asks for what such calls took lately.

Nothing here imports `spaces`, and nothing here has run on Hugging Face: see `docs/hosting.md`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from PIL import Image

from bot.errors import BotError
from bot.space.engine import Answering, Caller, Drawing, Engine

Kind: TypeAlias = Literal["describe", "draw"]
"""The methods of an engine."""

GpuDecorator: TypeAlias = Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]
"""`spaces.GPU`, called with `duration`."""

MIN_SECONDS, MAX_SECONDS = 5, 120
"""Of what is asked for. More than two minutes is all that an anonymous visitor has in a day."""

FIRST_SECONDS: Mapping[Kind, float] = {"describe": 10.0, "draw": 25.0}
"""What a call is thought to take before any was measured; nobody has measured it on ZeroGPU."""

_MARGINS: Mapping[Kind, float] = {"describe": 3.0, "draw": 1.5}
"""Times the median. Answers differ in length, drawings do not."""

_KEPT = 9
"""Measured calls of a kind that count."""


class Durations:
    """How many seconds of a GPU to ask for.

    Args:
        first: what a call of each kind is thought to take.
    """

    def __init__(self, first: Mapping[Kind, float] = FIRST_SECONDS) -> None:
        self._took: dict[Kind, deque[float]] = {
            kind: deque([seconds], _KEPT) for kind, seconds in first.items()
        }
        self._guessed = set(first)

    def seconds(self, kind: Kind) -> int:
        """What to ask for: the median of the last calls with a margin, within the limits."""
        wanted = statistics.median(self._took[kind]) * _MARGINS[kind]
        return max(MIN_SECONDS, min(MAX_SECONDS, round(wanted)))

    def took(self, kind: Kind, seconds: float) -> None:
        """A call ended by itself. The first one takes the place of the guess."""
        if kind in self._guessed:
            self._guessed.discard(kind)
            self._took[kind].clear()
        self._took[kind].append(seconds)

    def ran_out(self, kind: Kind, asked: int) -> None:
        """A call was ended because it took longer; the next ones ask for twice as much."""
        self._guessed.discard(kind)
        self._took[kind].clear()
        self._took[kind].append(min(MAX_SECONDS, 2 * asked) / _MARGINS[kind])


class Sent:
    """When a call went to the GPU's process.

    `spaces` pickles the arguments of a call when it has a GPU, and neither before nor in between.
    So this counts the moving of the weights onto the GPU, and not the wait for one.
    """

    def __init__(self, at: float = 0.0) -> None:
        self.at = at or time.time()

    def __reduce__(self) -> tuple[type[Sent], tuple[float]]:
        self.at = time.time()
        return Sent, (self.at,)

    @property
    def seconds(self) -> float:
        """Since then."""
        return time.time() - self.at


@dataclass(frozen=True, slots=True)
class Took:
    """The last thing from the GPU's process: all that the call has taken of it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A sentence for people from the GPU's process; `spaces` hands on no more than its name."""

    error: BotError


_END = object()


class ZeroEngine:
    """Implements `bot.space.engine.Engine` with one that lives in the GPU's process.

    Args:
        make: makes that one; called once in each process, whose first call it belongs to.
        gpu: `spaces.GPU`.
        durations: what to ask for.
    """

    def __init__(
        self, make: Callable[[], Engine], gpu: GpuDecorator, durations: Durations | None = None
    ) -> None:
        self._make = make
        self._made: tuple[int, Engine] | None = None
        self._durations = durations or Durations()
        self._on_gpu = gpu(duration=_asked)(self._run)

    async def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,
        top_p: float,
        temperature: float,
        caller: Caller,
    ) -> Answering:
        """See `Engine.describe`."""
        arguments = {
            "image": image,
            "question": question,
            "seed": seed,
            "top_p": top_p,
            "temperature": temperature,
            "caller": caller,
        }
        async with aclosing(self._steps("describe", arguments)) as steps:
            async for step in steps:
                yield step

    async def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        """See `Engine.draw`."""
        arguments = {
            "prompt": prompt,
            "seed": seed,
            "guidance": guidance,
            "temperature": temperature,
            "caller": caller,
        }
        async with aclosing(self._steps("draw", arguments)) as steps:
            async for step in steps:
                yield step

    async def _steps(self, kind: Kind, arguments: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """One call; a thread waits for its GPU and its steps, as `spaces` knows no event loops.

        Cancelling: the GPU's process stops at its next step; nobody waits for that.
        """
        steps: asyncio.Queue[Any] = asyncio.Queue()
        asked, sent, hung_up = self._durations.seconds(kind), Sent(), threading.Event()
        loop = asyncio.get_running_loop()

        def hand_on(step: object) -> None:
            loop.call_soon_threadsafe(steps.put_nowait, step)

        def pump() -> None:
            try:
                with closing(self._on_gpu(asked, kind, arguments, sent)) as made:
                    for step in made:
                        hand_on(step)
                        if hung_up.is_set():
                            return
            finally:
                hand_on(_END)

        # The visitor and their quota are known by context variables, which go along.
        pumping = asyncio.ensure_future(asyncio.to_thread(pump))
        pumping.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            while (step := await steps.get()) is not _END:
                match step:
                    case Took(seconds):
                        self._durations.took(kind, seconds)
                    case Refused(error):
                        raise error
                    case _:
                        yield step
            await asyncio.wait([pumping])
            if pumping.exception() is not None and sent.seconds >= asked:
                self._durations.ran_out(kind, asked)
            pumping.result()
        finally:
            hung_up.set()

    def _run(self, _asked: int, kind: Kind, arguments: dict[str, Any], sent: Sent) -> Iterator[Any]:
        """In the GPU's process: drain the engine, whose event loop lives for this call."""
        try:
            with asyncio.Runner() as runner:
                steps = getattr(self._engine(), kind)(**arguments)
                try:
                    while (step := runner.run(_next(steps))) is not _END:
                        yield step
                finally:
                    runner.run(steps.aclose())
        except BotError as error:
            yield Refused(error)
        else:
            yield Took(sent.seconds)

    def _engine(self) -> Engine:
        if self._made is None or self._made[0] != os.getpid():
            self._made = os.getpid(), self._make()
        return self._made[1]


def _asked(asked: int, *_: object) -> int:
    """What `spaces` is told of a call; it gets all of its arguments."""
    return asked


async def _next(steps: AsyncGenerator[Any, None]) -> Any:
    return await anext(steps, _END)
