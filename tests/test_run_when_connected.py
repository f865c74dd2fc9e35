"""Work that waits for the connection: once, beside everything else."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from bot.platforms.adapter import run_when_connected


async def test_it_begins_with_the_first_connection_and_is_not_repeated() -> None:
    """Whoever waits for `ready` hears everything; the work hears the first time."""
    done, heard = list[str](), list[bool]()
    worked = asyncio.Event()

    async def work() -> None:
        done.append("work")
        worked.set()

    async with run_when_connected(work, heard.append, 0.0) as told:
        told(False)
        assert done == []
        told(True)
        await worked.wait()
        told(False)
        told(True)
    assert (done, heard) == (["work"], [False, True, False, True])


async def test_it_ends_with_the_block() -> None:
    """Whether it never began or is in the middle."""
    begun = asyncio.Event()
    ended = list[str]()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with run_when_connected(work, lambda _: None, 0.0):
        pass
    assert ended == []
    async with run_when_connected(work, lambda _: None, 0.0) as told:
        told(True)
        await begun.wait()
    assert ended == ["cancelled"]


async def test_its_failure_is_logged_and_nothing_else() -> None:
    """A mistake in it must not end the messages."""
    failed = asyncio.Event()

    async def work() -> None:
        failed.set()
        raise LookupError("no such menu")

    with capture_logs() as logs:
        async with run_when_connected(work, lambda _: None, 0.0) as told:
            told(True)
            await failed.wait()
    assert [str(entry["exc_info"]) for entry in logs] == ["no such menu"]
