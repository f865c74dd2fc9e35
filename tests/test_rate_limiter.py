"""A search never looks at a message that is just being created."""

from __future__ import annotations

import asyncio

from bot.reply.rate_limiter import Creations


async def _turns() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_creations_do_not_wait_for_each_other() -> None:
    """A long upload and somebody else's first sign of life go together."""
    creations, seen = Creations(), list[str]()

    async def create(name: str) -> None:
        async with creations.creating():
            seen.append(name)

    async with creations.creating():
        await asyncio.wait_for(create("the other"), 45)
        seen.append("the first")
    assert seen == ["the other", "the first"]


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
    searches = [each for each in seen if each != "create"]
    assert searches == ["search begins", "search ends"] * 2
    assert seen.index("create") % 2 == 0  # before or after a search, never within one


async def test_whoever_is_cancelled_leaves_the_way_free() -> None:
    """Waiting or inside."""
    creations = Creations()

    seen = list[str]()

    async def for_ever(name: str) -> None:
        async with creations.searching():
            seen.append(name)
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(for_ever(name)) for name in ("inside", "waiting")]
    await _turns()
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(45):
        async with creations.creating():
            seen.append("create")
        async with creations.searching():
            seen.append("search")
    assert seen == ["inside", "create", "search"]
