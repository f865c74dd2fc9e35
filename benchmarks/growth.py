"""Does it cost more to accept and answer a turn when the channel has a long past?

    python benchmarks/growth.py [ROUNDS] [--quick]

Two databases on the same disk, one with 10 and one with 100,000 messages in the channel, get the
same work by turns: the newest turn is found, the next one accepted, its history read, and it is
finished and saved as done. What is compared is the median of each.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from _support import Figure, verdict

from bot.models import Address, Answer, Ask, ChannelKey, Person, Turn, TurnState, new_id
from bot.storage import Database, Storage
from bot.storage.rows import turn_to_row
from bot.storage.schema import channels, turns

SMALL, LARGE, LARGE_QUICK = 10, 100_000, 10_000
AIM = 1.2
ROUNDS = 200
CHANNEL = ChannelKey("telegram", ("-100",))
BATCH = 5_000
MIN_EXCHANGES = 5
"""In the history of every turn: half of the smaller size."""


def a_turn(message_id: str, parent: str | None = None) -> Turn:
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
        parent=parent,
    )


async def fill(database: Database, size: int) -> None:
    """Write a past of `size` messages, two for each turn."""
    answer = Answer(TurnState.DONE, "word " * 30)
    parent = None
    async with database.write() as connection:
        await connection.execute(
            channels.insert().values(key=str(CHANNEL), epoch=0, created_at=time.time())
        )
        for start in range(0, size // 2, BATCH):
            past = []
            for number in range(start, min(start + BATCH, size // 2)):
                turn = replace(
                    a_turn(f"past-{number}", parent), state=TurnState.DONE, answer=answer
                )
                past.append(turn)
                parent = turn.id
            await connection.execute(
                turns.insert(), [{**turn_to_row(turn), "epoch": 0} for turn in past]
            )


async def one_turn(storage: Storage, number: int) -> float:
    """Seconds that the database takes for one turn from beginning to end."""
    store = storage.turns
    begun = time.perf_counter()
    newest = await store.newest(CHANNEL)
    assert newest is not None
    turn = a_turn(f"now-{number}", newest.id)
    await store.accept(turn)
    assert len(await store.lineage(turn.parent, 20)) >= MIN_EXCHANGES
    answer = Answer(TurnState.DONE, "Because. " * 30)
    owed = turn.to(TurnState.DELIVERING, answer=answer)
    await store.finish(owed, None)
    await store.save(owed.to(TurnState.DONE))
    await store.unfinished()
    return time.perf_counter() - begun


async def measure(rounds: int, sizes: tuple[int, int]) -> int:
    """Print the medians and their ratio; 1 if the aim was missed."""
    took: dict[int, list[float]] = {size: [] for size in sizes}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = {}
        for size in sizes:
            storage = await stack.enter_async_context(
                Storage.open(folder / f"{size}.sqlite3", folder / "images")
            )
            await fill(storage.database, size)
            stores[size] = storage
        for number in range(-10, rounds):
            for size in sizes if number % 2 else sizes[::-1]:
                seconds = await one_turn(stores[size], number)
                if number >= 0:  # the first ten fill caches
                    took[size].append(seconds)
    medians = [statistics.median(took[size]) for size in sizes]
    for size, median in zip(sizes, medians, strict=True):
        print(f"{size:>7} messages: {median * 1e3:6.2f} ms a turn")
    figures = [Figure("a turn after many messages, ratio", medians[1] / medians[0], AIM, "")]
    print(*figures, sep="\n")
    return verdict(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rounds", nargs="?", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="10 rounds, 10,000 messages")
    given = parser.parse_args()
    sys.exit(
        asyncio.run(
            measure(10, (SMALL, LARGE_QUICK))
            if given.quick
            else measure(given.rounds, (SMALL, LARGE))
        )
    )
