"""What concerns one person of a group is shown to nobody else, where the server can do that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.models import Notice
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_support import ScriptedInbox, serving
from tests.test_telegram_buttons import shown

LONG = "What is stored about you: " + "much " * 60


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as running:
        yield running


async def test_a_private_answer_to_a_command_is_for_one_person(server: TelegramServer) -> None:
    """The group never holds it."""
    ann, chat = server.person("Ann"), server.group()
    server.world.whispers = "taken"
    inbox = ScriptedInbox(notice=Notice("Only yours."))
    async with serving(server, inbox):
        server.say(chat, ann, "/privacy")
        await server.wait_for(lambda: chat.whispered)
        inbox.notice = Notice("For all.", private=False)
        server.say(chat, ann, "/stats")
        await server.wait_for(lambda: server.replies(chat))
    assert chat.whispered == [(ann["id"], "Only yours.")]
    assert [message["text"] for message in server.replies(chat)] == ["For all."]


async def test_a_long_answer_to_a_press_is_for_one_person(server: TelegramServer) -> None:
    """Telegram is told which press it answers."""
    ann, chat = server.person("Ann"), server.group()
    server.world.whispers = "taken"
    inbox = ScriptedInbox()
    inbox.press_notices.append(Notice(LONG))
    async with serving(server, inbox) as adapter:
        message = await shown(server, adapter, chat)
        query = server.press(ann, message, "again:abcdefghjk:")
        await server.wait_for(lambda: chat.whispered)
    aim = server.called("sendMessage")[-1].params["ephemeral_message_parameters"]
    assert aim == {"receiver_user_id": ann["id"], "callback_query_id": query}
    assert len(server.replies(chat)) == 1


@pytest.mark.parametrize("whispers", [None, "refused"])
async def test_where_that_is_not_possible_everybody_sees_it(
    server: TelegramServer, whispers: str | None
) -> None:
    """An older server, and one that refuses: each notice once, and no second try."""
    ann, chat = server.person("Ann"), server.group()
    server.world.whispers = whispers
    inbox = ScriptedInbox()
    async with serving(server, inbox):
        for text in ("One.", "Two."):
            inbox.notice = Notice(text)
            server.say(chat, ann, "/privacy")
            while text not in [each["text"] for each in server.replies(chat)]:
                await server.wait_for(lambda: chat.messages[max(chat.messages)]["from"]["is_bot"])
    assert [message["text"] for message in server.replies(chat)] == ["One.", "Two."]
    asked = [call.params for call in server.called("sendMessage")]
    assert len([each for each in asked if "ephemeral_message_parameters" in each]) == 1


async def test_a_private_chat_needs_none_of_this(server: TelegramServer) -> None:
    """There is nobody else."""
    ann = server.person("Ann")
    chat = server.private(ann)
    server.world.whispers = "taken"
    async with serving(server, ScriptedInbox(notice=Notice("Yours."))):
        server.say(chat, ann, "/privacy")
        await server.wait_for(lambda: server.replies(chat))
    assert "ephemeral_message_parameters" not in server.called("sendMessage")[-1].params


async def test_trouble_is_no_reason_to_tell_all(server: TelegramServer) -> None:
    """After a limit or a fault it is said to one person all the same, and asked for again."""
    ann, chat = server.person("Ann"), server.group()
    server.world.whispers = "taken"
    server.fail_next("sendMessage", 429, "Too Many Requests", parameters={"retry_after": 1})
    inbox = ScriptedInbox(notice=Notice("Only yours."))
    async with serving(server, inbox):
        server.say(chat, ann, "/privacy")
        await server.wait_for(lambda: chat.whispered)
        server.say(chat, ann, "/privacy")
        await server.wait_for(lambda: len(chat.whispered) == 2)
    assert chat.whispered == [(ann["id"], "Only yours.")] * 2
    assert server.replies(chat) == []
