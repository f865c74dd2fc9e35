from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.models import Answer, ChannelKey, TurnState
from bot.provider.responses import JsonConversation
from bot.storage import Database, Store
from tests.test_store import a_turn, answered

GROUP = ChannelKey("telegram", ("-42",))
SUPERGROUP = ChannelKey("telegram", ("-10042",))


@pytest.fixture
async def store(where: str) -> AsyncIterator[Store]:
    async with Database.open(where) as database:
        yield Store(database)


async def questions(store: Store, channel: ChannelKey) -> list[str]:
    return [exchange.question for exchange in await store.history(channel, 100)]


async def ask(store: Store, message_id: str, channel: ChannelKey, question: str) -> None:
    await answered(store, a_turn(message_id, channel, question))


@pytest.mark.parametrize(
    ("ids", "newest"),
    [
        (["9", "10"], "10"),
        (["10", "9"], "10"),
        (["1404000000000000002", "1404000000000000001"], "1404000000000000002"),
        (["10", "a"], "a"),
        (["b", "a"], "a"),
        (["b", "7"], "7"),
        (["7", "7"], "7"),
    ],
)
async def test_newest_seen_message_stays(store: Store, ids: list[str], newest: str) -> None:
    """The larger of two numbers, else what came last."""
    for message_id in ids:
        await store.saw(GROUP, message_id)
    assert await store.seen("telegram", 0) == [(GROUP, newest)]


async def test_seen_channels_of_a_platform_newest_first(store: Store) -> None:
    """Only the platform's own channels, and only those in which something was seen lately."""
    one, other = ChannelKey("discord", ("1",)), ChannelKey("discord", ("2",))
    await store.saw(one, "5")
    await store.saw(GROUP, "6")
    await store.saw(other, "7")
    assert await store.seen("discord", 0) == [(other, "7"), (one, "5")]
    await store.saw(one, "4")
    assert await store.seen("discord", 0) == [(one, "5"), (other, "7")]
    assert await store.seen("disc%", 0) == await store.seen("web", 0) == []
    assert await store.seen("discord", time.time() + 60) == []


async def test_channel_moves_with_all_that_belongs_to_it(store: Store) -> None:
    """History, resets, conversation and replies go on under the new key, and are gone here."""
    await ask(store, "1", GROUP, "before the reset")
    await store.reset(GROUP)
    await ask(store, "2", GROUP, "after it")
    turn = a_turn("3", GROUP, "unfinished")
    await store.accept(turn)
    await store.save_segment(turn.id, 0, {"id": "4"}, "a")
    await store.finish(replace(turn, answer=Answer(TurnState.FAILED, "No.")), JsonConversation("x"))
    await store.saw(GROUP, "4")
    for _ in range(2):  # Telegram tells it twice: in the old chat and in the new one
        await store.move_channel(GROUP, SUPERGROUP)
        assert await questions(store, SUPERGROUP) == ["after it"]
        assert await store.conversation(SUPERGROUP) == JsonConversation("x")
        assert len(await store.turns(SUPERGROUP, 10)) == 3
        assert await store.turns(GROUP, 10) == []
        assert await store.history(GROUP, 10) == []
        assert await store.conversation(GROUP) == JsonConversation()
        assert await store.seen("telegram", 0) == []
    await ask(store, "8", SUPERGROUP, "later")
    assert await questions(store, SUPERGROUP) == ["after it", "later"]


async def test_message_ids_of_the_new_chat_are_its_own(store: Store) -> None:
    """It counts from the beginning: the same number is another request and another reply."""
    old = a_turn("5", GROUP, "old")
    await store.accept(old)
    await store.save_segment(old.id, 0, {"id": "6"}, "a")
    await store.move_channel(GROUP, SUPERGROUP)
    assert await store.turn_of_message(SUPERGROUP, "5") is None
    assert await store.turn_of_message(SUPERGROUP, "6") is None
    new = a_turn("5", SUPERGROUP, "new")
    assert await store.accept(new)
    await store.save_segment(new.id, 0, {"id": "6"}, "a")
    assert await store.turn_of_message(SUPERGROUP, "6") == new


async def test_request_from_before_a_move_is_still_known(store: Store) -> None:
    """Delivered again under the old key, after one move or two, it is refused; a new one is not."""
    await store.accept(a_turn("5", GROUP))
    await store.move_channel(GROUP, SUPERGROUP)
    assert not await store.accept(a_turn("5", GROUP))
    assert await store.accept(a_turn("6", GROUP))
    await store.move_channel(GROUP, SUPERGROUP)
    await store.move_channel(SUPERGROUP, ChannelKey("telegram", ("-3",)))
    assert not await store.accept(a_turn("5", GROUP))
    assert not await store.accept(a_turn("6", GROUP))
    assert await store.accept(a_turn("7", GROUP))


async def test_turn_under_way_ends_in_the_moved_channel(store: Store) -> None:
    """A turn that was accepted under the old key becomes history of the new one."""
    turn = a_turn("1", GROUP, "slow")
    await store.accept(turn)
    await store.move_channel(GROUP, SUPERGROUP)
    owed = replace(turn, state=TurnState.DELIVERING, answer=Answer(TurnState.DONE, "Yes."))
    await store.finish(owed, JsonConversation("x"))
    assert await questions(store, SUPERGROUP) == ["slow"]
    assert await store.conversation(SUPERGROUP) == JsonConversation("x")
    [stored] = await store.unfinished()
    assert stored.address == turn.address


async def test_move_into_a_channel_with_a_history(store: Store) -> None:
    """Both current histories become one, resets of either still count, the newest turn stays."""
    await ask(store, "1", GROUP, "long gone")
    await store.reset(GROUP)
    await ask(store, "2", GROUP, "old")
    await ask(store, "1", SUPERGROUP, "new")
    newest = await store.newest(SUPERGROUP)
    await store.move_channel(GROUP, SUPERGROUP)
    assert await questions(store, SUPERGROUP) == ["old", "new"]
    assert await store.newest(SUPERGROUP) == newest
    assert len(await store.turns(SUPERGROUP, 10)) == 3


async def test_move_into_a_channel_that_was_reset(store: Store) -> None:
    """What was moved belongs to the time before the reset."""
    await ask(store, "2", GROUP, "old")
    await store.reset(SUPERGROUP)
    await ask(store, "1", SUPERGROUP, "new")
    await store.move_channel(GROUP, SUPERGROUP)
    assert await questions(store, SUPERGROUP) == ["new"]


async def test_move_of_an_unknown_channel_changes_nothing(store: Store) -> None:
    """Neither does a move to where it is."""
    await ask(store, "1", SUPERGROUP, "new")
    await store.move_channel(GROUP, SUPERGROUP)
    await store.move_channel(SUPERGROUP, SUPERGROUP)
    assert await questions(store, SUPERGROUP) == ["new"]
