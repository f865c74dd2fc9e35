"""What only a server does: it goes away and comes back, refuses accounts, has no room."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import ProgrammingError

from bot.errors import StorageError
from bot.models import Answer, TurnState
from bot.storage import Database, Storage
from tests.servers.databases import NO_PICTURES
from tests.servers.postgres import PASSWORD, PostgresServer
from tests.test_turn_store import HERE, a_turn

# Whoever comes first waits for the server to start, which takes long where all are busy.
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.emptied_database()


async def refused(where: str) -> str:
    with pytest.raises(StorageError) as error:
        async with Storage.open(where, NO_PICTURES):
            pass
    assert PASSWORD not in str(error.value)
    return str(error.value)


async def test_server_that_comes_back_is_used_again(
    url: str, postgres_server: PostgresServer
) -> None:
    """While it is away everything is a sentence; after that nothing accepted is missing."""
    async with Storage.open(url, NO_PICTURES) as storage:
        turn = a_turn("1")
        await storage.turns.accept(turn)
        await asyncio.to_thread(postgres_server.stop)
        try:
            turns = storage.turns
            for attempt in (turns.accept(a_turn("2")), turns.unfinished(), turns.accept(turn)):
                with pytest.raises(StorageError, match="No connection to the database server"):
                    await attempt
            assert "No connection" in await refused(url)
        finally:
            await asyncio.to_thread(postgres_server.start)
        assert await storage.turns.unfinished() == [turn]
        assert await storage.turns.accept(a_turn("2"))


async def test_connection_lost_within_a_transaction(
    url: str, postgres_server: PostgresServer
) -> None:
    """It is undone and told as a sentence, and the next one goes through at once."""
    async with Storage.open(url, NO_PICTURES) as storage:
        await storage.turns.accept(a_turn("1"))
        with pytest.raises(StorageError, match="No connection to the database server"):
            await interrupted(storage.database, postgres_server)
        assert len(await storage.turns.unfinished()) == 1
        assert await storage.turns.accept(a_turn("2"))


async def interrupted(database: Database, server: PostgresServer) -> None:
    async with database.write() as connection:
        await connection.execute(text("DELETE FROM turns"))
        me = await connection.scalar(text("SELECT pg_backend_pid()"))
        await asyncio.to_thread(server.execute, f"SELECT pg_terminate_backend({me})")
        await connection.execute(text("DELETE FROM turns"))


async def test_wrong_accounts_and_names_are_sentences(
    url: str, postgres_server: PostgresServer
) -> None:
    """The server's own words say which; the password is in none of them."""
    wrong = url.replace(f":{PASSWORD}@", ":wrong@")
    assert "password authentication failed" in await refused(wrong)
    assert "does not exist" in await refused(f"{url}_not")
    assert "No connection" in await refused(url.replace("127.0.0.1", "nowhere.invalid"))
    assert "No connection" in await refused(f"{url}?sslmode=require")
    blank = await asyncio.to_thread(postgres_server.new_database)
    await asyncio.to_thread(postgres_server.execute, "DROP ROLE IF EXISTS guest")
    await asyncio.to_thread(
        postgres_server.execute, f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'"
    )
    assert "Make it the owner" in await refused(blank.replace("janus:", "guest:"))


async def test_database_that_cannot_hold_all_characters_is_a_sentence(
    url: str, postgres_server: PostgresServer
) -> None:
    """Better at the start than with the first emoji."""
    await asyncio.to_thread(
        postgres_server.execute,
        "DROP DATABASE IF EXISTS narrow",
        "CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    )
    assert "ENCODING 'UTF8'" in await refused(postgres_server.url("narrow"))


async def test_server_that_takes_no_changes_is_a_sentence(
    url: str, postgres_server: PostgresServer
) -> None:
    """A standby can be read, and nothing is lost."""
    async with Storage.open(url, NO_PICTURES) as storage:
        await asyncio.to_thread(
            postgres_server.execute, "ALTER ROLE janus SET default_transaction_read_only = on"
        )
        try:
            with pytest.raises(StorageError, match="takes no changes now"):
                await storage.turns.accept(a_turn("1"))
            assert await storage.turns.unfinished() == []
        finally:
            await asyncio.to_thread(
                postgres_server.execute,
                "SET default_transaction_read_only = off",
                "ALTER ROLE janus RESET ALL",
            )


async def test_table_that_somebody_else_holds_is_a_sentence(url: str) -> None:
    """Nobody waits for ever."""
    async with Storage.open(url, NO_PICTURES) as storage, Storage.open(url, NO_PICTURES) as other:

        @event.listens_for(storage.database._writer.sync_engine, "connect")
        def impatient(connection: object, _record: object) -> None:
            connection.cursor().execute("SET lock_timeout = 10")  # type: ignore[attr-defined] # DBAPI
            connection.commit()  # type: ignore[attr-defined] # same

        async with other.database.write() as connection:
            await connection.execute(text("LOCK TABLE turns"))
            with pytest.raises(StorageError, match="too busy"):
                await storage.turns.accept(a_turn("1"))
        assert await storage.turns.accept(a_turn("1"))


async def test_mistakes_of_this_program_are_no_sentences(url: str) -> None:
    """A wrong statement stays what it is."""
    async with Storage.open(url, NO_PICTURES) as storage:
        with pytest.raises(ProgrammingError):
            async with storage.database.write() as connection:
                await connection.execute(text("SELECT nothing FROM nowhere"))


async def test_accepting_and_finishing_reach_the_disk(url: str) -> None:
    """Commits of accepted turns and answers are flushed; progress need not be."""
    async with Storage.open(url, NO_PICTURES) as storage:
        for durable, level in ((True, "on"), (False, "off"), (True, "on")):
            async with storage.database.write(durable=durable) as connection:
                assert await connection.scalar(text("SHOW synchronous_commit")) == level


async def test_more_at_once_than_connections(url: str) -> None:
    """Whoever finds all connections taken waits for one."""
    async with Storage.open(url, NO_PICTURES) as storage:
        turns = [a_turn(f"{number}") for number in range(40)]
        await asyncio.gather(*(storage.turns.accept(turn) for turn in turns))
        found = await asyncio.gather(
            *(storage.turns.of_message(HERE, turn.message_id) for turn in turns)
        )
        assert found == turns


async def test_times_are_what_was_written(url: str) -> None:
    """Unix seconds come back to the last bit, whatever time zone the server has."""
    async with Storage.open(url, NO_PICTURES) as storage:
        turn = replace(
            a_turn("1"),
            accepted_at=1_700_000_000.123456,
            parked_until=1_700_000_060.654321,
            answer=Answer(TurnState.DONE, "\0\u2028"),
        )
        await storage.turns.accept(turn)
        assert await storage.turns.unfinished() == [turn]
