from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, text

from bot.errors import StorageError
from bot.models import Answer, TurnState
from bot.provider.responses import JsonConversation
from bot.storage import Storage
from tests.servers.databases import NO_PICTURES
from tests.test_turn_store import HERE, a_turn, accepted, history

STEPS = 24
"""More than the number of times that a write waits for something."""


@pytest.mark.parametrize("impatient", [False, True])
async def test_cancelled_writes_leave_no_transaction(
    where: str, storage: Storage, impatient: bool
) -> None:
    """Cancelled at any await, once or twice, a write is whole or absent and the next one works."""
    async with Storage.open(where, NO_PICTURES) as other:
        written = await cancel_at_every_step(storage, other, impatient=impatient)
    assert 0 < written < STEPS
    assert await storage.turns.accept(a_turn("last"))


async def cancel_at_every_step(storage: Storage, other: Storage, *, impatient: bool) -> int:
    """How many of the writes were done in spite of it."""
    finished = 0
    for steps in range(STEPS):
        turn = await accepted(storage, a_turn(f"{steps}", question="cancel me"))
        owed = replace(turn, state=TurnState.DELIVERING, answer=Answer(TurnState.DONE, "Yes."))
        task = asyncio.create_task(storage.turns.finish(owed, JsonConversation(f"{steps}")))
        await wait_for_steps(task, steps)
        task.cancel()
        if impatient:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(30), other.database.write() as connection:  # nobody holds a lock
            await connection.execute(text("UPDATE channels SET epoch = epoch"))
        newest = await storage.turns.newest(HERE)
        assert newest in (turn, owed)
        written = newest == owed
        assert written == (len(await history(storage, HERE, 1000)) == finished + 1)
        conversation = await storage.channels.conversation(HERE)
        assert written == (conversation == JsonConversation(f"{steps}"))
        finished += written
    return finished


async def wait_for_steps(task: asyncio.Task[None], steps: int) -> None:
    """Let a task run until it has waited for something `steps` times, or is done."""
    waited: list[object] = []
    while len(waited) < steps and not task.done():
        waiter = getattr(task, "_fut_waiter", None)
        if waiter is not None and all(waiter is not each for each in waited):
            waited.append(waiter)
        await asyncio.sleep(0)


async def test_cancelled_while_waiting_for_the_writer(storage: Storage) -> None:
    """A write that is cancelled before its turn came leaves the writer to the next one."""
    async with storage.database.write():
        waiting = [asyncio.create_task(storage.turns.accept(a_turn(f"{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] is True
    assert len(await storage.turns.unfinished()) == 1


async def test_failure_in_a_transaction_undoes_all_of_it(storage: Storage) -> None:
    """Whatever leaves the block, nothing of it was written."""
    await storage.turns.accept(a_turn("1"))

    async def fail(error: BaseException) -> None:
        async with storage.database.write() as connection:
            await connection.execute(text("DELETE FROM turns"))
            raise error

    for error in (RuntimeError(), asyncio.CancelledError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            await fail(error)
        assert len(await storage.turns.unfinished()) == 1


@pytest.mark.parametrize(
    ("pragma", "sentence"),
    [
        ("PRAGMA max_page_count = 1", "disk .* is full"),
        ("PRAGMA query_only = ON", "cannot be written"),
    ],
)
async def test_trouble_with_the_disk_is_a_sentence(
    file_storage: Storage, pragma: str, sentence: str
) -> None:
    """A full or read-only disk is told as such, and what was accepted stays."""
    storage = file_storage
    await storage.turns.accept(a_turn("1"))

    @event.listens_for(storage.database._writer.sync_engine, "begin")
    def broken(connection: object) -> None:
        connection.exec_driver_sql(pragma)  # type: ignore[attr-defined] # SQLAlchemy's Connection

    with pytest.raises(StorageError, match=sentence):
        await storage.turns.accept(a_turn("2", question="x" * 100_000))
    assert [turn.message_id for turn in await storage.turns.unfinished()] == ["1"]


async def test_locked_database_is_a_sentence(file_storage: Storage, tmp_path: Path) -> None:
    """Another program that holds the write lock too long is told as such; reading goes on."""
    storage = file_storage

    @event.listens_for(storage.database._writer.sync_engine, "connect")
    def impatient(connection: object, _record: object) -> None:
        connection.cursor().execute("PRAGMA busy_timeout = 10")  # type: ignore[attr-defined] # DBAPI

    with closing(sqlite3.connect(tmp_path / "janus.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked by another program"):
            await storage.turns.accept(a_turn("1"))
        assert await storage.turns.unfinished() == []
    assert await storage.turns.accept(a_turn("1"))


async def test_accepting_and_finishing_reach_the_disk(file_storage: Storage) -> None:
    """Commits of accepted turns and answers are flushed; progress need not be."""
    storage = file_storage
    levels: list[str] = []

    @event.listens_for(storage.database._writer.sync_engine, "before_cursor_execute")
    def seen(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "synchronous" in statement or statement.startswith("UPDATE turns"):
            levels.append(statement.split()[1])

    turn = a_turn("1")
    await storage.turns.accept(turn)
    await storage.turns.save(turn)
    await storage.turns.finish(replace(turn, answer=Answer(TurnState.DONE, "Yes.")), None)
    assert levels == [
        "synchronous=FULL",
        "synchronous=NORMAL",
        "turns",
        "synchronous=FULL",
        "turns",
    ]
    async with storage.database.write() as connection:
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
