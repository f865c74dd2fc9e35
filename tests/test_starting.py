"""The engine before there is one: `bot/space/starting.py`."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from bot.errors import BotError
from bot.space import starting
from bot.space.engine import STARTING, Answering, Caller, Drawing, Pictures, Progress
from bot.space.starting import Loaded, Report, Starting


class Model:
    """Says what it was asked, and whether it was closed."""

    closed = False

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
        try:
            yield f"{question} {seed} {top_p} {temperature} {caller.address}"
            await asyncio.sleep(60)
        finally:
            self.closed = True

    async def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        yield Pictures((Image.new("RGB", (seed, 1)),))

    def close(self) -> None:
        self.closed = True


class Loading:
    """A `load` of which the test decides when it says what, and how it ends."""

    def __init__(self) -> None:
        self._steps: queue.Queue[Progress | Exception | Loaded] = queue.Queue()
        self.taken = threading.Semaphore(0)

    def __call__(self, report: Report) -> Loaded:
        while True:
            step = self._steps.get(timeout=30)
            if isinstance(step, Progress):
                report(step)
                self.taken.release()
            elif isinstance(step, Exception):
                raise step
            else:
                return step

    async def does(self, step: Progress | Exception | Loaded) -> None:
        self._steps.put(step)
        if isinstance(step, Progress):
            await asyncio.to_thread(self.taken.acquire)


@pytest.fixture(name="loading")
def _loading() -> Iterator[Loading]:
    loading = Loading()
    yield loading
    loading._steps.put(BotError("the test is over"))


@pytest.fixture(name="brief", autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "MIN_PAUSE_SECONDS", 0.05)


def at(percent: int) -> Progress:
    return Progress(percent, 100, f"Downloading the model, {percent} %", STARTING)


def asked(engine: Starting) -> Answering:
    return engine.describe(None, "Hi", seed=1, top_p=0.5, temperature=0.1, caller=Caller("1.2.3.4"))


def drawn(engine: Starting) -> Drawing:
    return engine.draw("fox", seed=3, guidance=5, temperature=1, caller=Caller())


async def test_a_question_waits_and_is_answered(loading: Loading) -> None:
    """What is new is said until the model is there, which then gets the call as it was."""
    engine = Starting(loading)
    engine.begin()
    answering = asked(engine)
    first = await anext(answering)
    assert isinstance(first, Progress)
    assert (first.what, first.unit) == ("Starting", STARTING)
    await loading.does(at(10))
    assert await anext(answering) == at(10)
    await loading.does(Model())
    assert await anext(answering) == "Hi 1 0.5 0.1 1.2.3.4"
    await answering.aclose()


async def test_only_what_is_new_is_said_and_not_too_often(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred steps at once are one word; nothing new, no word."""
    monkeypatch.setattr(starting, "MIN_PAUSE_SECONDS", 0.3)
    engine = Starting(loading)
    engine.begin()
    answering = asked(engine)
    await anext(answering)
    begin = time.monotonic()
    for percent in range(100):
        await loading.does(at(percent))
    assert await anext(answering) == at(99)
    assert time.monotonic() - begin >= 0.29
    following = asyncio.ensure_future(anext(answering))
    done, _ = await asyncio.wait([following], timeout=0.5)
    assert not done
    await loading.does(at(100))
    assert await following == at(100)
    await answering.aclose()


async def test_the_model_is_not_waited_for_longer_than_it_takes(loading: Loading) -> None:
    """A pause between two words ends when it is there."""
    starting_pause = 30.0
    engine = Starting(loading)
    engine.begin()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(starting, "MIN_PAUSE_SECONDS", starting_pause)
        drawing = drawn(engine)
        await anext(drawing)
        await loading.does(Model())
        async with asyncio.timeout(5):
            found = await anext(drawing)
    assert isinstance(found, Pictures)
    assert found.images[0].width == 3


async def test_later_calls_do_not_wait(loading: Loading) -> None:
    """Once it is there, it is as if it had always been."""
    there = asyncio.Event()
    engine = Starting(loading, ended=lambda _error: there.set())
    engine.begin()
    await loading.does(Model())
    await there.wait()
    assert [type(step) async for step in drawn(engine)] == [Pictures]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BotError("The disk is full."), "The disk is full."),
        (ZeroDivisionError("a mistake"), "could not be loaded"),
    ],
)
async def test_everybody_is_told_how_it_failed(
    loading: Loading, error: Exception, told: str
) -> None:
    """Those who wait, before the program may end, and those who come later."""
    order: list[object] = []
    over = asyncio.Event()

    def ended(raised: Exception | None) -> None:
        order.append(raised)
        over.set()

    engine = Starting(loading, ended=ended)
    engine.begin()

    async def ask() -> None:
        with pytest.raises(BotError, match=told):
            async for _ in asked(engine):
                pass
        order.append("told")

    asking = [asyncio.ensure_future(ask()) for _ in range(3)]
    await asyncio.sleep(0)
    await loading.does(error)
    await asyncio.gather(*asking)
    await over.wait()
    assert order == ["told"] * 3 + [error]
    await ask()


async def test_hanging_up_while_it_waits(loading: Loading) -> None:
    """Nobody is left behind, and the model is loaded all the same."""
    over = asyncio.Event()
    engine = Starting(loading, ended=lambda _error: over.set())
    engine.begin()
    stream = drawn(engine)
    await anext(stream)  # the first word to somebody who waits
    assert engine._waiting == 1
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert engine._waiting == 0
    await loading.does(Model())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            await over.wait()
    assert over.is_set()


async def collected(begin: Callable[[], Drawing]) -> list[object]:
    return [step async for step in begin()]


async def test_hanging_up_reaches_the_model(loading: Loading) -> None:
    """Closing the call closes the engine's own."""
    model = Model()
    engine = Starting(loading)
    engine.begin()
    await loading.does(model)
    answering = asked(engine)
    while isinstance(await anext(answering), Progress):
        pass
    await answering.aclose()
    assert model.closed


async def test_closing_gives_back_what_the_model_holds(loading: Loading) -> None:
    """And does nothing before it is there."""
    over, model = asyncio.Event(), Model()
    engine = Starting(loading, ended=lambda _error: over.set())
    engine.close()
    engine.begin()
    await loading.does(model)
    await over.wait()
    engine.close()
    assert model.closed


async def test_the_person_who_runs_it_hears_everything(loading: Loading) -> None:
    """Each word of the loading, in its thread."""
    heard: list[Progress] = []
    engine = Starting(loading, heard=heard.append)
    engine.begin()
    for percent in (1, 2, 3):
        await loading.does(at(percent))
    assert heard == [at(1), at(2), at(3)]
