from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bot.models import Answer, ChannelKey, Segment, TurnState
from bot.provider.responses import JsonConversation
from bot.storage import Storage
from tests.test_turn_store import a_turn, accepted, answered, history

GROUP = ChannelKey("telegram", ("-42",))
SUPERGROUP = ChannelKey("telegram", ("-10042",))


async def questions(storage: Storage, channel: ChannelKey) -> list[str]:
    return [exchange.question for exchange in await history(storage, channel, 100)]


async def ask(storage: Storage, message_id: str, channel: ChannelKey, question: str) -> None:
    await answered(storage, a_turn(message_id, channel, question))


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
async def test_newest_seen_message_stays(storage: Storage, ids: list[str], newest: str) -> None:
    """The larger of two numbers, else what came last."""
    for message_id in ids:
        await storage.channels.saw(GROUP, message_id)
    assert await storage.channels.seen("telegram", 0) == [(GROUP, newest)]


async def test_seen_channels_of_a_platform_newest_first(storage: Storage) -> None:
    """Only the platform's own channels, and only those in which something was seen lately."""
    one, other = ChannelKey("discord", ("1",)), ChannelKey("discord", ("2",))
    await storage.channels.saw(one, "5")
    await storage.channels.saw(GROUP, "6")
    await storage.channels.saw(other, "7")
    assert await storage.channels.seen("discord", 0) == [(other, "7"), (one, "5")]
    await storage.channels.saw(one, "4")
    assert await storage.channels.seen("discord", 0) == [(one, "5"), (other, "7")]
    assert await storage.channels.seen("disc%", 0) == await storage.channels.seen("web", 0) == []
    assert await storage.channels.seen("discord", time.time() + 60) == []


async def test_channel_moves_with_all_that_belongs_to_it(storage: Storage) -> None:
    """History, resets, conversation and replies go on under the new key, and are gone here."""
    await ask(storage, "1", GROUP, "before the reset")
    await storage.channels.reset(GROUP)
    await ask(storage, "2", GROUP, "after it")
    turn = await accepted(storage, a_turn("3", GROUP, "unfinished"))
    await storage.segments.save(turn.id, 0, Segment({"id": "4"}, "a"))
    failed = replace(turn, answer=Answer(TurnState.FAILED, "", note="No."))
    await storage.turns.finish(failed, JsonConversation("x"))
    await storage.channels.saw(GROUP, "4")
    for _ in range(2):  # Telegram tells it twice: in the old chat and in the new one
        await storage.channels.move(GROUP, SUPERGROUP)
        assert await questions(storage, SUPERGROUP) == ["after it"]
        assert await storage.channels.conversation(SUPERGROUP) == JsonConversation("x")
        assert len(await storage.turns.latest(SUPERGROUP, 10)) == 3
        assert await storage.turns.latest(GROUP, 10) == []
        assert await history(storage, GROUP, 10) == []
        assert await storage.channels.conversation(GROUP) == JsonConversation()
        assert await storage.channels.seen("telegram", 0) == []
    await ask(storage, "8", SUPERGROUP, "later")
    assert await questions(storage, SUPERGROUP) == ["after it", "later"]


async def test_message_ids_of_the_new_chat_are_its_own(storage: Storage) -> None:
    """It counts from the beginning: the same number is another request and another reply."""
    old = a_turn("5", GROUP, "old")
    await storage.turns.accept(old)
    await storage.segments.save(old.id, 0, Segment({"id": "6"}, "a"))
    await storage.channels.move(GROUP, SUPERGROUP)
    assert await storage.turns.of_message(SUPERGROUP, "5") is None
    assert await storage.turns.of_message(SUPERGROUP, "6") is None
    new = a_turn("5", SUPERGROUP, "new")
    assert await storage.turns.accept(new)
    await storage.segments.save(new.id, 0, Segment({"id": "6"}, "a"))
    assert await storage.turns.of_message(SUPERGROUP, "6") == new


async def test_request_from_before_a_move_is_still_known(storage: Storage) -> None:
    """Delivered again under the old key, after one move or two, it is refused; a new one is not."""
    await storage.turns.accept(a_turn("5", GROUP))
    await storage.channels.move(GROUP, SUPERGROUP)
    assert not await storage.turns.accept(a_turn("5", GROUP))
    assert await storage.turns.accept(a_turn("6", GROUP))
    await storage.channels.move(GROUP, SUPERGROUP)
    await storage.channels.move(SUPERGROUP, ChannelKey("telegram", ("-3",)))
    assert not await storage.turns.accept(a_turn("5", GROUP))
    assert not await storage.turns.accept(a_turn("6", GROUP))
    assert await storage.turns.accept(a_turn("7", GROUP))


async def test_turn_under_way_ends_in_the_moved_channel(storage: Storage) -> None:
    """A turn that was accepted under the old key becomes history of the new one."""
    turn = a_turn("1", GROUP, "slow")
    await storage.turns.accept(turn)
    await storage.channels.move(GROUP, SUPERGROUP)
    owed = replace(turn, state=TurnState.DELIVERING, answer=Answer(TurnState.DONE, "Yes."))
    await storage.turns.finish(owed, JsonConversation("x"))
    assert await questions(storage, SUPERGROUP) == ["slow"]
    assert await storage.channels.conversation(SUPERGROUP) == JsonConversation("x")
    [stored] = await storage.turns.unfinished()
    assert stored.address == turn.address


async def test_move_into_a_channel_with_a_history(storage: Storage) -> None:
    """Both current histories become one, resets of either still count, the newest turn stays."""
    await ask(storage, "1", GROUP, "long gone")
    await storage.channels.reset(GROUP)
    await ask(storage, "2", GROUP, "old")
    await ask(storage, "1", SUPERGROUP, "new")
    old = await storage.turns.newest(GROUP)
    new = await storage.turns.newest(SUPERGROUP)
    assert old
    assert new
    await storage.channels.move(GROUP, SUPERGROUP)
    assert await questions(storage, SUPERGROUP) == ["old", "new"]
    assert await storage.turns.newest(SUPERGROUP) == replace(new, parent=old.id)
    assert len(await storage.turns.latest(SUPERGROUP, 10)) == 3


async def test_move_into_a_channel_that_was_reset(storage: Storage) -> None:
    """What was moved belongs to the time before the reset."""
    await ask(storage, "2", GROUP, "old")
    await storage.channels.reset(SUPERGROUP)
    await ask(storage, "1", SUPERGROUP, "new")
    await storage.channels.move(GROUP, SUPERGROUP)
    assert await questions(storage, SUPERGROUP) == ["new"]


async def test_move_of_an_unknown_channel_changes_nothing(storage: Storage) -> None:
    """Neither does a move to where it is."""
    await ask(storage, "1", SUPERGROUP, "new")
    await storage.channels.move(GROUP, SUPERGROUP)
    await storage.channels.move(SUPERGROUP, SUPERGROUP)
    assert await questions(storage, SUPERGROUP) == ["new"]
