"""Asks the Space that the bot runs itself, wherever it is at the moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from bot.errors import (
    GenerationCancelled,
    ModelStarting,
    SpaceBroken,
    SpaceUnreachable,
    StreamLost,
)
from bot.own_space.process import NAME, Life, OwnSpace
from bot.provider import AsyncGeneratorProvider, DeepseekAI_JanusPro7b
from bot.provider.responses import GpuTime, Reasoning, Response, Stage, Text

WAIT_SECONDS = 300.0
"""That a request waits for the child to be up."""

_MAX_TRIES = 3
"""A request that takes the child down each time must end."""

_CHILD_MAY_BE_GONE = (StreamLost, SpaceUnreachable, SpaceBroken, GenerationCancelled)
"""Errors in which the end of a child shows; the last if it was asked to end."""

_END_SECONDS = 2.0
"""In which a child that broke a connection by its end is known to have ended."""

_log = logging.getLogger(__name__)


class OwnJanus(DeepseekAI_JanusPro7b):
    """Recipes name it for people, not by an address that changes with every start."""

    def __init__(self, *, name: str = NAME, **options: Any) -> None:
        super().__init__(name=name, **options)


class OwnSpaceProvider(AsyncGeneratorProvider):
    """One of `bot.provider.Spaces`, whose address changes.

    Args:
        space: the child; started and ended by somebody else.
        connect: makes the provider for an address.
        wait_seconds: see `WAIT_SECONDS`.
        name: what people are told; its address changes with every start.
    """

    def __init__(
        self,
        space: OwnSpace,
        connect: Callable[[str], DeepseekAI_JanusPro7b],
        *,
        wait_seconds: float = WAIT_SECONDS,
        name: str = NAME,
    ) -> None:
        self.name = name
        self._space = space
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._reached: tuple[Life, DeepseekAI_JanusPro7b] | None = None

    async def create_async_generator(
        self, model: str = "", messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        """Answer a conversation, or make pictures, with the options of `DeepseekAI_JanusPro7b`.

        Waits while the child is not up. A request that loses its child is asked again of the next
        one, and yields only what is new then.

        Raises:
            ModelStarting: it is not up in time.
            ModelNotServed: it never will be.
            ProviderError: there was no answer, for another reason.

        Cancelling: as there.
        """
        text = _Continued()
        for tries_left in reversed(range(_MAX_TRIES)):
            if self._space.life is None:
                yield Reasoning(Stage.STARTING)
            life, provider = await self._reach()
            try:
                stream = provider.create_async_generator(model, messages, **options)
                async with aclosing(stream) as responses:
                    async for response in responses:
                        if not isinstance(response, Text):
                            yield response
                        elif piece := text.add(response):
                            yield piece
            except _CHILD_MAY_BE_GONE as error:
                if not tries_left or not await _is_over(life):
                    raise
                _log.warning("own Space ended under a request (%s)", type(error).__name__)
                text.begin_again()
            else:
                if piece := text.rest():
                    yield piece
                return

    @property
    def gpu_time(self) -> GpuTime:
        """Not lent, so without a limit."""
        return GpuTime(self.name, limited=False)

    async def ask_gpu_time(self) -> GpuTime:
        """The same; nobody is asked."""
        return self.gpu_time

    async def check(self) -> str:
        """Whether it can be used now; see `DeepseekAI_JanusPro7b.check`.

        Raises:
            ProviderError: it cannot; the text says why.
        """
        _, provider = await self._reach(seconds=0)
        return await provider.check()

    async def _reach(self, seconds: float | None = None) -> tuple[Life, DeepseekAI_JanusPro7b]:
        try:
            async with asyncio.timeout(self._wait_seconds if seconds is None else seconds):
                life = await self._space.up()
        except TimeoutError:
            raise ModelStarting(
                "The model is still starting; the log says how far it is.", retry_after=60
            ) from None
        if self._reached is None or self._reached[0] is not life:
            # Never one for two children: what was learnt of the one need not hold for the other.
            self._reached = life, self._connect(life.url)
        return self._reached


async def _is_over(life: Life) -> bool:
    try:
        async with asyncio.timeout(_END_SECONDS):
            await life.over.wait()
    except TimeoutError:
        return False
    return True


class _Continued:
    """A text that is told anew from its beginning, of which only what is new is yielded.

    The same seed gives the same words, so as a rule there is nothing to take back. Where they
    differ, the whole new text follows the old one.
    """

    def __init__(self) -> None:
        self._told = self._anew = ""

    def add(self, piece: str) -> Text | None:
        self._anew += piece
        if not self._anew.startswith(self._told) or self._anew == self._told:
            return None
        new = self._anew.removeprefix(self._told)
        self._told = self._anew
        return Text(new)

    def begin_again(self) -> None:
        self._anew = ""

    def rest(self) -> Text | None:
        """What is left to yield at the end."""
        same = self._anew.startswith(self._told) or self._told.startswith(self._anew)
        return None if same else Text(f"\n\n{self._anew}")
