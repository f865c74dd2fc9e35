"""Turns as they are stored, on every database: accepted once, finished once, and their history."""

from __future__ import annotations

import asyncio
import os
import signal
import string
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, update

from bot.errors import SchemaTooNew, StorageError
from bot.models import (
    MAX_SEED,
    Address,
    Answer,
    Ask,
    Attachment,
    ChannelKey,
    Exchange,
    Imagine,
    Person,
    Segment,
    Turn,
    TurnState,
    new_id,
)
from bot.provider.responses import JsonConversation
from bot.storage import Storage
from bot.storage.rows import turn_from_row, turn_to_row
from bot.storage.schema import channels, turns
from tests.servers.databases import NO_PICTURES

HERE = ChannelKey("telegram", ("-100", "7"))
THERE = ChannelKey("telegram", ("-100", "8"))


def a_turn(message_id: str, channel: ChannelKey = HERE, question: str = "Why?") -> Turn:
    return Turn(
        id=new_id(),
        channel=channel,
        message_id=message_id,
        person=Person("telegram", "42", "Ann", "en"),
        command=Ask(question),
        address=Address("telegram", "-100", {"chat_id": -100, "token": "SECRET"}),
        seed=7,
        accepted_at=1_700_000_000.25,
    )


async def accepted(storage: Storage, turn: Turn) -> Turn:
    """Accept a turn as the engine does: it goes on from the newest one of its channel."""
    newest = await storage.turns.newest(turn.channel)
    turn = replace(turn, parent=newest.id if newest else None)
    assert await storage.turns.accept(turn)
    return turn


async def history(storage: Storage, channel: ChannelKey, messages: int) -> Sequence[Exchange]:
    """What the next question of a channel is asked with."""
    newest = await storage.turns.newest(channel)
    return await storage.turns.lineage(newest.id if newest else None, messages)


async def answered(
    storage: Storage, turn: Turn, said: str = "Because.", outcome: TurnState = TurnState.DONE
) -> Turn:
    """Take a turn, which goes on from the newest one of its channel, through all of its states."""
    turn = await accepted(storage, turn)
    owed = replace(turn, state=TurnState.DELIVERING, answer=Answer(outcome, said))
    await storage.turns.finish(owed, None)
    ended = owed.to(outcome)
    await storage.turns.save(ended)
    return ended


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.none() | st.booleans() | NUMBERS | st.text()
OBJECTS = st.dictionaries(st.text(), JSON | st.lists(JSON, max_size=2), max_size=3)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
IDS = st.text(string.ascii_letters + string.digits + "-_", min_size=1)
KEYS = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=3).map(tuple)
TURNS = st.builds(
    Turn,
    id=st.builds(new_id),
    channel=st.builds(ChannelKey, IDS, st.lists(IDS, min_size=1, max_size=3).map(tuple)),
    message_id=WORDS,
    person=st.builds(Person, IDS, WORDS, WORDS, WORDS),
    command=st.builds(Ask, st.text())
    | st.builds(
        Imagine,
        st.text(),
        st.none() | st.integers(0, MAX_SEED),
        st.none() | st.floats(1, 10),
    ),
    address=st.builds(Address, st.text(), st.text(), OBJECTS),
    seed=st.integers(0, MAX_SEED),
    accepted_at=st.floats(0, 1e11),
    attachments=st.lists(
        st.builds(
            Attachment,
            st.text(),
            OBJECTS,
            st.none() | st.integers(0),
            st.none() | st.text(),
        ),
        max_size=2,
    ).map(tuple),
    reply_to=st.none() | WORDS,
    state=st.sampled_from(TurnState),
    attempts=st.integers(0, 2**31 - 1),
    pictures=KEYS,
    answer=st.none()
    | st.builds(
        Answer,
        st.sampled_from([TurnState.DONE, TurnState.FAILED, TurnState.CANCELLED]),
        st.text(),
        KEYS,
        st.text(),
    ),
    parked_until=st.none() | st.floats(0, 1e11),
    server=WORDS,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TURNS)
def test_rows_hold_a_whole_turn(turn: Turn) -> None:
    """Every field of a turn comes back from its row."""
    assert turn_from_row(turn_to_row(turn)) == turn


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(turn=TURNS)
async def test_database_holds_a_whole_turn(storage: Storage, turn: Turn) -> None:
    """Every field of a turn comes back from the database itself."""
    if await storage.turns.accept(turn):
        assert await storage.turns.newest(turn.channel) == turn
        assert await storage.turns.of_message(turn.channel, turn.message_id) == turn


async def test_characters_that_no_database_takes_lose_no_message(storage: Storage) -> None:
    """Half a surrogate pair or a NUL in a name is replaced; the turn is accepted."""
    turn = replace(
        a_turn("1", question="\ud83d \0"),
        person=Person("telegram", "42", "A\ud83d\0B"),
    )
    await answered(storage, turn, "\udc00")
    found = await storage.turns.newest(HERE)
    assert found is not None
    assert found.person.name == "A\ufffd\ufffdB"
    [exchange] = await history(storage, HERE, 2)
    assert (exchange.question, exchange.answer) == ("\ufffd \ufffd", "\ufffd")


async def test_the_same_message_is_accepted_once(storage: Storage) -> None:
    """A second delivery is refused, whether it brings the same turn or a new one."""
    turn = a_turn("1")
    assert await storage.turns.accept(turn)
    assert not await storage.turns.accept(turn)
    assert not await storage.turns.accept(a_turn("1"))
    assert await storage.turns.accept(a_turn("1", THERE))
    assert await storage.turns.newest(HERE) == turn


async def test_fifty_deliveries_at_once_are_one_turn(where: str, storage: Storage) -> None:
    """Of fifty concurrent deliveries, through two engines on one database, one is accepted."""
    async with Storage.open(where, NO_PICTURES) as other:
        stores = [storage.turns, other.turns]
        results = await asyncio.gather(
            *(stores[number % 2].accept(a_turn("1")) for number in range(50))
        )
    assert results.count(True) == 1
    assert len(await storage.turns.unfinished()) == 1


async def test_progress_is_stored(storage: Storage) -> None:
    """State, attempts, pictures, address and answer change; what was asked does not."""
    turn = a_turn("1")
    await storage.turns.accept(turn)
    later = replace(
        turn,
        state=TurnState.RUNNING,
        attempts=2,
        pictures=("ab" * 32,),
        address=Address("telegram", "-100", {"chat_id": -100, "message": 9}),
    )
    await storage.turns.save(later)
    assert await storage.turns.newest(HERE) == later


async def test_saving_an_unknown_turn_is_an_error(storage: Storage) -> None:
    """Progress of a turn that is not there is not dropped in silence."""
    with pytest.raises(StorageError, match="not in the database"):
        await storage.turns.save(a_turn("1"))
    with pytest.raises(StorageError, match="not in the database"):
        await storage.segments.save("nobody", 0, Segment({}, ""))
    with pytest.raises(StorageError, match="not in the database"):
        await storage.segments.save("nobody", 0, Segment(None, "", {}))
    with pytest.raises(ValueError, match="no answer"):
        await storage.turns.finish(a_turn("1"), None)


async def test_unfinished_turns_are_found_oldest_first(storage: Storage) -> None:
    """What is not in a final state is unfinished; an answer that is owed is."""
    waiting, owed = a_turn("1"), a_turn("3", THERE)
    await storage.turns.accept(waiting)
    for number, outcome in enumerate((TurnState.DONE, TurnState.FAILED, TurnState.CANCELLED)):
        await answered(storage, a_turn(f"2{number}"), outcome=outcome)
    await storage.turns.accept(owed)
    owed = replace(owed, state=TurnState.DELIVERING, answer=Answer(TurnState.DONE, "So."))
    await storage.turns.finish(owed, None)
    assert await storage.turns.unfinished() == [waiting, owed]


async def test_history_is_the_newest_exchanges_oldest_first(storage: Storage) -> None:
    """At most so many messages, two for each exchange, failed and cancelled turns left out."""
    for number in range(4):
        await answered(storage, a_turn(f"{number}", question=f"q{number}"), f"a{number}")
    await answered(storage, a_turn("f"), outcome=TurnState.FAILED)
    await answered(storage, a_turn("c"), outcome=TurnState.CANCELLED)
    await accepted(storage, a_turn("w"))

    async def asked(messages: int) -> list[str]:
        return [exchange.question for exchange in await history(storage, HERE, messages)]

    assert await asked(100) == ["q0", "q1", "q2", "q3"]
    assert await asked(5) == await asked(4) == ["q2", "q3"]
    assert await asked(1) == await asked(0) == []


async def test_history_tells_pictures_and_people(storage: Storage) -> None:
    """An exchange names who asked, what was shown, what was made; images have no text."""
    shown, made = "aa" * 32, "bb" * 32
    ask = replace(a_turn("1"), pictures=(shown,))
    draw = replace(a_turn("2"), command=Imagine("a fox"))
    await answered(storage, ask)
    draw = await accepted(storage, draw)
    await storage.turns.finish(
        replace(
            draw,
            state=TurnState.DELIVERING,
            answer=Answer(TurnState.DONE, "**a fox** seed 7", (made,)),
        ),
        None,
    )
    assert await history(storage, HERE, 10) == [
        Exchange(ask.id, "Ann", "Why?", "Because.", (shown,)),
        Exchange(draw.id, "Ann", "a fox", "", (made,)),
    ]


async def test_finishing_twice_is_one_exchange(storage: Storage) -> None:
    """An answer stored again, for example after an unknown outcome, is in the history once."""
    turn = await answered(storage, a_turn("1"))
    await storage.turns.finish(turn, None)
    assert len(await history(storage, HERE, 10)) == 1


async def test_channels_never_mix(storage: Storage) -> None:
    """History, newest turn, conversation and messages of one channel are not another's."""
    here, there = a_turn("1"), a_turn("2", THERE)
    await answered(storage, here)
    await answered(storage, there)
    await storage.channels.reset(THERE)
    assert [each.turn_id for each in await history(storage, HERE, 10)] == [here.id]
    assert await history(storage, THERE, 10) == []
    assert (await storage.turns.newest(HERE)) is not None
    assert await storage.turns.newest(THERE) is None
    assert await storage.turns.of_message(THERE, "1") is None
    assert [turn.id for turn in await storage.turns.latest(THERE, 5)] == [there.id]


async def test_reset_begins_anew_and_deletes_nothing(storage: Storage) -> None:
    """After a reset nothing before it is history, not even what is answered later."""
    await answered(storage, a_turn("1"))
    late = await accepted(storage, a_turn("2"))
    await storage.channels.reset(HERE)
    await storage.turns.finish(
        replace(late, state=TurnState.DELIVERING, answer=Answer(TurnState.DONE, "Late.")), None
    )
    assert await storage.turns.newest(HERE) is None
    assert await history(storage, HERE, 10) == []
    new = a_turn("3")
    await answered(storage, new)
    assert [each.turn_id for each in await history(storage, HERE, 10)] == [new.id]
    assert [turn.message_id for turn in await storage.turns.latest(HERE, 2)] == ["2", "3"]


async def test_reset_of_an_unknown_channel_is_kept(storage: Storage) -> None:
    """A channel may be reset before anything was asked there."""
    await storage.channels.reset(HERE)
    await answered(storage, a_turn("1"))
    assert len(await history(storage, HERE, 10)) == 1


async def test_conversation_is_stored_with_the_answer(storage: Storage) -> None:
    """It is empty at first, then what came with the newest answer that brought one."""
    assert await storage.channels.conversation(HERE) == JsonConversation()
    turn = replace(a_turn("1"), state=TurnState.DELIVERING, answer=Answer(TurnState.FAILED, "No."))
    await storage.turns.accept(turn)
    conversation = JsonConversation("hash", "uuid", "token", 1e10)
    await storage.turns.finish(turn, conversation)
    await storage.turns.finish(turn, None)
    assert await storage.channels.conversation(HERE) == conversation
    assert await storage.channels.conversation(THERE) == JsonConversation()


async def test_conversation_of_a_newer_version_is_refused(storage: Storage) -> None:
    """A conversation that cannot be read is an error with a sentence."""
    await storage.turns.accept(a_turn("1"))
    async with storage.database.write() as connection:
        await connection.execute(update(channels).values(conversation={"version": 99}))
    with pytest.raises(SchemaTooNew, match="version 99"):
        await storage.channels.conversation(HERE)


async def test_segments_come_back_in_order(storage: Storage) -> None:
    """Each message of a reply is stored by its index, and the newest state of it stays."""
    turn = a_turn("1")
    await storage.turns.accept(turn)
    await storage.segments.save(turn.id, 1, Segment({"id": "11"}, "b"))
    await storage.segments.save(turn.id, 0, Segment({"ids": ["10"]}, "a"))
    await storage.segments.save(turn.id, 0, Segment({"ids": ["10", "12"]}, "c"))
    assert await storage.segments.of_turn(turn.id) == [
        Segment({"ids": ["10", "12"]}, "c"),
        Segment({"id": "11"}, "b"),
    ]
    for message_id in ("1", "10", "11", "12"):
        assert await storage.turns.of_message(HERE, message_id) == turn
    assert await storage.turns.of_message(HERE, "13") is None
    assert await storage.turns.of_message(THERE, "10") is None
    await storage.segments.delete(turn.id, 0)
    assert await storage.segments.of_turn(turn.id) == [Segment({"id": "11"}, "b")]


async def test_intents_come_before_receipts(storage: Storage) -> None:
    """A message is an intent until it is acknowledged; no later intent takes the receipt away."""
    turn = a_turn("1")
    await storage.turns.accept(turn)
    await storage.segments.save(turn.id, 0, Segment(None, "a", {"after": "9"}))
    await storage.segments.save(turn.id, 0, Segment(None, "b", {"after": "10"}))
    assert await storage.segments.of_turn(turn.id) == [Segment(None, "b", {"after": "10"})]
    await storage.segments.save(turn.id, 0, Segment({"id": "11"}, "c"))
    await storage.segments.save(turn.id, 0, Segment(None, "d", {"after": "12"}))
    assert await storage.segments.of_turn(turn.id) == [Segment({"id": "11"}, "c", {"after": "10"})]
    assert await storage.turns.of_message(HERE, "11") == turn


async def test_parked_turn_says_when_it_goes_on(storage: Storage) -> None:
    """A parked turn is unfinished and keeps its moment; a turn that went on has none."""
    turn = a_turn("1").to(TurnState.QUEUED).to(TurnState.RUNNING)
    await storage.turns.accept(turn)
    parked = turn.to(TurnState.PARKED, parked_until=1_700_000_060.5)
    await storage.turns.save(parked)
    assert await storage.turns.unfinished() == [parked]
    queued = parked.to(TurnState.QUEUED, parked_until=None)
    await storage.turns.save(queued)
    assert await storage.turns.unfinished() == [queued]


async def test_edited_request_is_rewritten(storage: Storage) -> None:
    """What a person changed in an unfinished request is stored; a finished one stays."""
    turn = replace(a_turn("1"), pictures=("ab" * 32,), attempts=1, state=TurnState.QUEUED)
    await storage.turns.accept(turn)
    edited = replace(
        turn,
        command=Imagine("a fox", 9),
        seed=9,
        attachments=(Attachment("fox.png", {"file_id": "x"}),),
        pictures=(),
        attempts=0,
    )
    await storage.turns.rewrite(edited)
    assert await storage.turns.unfinished() == [edited]
    with pytest.raises(ValueError, match="is done"):
        await storage.turns.rewrite(replace(edited, state=TurnState.DONE))
    with pytest.raises(StorageError, match="not in the database"):
        await storage.turns.rewrite(a_turn("2"))


async def test_messages_of_a_chat_are_known_in_all_its_topics(storage: Storage) -> None:
    """A message of the bot is known by its chat, not in chats whose ids begin alike."""
    whole, other = ChannelKey("telegram", ("-100",)), ChannelKey("telegram", ("-1001", "7"))
    turns = [a_turn("1", channel) for channel in (HERE, THERE, whole, other)]
    for number, turn in enumerate(turns):
        await storage.turns.accept(turn)
        await storage.segments.save(turn.id, 0, Segment({"id": f"{number}"}, "a"))
    for turn in turns[:3]:
        known = [await storage.segments.is_reply(turn.id, f"{number}") for number in range(5)]
        assert known == [True, True, True, False, False]
    assert await storage.segments.is_reply(turns[3].id, "3")
    assert not await storage.segments.is_reply(turns[3].id, "0")
    assert not await storage.segments.is_reply("nobody", "0")


async def test_what_a_person_asked_lately_is_counted(storage: Storage) -> None:
    """Times of one person's turns in all channels, after a moment, oldest first."""
    ann = a_turn("1").person
    for second, channel in ((3, HERE), (1, HERE), (2, THERE)):
        await storage.turns.accept(replace(a_turn(f"{second}", channel), accepted_at=second))
    await storage.turns.accept(replace(a_turn("4"), accepted_at=4, command=Imagine("a fox")))
    await storage.turns.accept(replace(a_turn("5"), accepted_at=5, person=replace(ann, id="43")))
    assert await storage.turns.accepted_since(ann, 1, drawings=False) == [2, 3, 4]
    assert await storage.turns.accepted_since(ann, 1, drawings=True) == [4]


async def test_export_is_everything_but_secrets(storage: Storage) -> None:
    """An export names what was asked and answered, and holds no token and no address."""
    turn = replace(
        a_turn("1"), attachments=(Attachment("cat.png", {"url": "https://SECRET"}, 9, "image/png"),)
    )
    await storage.turns.accept(turn)
    done = replace(turn, state=TurnState.DELIVERING, answer=Answer(TurnState.DONE, "A cat."))
    await storage.turns.finish(done, JsonConversation("hash", "uuid", "SECRET", 1e10))
    exported = await storage.records.export(HERE)
    assert "SECRET" not in str(exported)
    assert exported["channel"] == "telegram:-100:7"
    [told] = exported["turns"]
    assert told["command"] == {"kind": "ask", "question": "Why?"}
    assert told["answer"]["text"] == "A cat."
    assert told["attachments"] == [{"name": "cat.png", "size": 9, "media_type": "image/png"}]
    assert (await storage.records.export(THERE))["turns"] == []


async def test_damaged_row_is_named(storage: Storage) -> None:
    """A turn that somebody changed by hand is an error that names it."""
    turn = await answered(storage, a_turn("1"))
    async with storage.database.write() as connection:
        await connection.execute(update(turns).values(command={"kind": "sing"}))
    with pytest.raises(StorageError, match=turn.id):
        await storage.turns.newest(HERE)
    with pytest.raises(StorageError, match=turn.id):
        await storage.turns.lineage(turn.id, 2)


KILLED = """
import asyncio, os, signal, sys
from bot.models import Address, ChannelKey, IncomingMessage, Person
from bot.storage import Storage
from bot.models import Ask, Turn
from pathlib import Path

async def main():
    person, address = Person("telegram", "42", "Ann"), Address("telegram", "7", {})
    message = IncomingMessage(ChannelKey("telegram", ("7",)), person, "1", address)
    async with Storage.open(sys.argv[1], Path("images")) as storage:
        assert await storage.turns.accept(Turn.accept(message, Ask("Why?")))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.timeout(180)  # starts Python again, which can take long when all are busy
async def test_accepted_turn_outlives_kill(where: str) -> None:
    """A process killed right after `accept` returned has lost nothing."""
    root = Path(__file__).parents[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, where, cwd=root, env={**os.environ, "PYTHONPATH": "."}
    )
    assert await process.wait() == -signal.SIGKILL
    async with Storage.open(where, NO_PICTURES) as storage:
        [turn] = await storage.turns.unfinished()
    assert turn.message_id == "1"


async def test_lookups_use_their_indexes(file_storage: Storage) -> None:
    """No lookup of the store reads a whole table or sorts a channel: cost stays flat."""
    storage, plans = file_storage, list[str]()

    @event.listens_for(storage.database._reader.sync_engine, "before_cursor_execute")
    def seen(
        connection: object, cursor: object, statement: str, values: object, *_: object
    ) -> None:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[attr-defined] # DBAPI
        plans.extend(row[3] for row in cursor.fetchall())  # type: ignore[attr-defined] # DBAPI

    turn = await answered(storage, a_turn("1"))
    await storage.turns.get(turn.id)
    await storage.turns.newest(HERE)
    await storage.turns.latest(HERE, 20)
    await storage.turns.of_message(HERE, "x")
    await storage.turns.accepted_since(a_turn("1").person, 0, drawings=False)
    assert len(plans) >= 8
    assert not [plan for plan in plans if plan.startswith("SCAN") or "TEMP B-TREE" in plan]
    await storage.turns.unfinished()
    assert await storage.turns.lineage(turn.id, 20)
    # Of a lineage, the steps so far are read from one end to the other, and put in order.
    assert not [plan for plan in plans if plan.startswith("SCAN") and plan != "SCAN line"]
