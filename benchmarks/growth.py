"""Does it cost more to accept and answer a turn when the channel has a long past?

    python benchmarks/growth.py [ROUNDS]

Two databases on the same disk, one with 10 and one with 100,000 messages in the channel, take turns
in turn: accepted, history read, finished, saved as done. What is compared is the median of each.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from bot.models import Address, Answer, Ask, ChannelKey, Person, Turn, TurnState, new_id
from bot.storage import Database, Store
from bot.storage.rows import turn_to_row
from bot.storage.schema import channels, messages, turns

SIZES = (10, 100_000)
AIM = 1.2
ROUNDS = 200
CHANNEL = ChannelKey("telegram", ("-100",))
BATCH = 5_000


def a_turn(message_id: str) -> Turn:
    """A question as it arrives."""
    return Turn(
        id=new_id(),
        channel=CHANNEL,
        message_id=message_id,
        person=Person("telegram", "42", "Ann"),
        command=Ask("What is in the picture, and why is it there? " * 3),
        address=Address("telegram", "-100", {"chat_id": -100}),
        seed=7,
        accepted_at=time.time(),
    )


async def fill(database: Database, size: int) -> None:
    """Write a past of `size` messages, two for each turn."""
    shared = {"channel": str(CHANNEL), "epoch": 0, "pictures": [], "created_at": time.time()}
    async with database.write() as connection:
        await connection.execute(
            channels.insert().values(key=str(CHANNEL), epoch=0, created_at=time.time())
        )
        for start in range(0, size // 2, BATCH):
            past = [
                replace(a_turn(f"past-{number}"), state=TurnState.DONE)
                for number in range(start, min(start + BATCH, size // 2))
            ]
            await connection.execute(
                turns.insert(), [{**turn_to_row(turn), "epoch": 0} for turn in past]
            )
            await connection.execute(
                messages.insert(),
                [
                    {**shared, "turn_id": turn.id, "role": role, "author": "", "text": "word " * 30}
                    for turn in past
                    for role in ("user", "assistant")
                ],
            )


async def one_turn(store: Store, number: int) -> float:
    """Seconds that the database takes for one turn from beginning to end."""
    turn = a_turn(f"now-{number}")
    begun = time.perf_counter()
    await store.accept(turn)
    await store.history(CHANNEL, 20)
    answer = Answer(TurnState.DONE, "Because. " * 30)
    owed = turn.to(TurnState.DELIVERING, answer=answer)
    await store.finish(owed, None)
    await store.save(owed.to(TurnState.DONE))
    await store.unfinished()
    return time.perf_counter() - begun


async def measure(rounds: int) -> float:
    """Print the medians and return their ratio."""
    took: dict[int, list[float]] = {size: [] for size in SIZES}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = {}
        for size in SIZES:
            database = await stack.enter_async_context(Database.open(folder / f"{size}.sqlite3"))
            await fill(database, size)
            stores[size] = Store(database)
        for number in range(-10, rounds):
            for size in SIZES if number % 2 else SIZES[::-1]:
                seconds = await one_turn(stores[size], number)
                if number >= 0:  # the first ten fill caches
                    took[size].append(seconds)
    medians = [statistics.median(took[size]) for size in SIZES]
    for size, median in zip(SIZES, medians, strict=True):
        print(f"{size:>7} messages: {median * 1e3:6.2f} ms a turn")
    ratio = medians[1] / medians[0]
    print(f"ratio {ratio:.2f} (aim: at most {AIM})")
    return ratio


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)) > AIM)
