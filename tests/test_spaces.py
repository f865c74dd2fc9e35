"""Several Spaces as one."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from bot.errors import (
    BadInput,
    GenerationCancelled,
    GenerationTimeout,
    ProviderError,
    QueueFull,
    QuotaExceeded,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider import DeepseekAI_JanusPro7b, JsonConversation, Reasoning, Spaces, Text
from bot.provider.responses import Response, Stage
from bot.provider.spaces import Circuit
from tests.servers.faulty_space import (
    CLOSE,
    PNG,
    STARTS,
    completed,
    faulty_space,
    only,
    reply,
    says,
)


class Scripted:
    """A Space of which a test says what it answers; anything else than a response is raised."""

    def __init__(self, name: str, *answers: Sequence[Response | ProviderError]) -> None:
        self.name = name
        self.answers = list(answers)
        self.asked = 0
        self.open = 0
        self.hold: asyncio.Event | None = None
        self.called = asyncio.Event()

    async def create_async_generator(
        self, model: str, messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        """Yield or raise the next script; the last one is repeated."""
        self.asked += 1
        self.open += 1
        self.called.set()
        try:
            if self.hold is not None:
                await self.hold.wait()
            script = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            for item in script:
                if isinstance(item, ProviderError):
                    raise item
                yield item
        finally:
            self.open -= 1

    async def check(self) -> str:
        """Reachable unless the next script begins with an error."""
        if isinstance(self.answers[0][0], ProviderError):
            raise self.answers[0][0]
        return "fine"


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


GOOD: list[Response | ProviderError] = [Reasoning(Stage.RUNNING), Text("yes")]
DOWN = SpaceUnreachable("down")


async def ask(spaces: Spaces, **options: Any) -> str:
    async with aclosing(spaces.create_async_generator("", ["x"], **options)) as responses:
        return "".join([r async for r in responses if isinstance(r, Text)])


@pytest.mark.parametrize("before", [[], [Reasoning(Stage.QUEUED)], [JsonConversation("a")]])
async def test_the_next_space_is_tried(before: list[Response]) -> None:
    """An error before anything was shown moves on; progress and the conversation are not shown."""
    first, second = Scripted("a", [*before, DOWN]), Scripted("b", GOOD)
    assert await ask(Spaces([first, second])) == "yes"
    assert (first.asked, second.asked, first.open) == (1, 1, 0)


async def test_text_that_was_shown_is_not_begun_again() -> None:
    """After the first word an error is an error."""
    first, second = Scripted("a", [Text("half"), StreamLost("cut")]), Scripted("b", GOOD)
    with pytest.raises(StreamLost):
        await ask(Spaces([first, second]))
    assert second.asked == 0


@pytest.mark.parametrize("kind", ProviderError.__subclasses__(), ids=lambda kind: kind.__name__)
async def test_errors_that_another_space_may_help_with(kind: type[ProviderError]) -> None:
    """A value that one Space refuses is refused by all, and time that is over is over."""
    first, second = Scripted("a", [kind("no")]), Scripted("b", GOOD)
    if kind in {BadInput, GenerationTimeout, GenerationCancelled}:
        with pytest.raises(kind):
            await ask(Spaces([first, second]))
        assert second.asked == 0
    else:
        assert await ask(Spaces([first, second])) == "yes"


async def test_the_most_useful_error_is_raised() -> None:
    """One that says when to try again comes before one that does not."""
    quota = QuotaExceeded("later", retry_after=60)
    with pytest.raises(QuotaExceeded):
        await ask(Spaces([Scripted("a", [DOWN]), Scripted("b", [quota])]))
    with pytest.raises(SpaceUnreachable):
        await ask(Spaces([Scripted("a", [DOWN]), Scripted("b", [QuotaExceeded("used up")])]))


async def test_the_circuit_opens_probes_and_closes() -> None:
    """After failures in a row a Space is passed over, then probed once, then trusted again."""
    clock = Clock()
    first, second = Scripted("a", [DOWN], [DOWN], [DOWN], GOOD), Scripted("b", GOOD)
    spaces = Spaces([first, second], failures=2, wait=60, clock=clock)
    await ask(spaces)
    await ask(spaces)
    await ask(spaces)
    assert (first.asked, second.asked) == (2, 3)
    clock.now = 61
    await ask(spaces)  # the probe fails
    await ask(spaces)
    assert (first.asked, second.asked) == (3, 5)
    clock.now = 122
    await ask(spaces)  # the probe succeeds
    await ask(spaces)
    assert (first.asked, second.asked) == (5, 5)


@pytest.mark.parametrize("error", [QuotaExceeded, QueueFull])
async def test_a_space_that_asks_to_be_left_alone_is(
    error: type[QuotaExceeded | QueueFull],
) -> None:
    """As long as it said; without a word of that, or for a caller's own account, not at all."""
    clock = Clock()
    later = error("later", retry_after=30)
    first, second = Scripted("a", [later], [error("later")], GOOD), Scripted("b", GOOD)
    spaces = Spaces([first, second], clock=clock)
    await ask(spaces)
    clock.now = 29
    await ask(spaces)
    assert (first.asked, second.asked) == (1, 2)
    clock.now = 31
    await ask(spaces)
    await ask(spaces)
    assert (first.asked, second.asked) == (3, 3)
    first.answers = [[later]]
    for _ in range(2):
        await ask(spaces, api_key="hf_own")
    assert (first.asked, second.asked) == (5, 5)


async def test_only_one_probe_at_a_time() -> None:
    """While one request finds out, others do not wait for it."""
    clock = Clock()
    first, second = Scripted("a", [DOWN], GOOD), Scripted("b", GOOD)
    spaces = Spaces([first, second], failures=1, wait=60, clock=clock)
    await ask(spaces)
    clock.now = 61
    first.hold = asyncio.Event()
    first.called.clear()
    probe = asyncio.create_task(ask(spaces))
    await asyncio.wait_for(first.called.wait(), 45)
    await ask(spaces)
    assert first.asked == 2
    first.hold.set()
    assert await probe == "yes"


def test_the_end_of_an_old_request_is_not_the_end_of_the_probe() -> None:
    """It says nothing about what the probe will find, unless it worked."""
    clock = Clock()
    circuit = Circuit(1, 60, clock)
    old, failing = circuit.begin(), circuit.begin()
    circuit.end(ok=False, probe=failing)
    clock.now = 61
    let_through = [circuit.lets_through]
    probe = circuit.begin()
    circuit.end(ok=None, probe=old)
    let_through.append(circuit.lets_through)
    circuit.end(ok=True, probe=probe)
    let_through.append(circuit.lets_through)
    assert let_through == [True, False, True]


async def test_a_single_space_is_always_asked() -> None:
    """An open circuit never locks people out: as soon as the Space is back, so is the bot."""
    space = Scripted("a", [DOWN], [DOWN], GOOD)
    spaces = Spaces([space], failures=1, wait=60, clock=Clock())
    for _ in range(2):
        with pytest.raises(SpaceUnreachable):
            await ask(spaces)
    assert await ask(spaces) == "yes"


async def test_concurrency_is_limited_and_spills_over() -> None:
    """A full Space is passed over for a free one; if all are full, one waits for the first."""
    first, second = Scripted("a", GOOD), Scripted("b", GOOD)
    first.hold, second.hold = asyncio.Event(), asyncio.Event()
    spaces = Spaces([first, second], concurrency=[1, 1])
    tasks = [asyncio.create_task(ask(spaces)) for _ in range(4)]
    await asyncio.wait_for(second.called.wait(), 45)
    assert (first.open, second.open) == (1, 1)
    second.hold.set()
    first.hold.set()
    assert await asyncio.gather(*tasks) == ["yes"] * 4
    assert (first.asked, second.asked) == (3, 1)


@pytest.mark.parametrize(
    ("limits", "down", "slots"),
    [
        ([2, 3], [], 5),
        ([2, 3], [0], 3),
        ([2, 3], [0, 1], 2),
        ([2, 0], [], 0),
        ([0, 3], [0], 3),
        ([0, 3], [0, 1], 0),
        ([2, 0], [1], 2),
    ],
)
async def test_slots_of_the_spaces_that_are_well(
    limits: list[int], down: list[int], slots: int
) -> None:
    """Limits add up; one without a limit has room for all; Spaces that fail do not count."""
    clock = Clock()
    spaces = Spaces(
        [Scripted("a", GOOD), Scripted("b", GOOD)],
        concurrency=limits,
        failures=1,
        wait=60,
        clock=clock,
    )
    whole = spaces.slots
    for number in down:
        spaces._members[number].circuit.end(ok=False, probe=False)
    assert spaces.slots == slots
    clock.now = 61
    assert spaces.slots == whole == (0 if 0 in limits else sum(limits))


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_giving_up_closes_the_space_and_frees_its_slot(how: str) -> None:
    """Nothing stays open behind a generator that is closed or cancelled."""
    space = Scripted("a", [Reasoning(Stage.QUEUED), Text("a"), Text("b")])
    spaces = Spaces([space], concurrency=1)
    stream = spaces.create_async_generator("", ["x"])
    if how == "close":
        await anext(stream)
        await stream.aclose()
    else:
        space.hold = asyncio.Event()
        task = asyncio.create_task(ask(spaces))
        await asyncio.wait_for(space.called.wait(), 45)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        space.hold = None
    assert space.open == 0
    assert await ask(spaces) == "ab"


async def test_check_tells_which_are_there() -> None:
    """Each Space by name, with what is wrong or nothing."""
    found = await Spaces([Scripted("a", [DOWN]), Scripted("b", GOOD)]).check()
    assert found == [("a", DOWN), ("b", None)]


async def test_real_providers() -> None:
    """A broken server and a sound one behind the real provider."""
    script = says(STARTS, completed("An answer."), CLOSE)
    async with faulty_space(refuse=reply(502)) as bad, faulty_space(script=script) as good:
        spaces = Spaces([DeepseekAI_JanusPro7b(api_url=space.url) for space in (bad, good)])
        assert await ask(spaces) == "An answer."
        assert [error is None for _, error in await spaces.check()] == [False, True]


async def test_the_next_space_gets_the_same_file() -> None:
    """A file is not used up by the Space that failed with it."""
    full = only("/queue/join", reply(503, '{"detail": "Queue is full."}'))
    script = says(STARTS, completed("An answer."), CLOSE)
    async with faulty_space(refuse=full) as first, faulty_space(script=script) as second:
        spaces = Spaces([DeepseekAI_JanusPro7b(api_url=space.url) for space in (first, second)])
        stream = spaces.create_async_generator("", ["x"], media=[io.BytesIO(PNG)])
        async with aclosing(stream) as responses:
            assert [r async for r in responses][-1] == "An answer."
        sent = second.joined[0].body["data"][0]["url"]
    assert sent == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def test_a_limit_for_each() -> None:
    """Limits and Spaces that do not match are a mistake of the program."""
    with pytest.raises(ValueError, match="limit"):
        Spaces([Scripted("a", GOOD)], concurrency=[1, 2])
