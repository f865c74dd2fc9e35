"""One turn at a time per channel, in order."""

from __future__ import annotations

import asyncio

from bot.models import Address, Ahead, Ask, ChannelKey, IncomingMessage, Person, Turn
from bot.turns.scheduler import ChannelQueues


def turn(channel: str = "a", person: str = "1") -> Turn:
    message = IncomingMessage(
        ChannelKey("test", (channel,)), Person("test", person, "Ann"), "1", Address("test", "a", {})
    )
    return Turn.accept(message, Ask("?"))


async def test_the_next_one_goes_when_the_first_leaves() -> None:
    """And hears how many are ahead meanwhile."""
    queues = ChannelQueues()
    first, second, third = (queues.join(turn(person=person)) for person in "121")
    heard: list[Ahead] = []
    await first.first(lambda _: heard.append(Ahead(9, 9)))
    waiting = asyncio.create_task(third.first(heard.append))
    await asyncio.sleep(0)
    assert heard == [Ahead(2, 1)]
    first.leave()
    await second.first(lambda *_: None)
    await asyncio.sleep(0)
    second.leave()
    await asyncio.wait_for(waiting, 45)
    assert heard == [Ahead(2, 1), Ahead(1, 0)]


async def test_channels_do_not_wait_for_one_another() -> None:
    """A slow chat holds up nobody else."""
    queues = ChannelQueues()
    queues.join(turn("a"))
    await asyncio.wait_for(queues.join(turn("b")).first(lambda *_: None), 45)


async def test_leaving_twice_or_out_of_order_is_harmless() -> None:
    """A turn can be stopped while it waits."""
    queues = ChannelQueues()
    first, second, third = (queues.join(turn()) for _ in range(3))
    second.leave()
    second.leave()
    first.leave()
    await asyncio.wait_for(third.first(lambda *_: None), 45)
    third.leave()
    await asyncio.wait_for(queues.join(turn()).first(lambda *_: None), 45)


async def test_who_steps_aside_comes_back_last() -> None:
    """A turn that waits for a quota holds up nobody in its channel."""
    queues = ChannelQueues()
    parked, other = queues.join(turn()), queues.join(turn())
    parked.leave()
    await asyncio.wait_for(other.first(lambda _: None), 45)
    parked.rejoin()
    heard: list[Ahead] = []
    waiting = asyncio.create_task(parked.first(heard.append))
    other.leave()
    await asyncio.wait_for(waiting, 45)
    assert heard in ([Ahead(1, 1)], [])
