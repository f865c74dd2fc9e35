"""The engine before there is one: it fetches and loads the model while the Space already serves.

Whoever asks meanwhile waits, sees how far it is, and is then answered by the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from PIL import Image

from bot.errors import BotError
from bot.space.engine import STARTING, Answering, Caller, Drawing, Engine, Progress

MIN_PAUSE_SECONDS = 1.0
"""Between two words to somebody who waits."""
_TELLING_SECONDS = 2.0
"""For those who waited, to be told how it ended."""
_UNEXPECTED = "The model could not be loaded. What is printed where it runs says why."

Report = Callable[[Progress], None]


class Loaded(Engine, Protocol):
    """An engine that holds memory until it is closed."""

    def close(self) -> None: ...


class Starting:
    """Implements `bot.space.engine.Engine`; stands before the one that `load` returns.

    Args:
        load: fetches and loads, and returns the engine. Called once, in a thread of its own, with
            a function to say how far it is. What it raises is told to everybody who asks: the text
            of a `BotError`, of anything else that it happened.
        heard: told, in that thread, whatever `load` says.
        ended: called in the event loop once it is known how it ended: with nothing, or what was
            raised; after everybody who waited was told.
    """

    def __init__(
        self,
        load: Callable[[Report], Loaded],
        *,
        heard: Report = lambda _progress: None,
        ended: Callable[[Exception | None], None] = lambda _error: None,
    ) -> None:
        self._load = load
        self._heard = heard
        self._ended = ended
        self._progress = Progress(0, 100, "Starting", STARTING)
        self._engine: Loaded | None = None
        self._error: Exception | None = None
        self._waiting = 0
        self._over = asyncio.Event()
        self._news = asyncio.Event()
        self._is_told = threading.Event()  # that there are news; set while the loop has yet to look

    def begin(self) -> None:
        """Begin to load. Must be called in the event loop in which it is asked later on."""
        self._loop = asyncio.get_running_loop()
        # A daemon: at the end of the program nobody waits for a download.
        threading.Thread(target=self._run, name="load the model", daemon=True).start()

    def close(self) -> None:
        """Give back what the engine holds, if it is there."""
        if self._engine is not None:
            self._engine.close()

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
        """Wait for the model, and let it answer."""
        async with contextlib.aclosing(self._until_ready()) as waiting:
            async for progress in waiting:
                yield progress
        answering = self._loaded().describe(
            image, question, seed=seed, top_p=top_p, temperature=temperature, caller=caller
        )
        async with contextlib.aclosing(answering):
            async for step in answering:
                yield step

    async def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        """Wait for the model, and let it draw."""
        async with contextlib.aclosing(self._until_ready()) as waiting:
            async for progress in waiting:
                yield progress
        drawing = self._loaded().draw(
            prompt, seed=seed, guidance=guidance, temperature=temperature, caller=caller
        )
        async with contextlib.aclosing(drawing):
            async for step in drawing:
                yield step

    async def _until_ready(self) -> AsyncGenerator[Progress, None]:
        """What is new, at most once a second, until there is an engine or an error."""
        self._waiting += 1
        try:
            while not self._over.is_set():
                said = self._progress
                yield said
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(MIN_PAUSE_SECONDS):
                        await self._over.wait()
                while said == self._progress and not self._over.is_set():
                    await self._news.wait()
        finally:
            self._waiting -= 1
            self._wake()

    def _loaded(self) -> Loaded:
        if self._error is not None:
            raise self._error if isinstance(self._error, BotError) else BotError(_UNEXPECTED)
        assert self._engine is not None  # noqa: S101 - one of both is there now
        return self._engine

    def _wake(self) -> None:
        self._is_told.clear()
        self._news.set()
        self._news = asyncio.Event()

    async def _finish(self, engine: Loaded | None, error: Exception | None) -> None:
        self._engine, self._error = engine, error
        self._over.set()
        self._wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TELLING_SECONDS):
                while self._waiting:
                    await self._news.wait()
        self._ended(error)

    # In the thread.

    def _run(self) -> None:
        engine, raised = None, None
        try:
            engine = self._load(self._report)
        except Exception as error:  # noqa: BLE001 - the boundary of the thread; it is told
            raised = error
        finishing = self._finish(engine, raised)
        try:
            asyncio.run_coroutine_threadsafe(finishing, self._loop)
        except RuntimeError:  # the server has ended meanwhile
            finishing.close()
            if engine is not None:
                engine.close()

    def _report(self, progress: Progress) -> None:
        self._progress = progress
        self._heard(progress)
        if not self._is_told.is_set():
            self._is_told.set()
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                self._loop.call_soon_threadsafe(self._wake)
