"""What concerns one person in a group is shown to nobody else, where the server can do that."""

from __future__ import annotations

import pytest

from bot.models import Notice
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_support import serving
from tests.test_telegram_buttons import shown

LONG = "What is stored about you: " + "much " * 60


async def test_a_private_answer_to_a_command_is_for_one_person(telegram: TelegramServer) -> None:
    """The group never holds it."""
    ann, chat = telegram.person("Ann"), telegram.group()
    telegram.world.ephemeral = "taken"
    dispatcher = ScriptedDispatcher(notice=Notice("Only yours."))
    async with serving(telegram, dispatcher):
        telegram.say(chat, ann, "/privacy")
        await telegram.wait_for(lambda: chat.ephemeral)
        dispatcher.notice = Notice("For all.", private=False)
        telegram.say(chat, ann, "/stats")
        await telegram.wait_for(lambda: telegram.replies(chat))
    assert chat.ephemeral == [(ann["id"], "Only yours.")]
    assert [message["text"] for message in telegram.replies(chat)] == ["For all."]


async def test_a_long_answer_to_a_press_is_for_one_person(telegram: TelegramServer) -> None:
    """Telegram is told which press it answers."""
    ann, chat = telegram.person("Ann"), telegram.group()
    telegram.world.ephemeral = "taken"
    dispatcher = ScriptedDispatcher()
    dispatcher.press_notices.append(Notice(LONG))
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        query = telegram.press(ann, message, "again:abcdefghjk:")
        await telegram.wait_for(lambda: chat.ephemeral)
    aim = telegram.called("sendMessage")[-1].params["ephemeral_message_parameters"]
    assert aim == {"receiver_user_id": ann["id"], "callback_query_id": query}
    assert len(telegram.replies(chat)) == 1


@pytest.mark.parametrize("ephemeral", [None, "refused"])
async def test_where_that_is_not_possible_everybody_sees_it(
    telegram: TelegramServer, ephemeral: str | None
) -> None:
    """An older server, and one that refuses: each notice once, and no second try."""
    ann, chat = telegram.person("Ann"), telegram.group()
    telegram.world.ephemeral = ephemeral
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        for text in ("One.", "Two."):
            dispatcher.notice = Notice(text)
            telegram.say(chat, ann, "/privacy")
            while text not in [each["text"] for each in telegram.replies(chat)]:
                await telegram.wait_for(lambda: chat.messages[max(chat.messages)]["from"]["is_bot"])
    assert [message["text"] for message in telegram.replies(chat)] == ["One.", "Two."]
    asked = [call.params for call in telegram.called("sendMessage")]
    assert len([each for each in asked if "ephemeral_message_parameters" in each]) == 1


async def test_a_private_chat_needs_none_of_this(telegram: TelegramServer) -> None:
    """There is nobody else."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    telegram.world.ephemeral = "taken"
    async with serving(telegram, ScriptedDispatcher(notice=Notice("Yours."))):
        telegram.say(chat, ann, "/privacy")
        await telegram.wait_for(lambda: telegram.replies(chat))
    assert "ephemeral_message_parameters" not in telegram.called("sendMessage")[-1].params


async def test_trouble_is_no_reason_to_tell_all(telegram: TelegramServer) -> None:
    """After a limit or a fault it is said to one person all the same, and asked for again."""
    ann, chat = telegram.person("Ann"), telegram.group()
    telegram.world.ephemeral = "taken"
    telegram.fail_next("sendMessage", 429, "Too Many Requests", parameters={"retry_after": 1})
    dispatcher = ScriptedDispatcher(notice=Notice("Only yours."))
    async with serving(telegram, dispatcher):
        telegram.say(chat, ann, "/privacy")
        await telegram.wait_for(lambda: chat.ephemeral)
        telegram.say(chat, ann, "/privacy")
        await telegram.wait_for(lambda: len(chat.ephemeral) == 2)
    assert chat.ephemeral == [(ann["id"], "Only yours.")] * 2
    assert telegram.replies(chat) == []
