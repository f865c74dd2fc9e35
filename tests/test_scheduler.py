"""People take turns at the Spaces, and questions do not wait for drawings."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from bot.models import Address, Ahead, Ask, ChannelKey, Imagine, IncomingMessage, Person, Turn
from bot.turns.scheduler import MAX_QUESTIONS_IN_A_ROW, Scheduler, Ticket, order

tickets = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12).map(
    lambda items: [Ticket(n, person, drawing) for n, (person, drawing) in enumerate(items)]
)


def turn(person: str, *, drawing: bool = False) -> Turn:
    message = IncomingMessage(
        ChannelKey("test", ("c",)), Person("test", person, person), "1", Address("test", "c", {})
    )
    return Turn.accept(message, Imagine("a fox") if drawing else Ask("?"))


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until `condition` holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


@given(waiting=tickets, row=st.integers(0, MAX_QUESTIONS_IN_A_ROW))
def test_an_order_holds_everybody_once(waiting: list[Ticket], row: int) -> None:
    """Nobody is lost, and one person's requests of a kind stay in their order."""
    ordered = order(waiting, {}, row)
    assert sorted(ordered, key=lambda each: each.number) == waiting
    for person in "abc":
        for drawing in (True, False):
            mine = [t.number for t in ordered if (t.person, t.drawing) == (person, drawing)]
            assert mine == sorted(mine)


@given(waiting=tickets)
def test_nobody_gets_a_second_before_everybody_had_a_first(waiting: list[Ticket]) -> None:
    """Within questions, and within drawings, people go round."""
    for drawing in (True, False):
        kind = [each for each in order(waiting, {}, 0) if each.drawing is drawing]
        counts: Counter[str] = Counter()
        owed = Counter(each.person for each in kind)
        for ticket in kind:
            behind = [p for p in owed if owed[p] > counts[p] and p != ticket.person]
            assert all(counts[p] >= counts[ticket.person] for p in behind)
            counts[ticket.person] += 1


@given(waiting=tickets, row=st.integers(0, MAX_QUESTIONS_IN_A_ROW))
def test_drawings_are_not_starved(waiting: list[Ticket], row: int) -> None:
    """After some questions one drawing goes, however many questions wait."""
    ordered = order(waiting, {}, row)
    if any(each.drawing for each in ordered):
        first = next(index for index, each in enumerate(ordered) if each.drawing)
        assert first <= MAX_QUESTIONS_IN_A_ROW


def test_who_was_served_waits_for_who_was_not() -> None:
    """A newcomer goes before somebody's next request."""
    waiting = [Ticket(1, "greedy", drawing=False), Ticket(2, "new", drawing=False)]
    assert [each.person for each in order(waiting, {"greedy": 5}, 0)] == ["new", "greedy"]


async def test_ten_requests_of_one_person_hold_nobody_up() -> None:
    """Round-robin: the newcomer is next, and hears so; the numbers are those that come true."""
    scheduler = Scheduler(lambda: 1)
    heard: dict[str, list[Ahead]] = {"ann": [], "bob": []}
    went: list[str] = []
    release = asyncio.Event()

    async def ask(person: str) -> None:
        async with scheduler.slot(turn(person), heard[person].append):
            went.append(person)
            await release.wait()

    async with asyncio.TaskGroup() as tasks:
        for person in ["ann", "ann", "ann", "bob"]:
            tasks.create_task(ask(person))
        await until(lambda: bool(heard["bob"]))
        assert heard["bob"][-1] == Ahead(0, 0, here=False)
        await until(lambda: Ahead(2, 1, here=False) in heard["ann"])
        release.set()
    assert went == ["ann", "bob", "ann", "ann"]


async def test_a_question_goes_before_waiting_drawings() -> None:
    """A short question is not stuck behind five-image batches."""
    scheduler = Scheduler(lambda: 1)
    went: list[str] = []
    release = asyncio.Event()

    async def ask(name: str, *, drawing: bool) -> None:
        async with scheduler.slot(turn(name, drawing=drawing), lambda _: None):
            went.append(name)
            await release.wait()

    async with asyncio.TaskGroup() as tasks:
        for name in ["draw 1", "draw 2", "draw 3"]:
            tasks.create_task(ask(name, drawing=True))
        tasks.create_task(ask("question", drawing=False))
        await until(lambda: bool(went))
        await asyncio.sleep(0)
        release.set()
    assert went == ["draw 1", "question", "draw 2", "draw 3"]


async def test_with_many_places_one_is_kept_for_questions() -> None:
    """Drawings never take the last of three."""
    scheduler = Scheduler(lambda: 3)
    running: list[bool] = []
    release = asyncio.Event()

    async def ask(*, drawing: bool) -> None:
        async with scheduler.slot(turn("a", drawing=drawing), lambda _: None):
            running.append(drawing)
            await release.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(ask(drawing=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert running == [True, True]
        question = tasks.create_task(ask(drawing=False))
        await until(lambda: len(running) == 3)
        assert running == [True, True, False]
        release.set()
        await question


async def test_a_cancelled_wait_gives_its_place_up() -> None:
    """Stopping a request that waits lets the ones behind it move up."""
    scheduler = Scheduler(lambda: 1)
    heard: list[Ahead] = []

    async def ask(person: str) -> None:
        async with scheduler.slot(turn(person), heard.append if person == "z" else _nothing):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(ask(person)) for person in "xyz"]
    await until(lambda: bool(heard))
    assert heard[-1].turns == 1
    for task in tasks[:2]:
        task.cancel()
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    await asyncio.sleep(0)
    assert not scheduler._waiting
    tasks[2].cancel()
    await asyncio.gather(tasks[2], return_exceptions=True)
    assert scheduler._running == {True: 0, False: 0}


async def test_what_one_request_hears_of_the_queue_all_can_tell() -> None:
    """The Space's own rank joins the bot's numbers, as long as it is news."""
    now = 0.0
    scheduler = Scheduler(lambda: 1, clock=lambda: now)
    scheduler.heard(7)
    heard: list[Ahead] = []
    release = asyncio.Event()

    async def ask() -> None:
        async with scheduler.slot(turn("a"), heard.append):
            await release.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask())
        tasks.create_task(ask())
        await until(lambda: bool(heard))
        assert heard[-1] == Ahead(0, 0, here=False, space_queue=7)
        now = 60.0
        tasks.create_task(ask())
        await until(lambda: len(heard) > 1)
        assert heard[-1].space_queue is None
        release.set()


def _nothing(ahead: Ahead) -> None:
    del ahead
