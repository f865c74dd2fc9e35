"""A search never looks at a message that is just being created."""

from __future__ import annotations

import asyncio

from bot.reply.creations import Creations


async def _turns() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_creations_do_not_wait_for_each_other() -> None:
    """A long upload and somebody else's first sign of life go together."""
    creations = Creations()
    async with asyncio.timeout(45), creations.creating(), creations.creating():
        pass


async def test_a_search_waits_for_all_creations_and_they_for_it() -> None:
    """Whichever was first."""
    creations, seen = Creations(), list[str]()

    async def search() -> None:
        async with creations.searching():
            seen.append("search begins")
            await _turns()
            seen.append("search ends")

    async def create() -> None:
        async with creations.creating():
            seen.append("create")

    async with asyncio.timeout(45), asyncio.TaskGroup() as tasks:
        async with creations.creating():
            async with creations.creating():
                tasks.create_task(search())
                tasks.create_task(search())
                await _turns()
            await _turns()
            assert not seen
        await _turns()
        tasks.create_task(create())
    assert seen[0::2][:1] == ["search begins"]
    searches = [each for each in seen if each != "create"]
    assert searches == ["search begins", "search ends"] * 2
    assert seen.index("create") % 2 == 0  # before or after a search, never within one


async def test_whoever_is_cancelled_leaves_the_way_free() -> None:
    """Waiting or inside."""
    creations = Creations()

    async def for_ever() -> None:
        async with creations.searching():
            await asyncio.Event().wait()

    inside, waiting = asyncio.create_task(for_ever()), asyncio.create_task(for_ever())
    await _turns()
    waiting.cancel()
    inside.cancel()
    await asyncio.gather(inside, waiting, return_exceptions=True)
    async with asyncio.timeout(45):
        async with creations.creating():
            pass
        async with creations.searching():
            pass
