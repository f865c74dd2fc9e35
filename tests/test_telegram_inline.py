"""Inline mode over the wire: what is offered, and how drawings get into other people's chats."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import InputMediaPhoto
from telegram.error import BadRequest

from bot.errors import ContentRefused
from bot.files import File
from bot.models import Imagine, Notice
from bot.platforms.telegram.adapter import NO_INLINE, TelegramAdapter
from bot.platforms.telegram.client import make_bot
from bot.reply.surface import Content, Mood
from tests.pictures import picture
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.telegram import TOKEN, TelegramServer
from tests.servers.telegram_support import both_ways, opened, serving
from tests.servers.telegram_world import Json

pytestmark = both_ways


def upload(width: int) -> File:
    data = picture(width)
    return File(data, "image/png", "fox.png", f"a fox {width}")


async def typed(telegram: TelegramServer, person: Json, text: str) -> tuple[str, Json]:
    """Somebody types; the id of the query and what it is answered with."""
    # Before a bot has asked for them, Telegram does not keep such updates.
    await telegram.wait_for(lambda: "inline_query" in telegram._allowed)
    query = telegram.type_inline(person, text)
    return query, await telegram.wait_for(lambda: telegram.world.inline_queries[query])


async def begun(
    telegram: TelegramServer,
    dispatcher: ScriptedDispatcher,
    ada: Json,
    text: str = "a red fox --seed 42",
) -> str:
    """Somebody has typed and chosen; the id of the message."""
    query, _ = await typed(telegram, ada, text)
    message_id = telegram.choose(ada, query, text, "imagine")
    assert message_id is not None
    return message_id


async def drawn(
    adapter: TelegramAdapter, dispatcher: ScriptedDispatcher, files: tuple[File, ...]
) -> None:
    """The reply of the newest request, as the core shows it."""
    surface = adapter.surface(dispatcher.got[-1][0].address)
    receipt = await surface.create(Content("Drawing"), "turn-0")
    await surface.edit(receipt, Content("**a red fox**", files, Mood.DONE))
    await surface.edit(receipt, Content("**a red fox**", files, Mood.DONE))  # harmless


async def test_a_drawing_appears_where_it_was_asked_for(telegram: TelegramServer) -> None:
    """All pictures go to the private chat; the first is in the message, and can be sent again."""
    ada, bob = telegram.person("Ada"), telegram.person("Bob")
    private = telegram.private(ada)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher, inline=True) as adapter:
        message_id = await begun(telegram, dispatcher, ada)
        ((message, command),) = await dispatcher.wait(1)
        await drawn(adapter, dispatcher, (upload(60), upload(70)))
        _, offered = await typed(telegram, ada, "")
        _, others = await typed(telegram, bob, "")
    assert command == Imagine("a red fox", 42)
    assert str(message.channel) == f"telegram:inline:{ada['id']}"
    shown = telegram.world.inline_messages[message_id]
    sent = [each["photo"][-1]["file_id"] for each in telegram.replies(private)]
    assert len(sent) == 2
    assert "text" not in shown
    assert (shown["photo"], shown["caption"]) == ([{"file_id": sent[0]}], "a red fox")
    assert shown["reply_markup"]["inline_keyboard"]
    assert [each["photo_file_id"] for each in offered["results"]] == sent[::-1]
    assert offered["is_personal"].lower() == "true"
    assert others["results"] == []


async def test_what_cannot_be_drawn_is_not_offered(telegram: TelegramServer) -> None:
    """Nothing typed yet, or a value that cannot be used; the private chat is one tap away."""
    ada = telegram.person("Ada")
    async with serving(telegram, ScriptedDispatcher(), inline=True):
        for text in ("", "  ", "a fox --seed x"):
            _, offered = await typed(telegram, ada, text)
            assert offered["results"] == []
            assert offered["button"]["start_parameter"] == "inline"


async def test_only_people_who_wrote_to_the_bot_get_pictures(telegram: TelegramServer) -> None:
    """Telegram takes new pictures nowhere else; the message says what to do."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher, inline=True) as adapter:
        message_id = await begun(telegram, dispatcher, ada)
        await dispatcher.wait(1)
        await drawn(adapter, dispatcher, (upload(60),))
    assert (
        "Write to me in private first (@janus_bot)"
        in (telegram.world.inline_messages[message_id]["text"])
    )


async def test_a_refusal_is_shown_in_the_message(telegram: TelegramServer) -> None:
    """A limit, for example."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher(notice=Notice("Not so fast."))
    async with serving(telegram, dispatcher, inline=True):
        message_id = await begun(telegram, dispatcher, ada)
        message = telegram.world.inline_messages[message_id]
        await telegram.wait_for(lambda: message["text"] == "Not so fast.")
    assert message["reply_markup"]["inline_keyboard"]


async def test_a_reply_has_one_message(telegram: TelegramServer) -> None:
    """No more can be said there, and only a sign tells that it was removed."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher, inline=True) as adapter:
        message_id = await begun(telegram, dispatcher, ada)
        ((message, _),) = await dispatcher.wait(1)
        surface = adapter.surface(message.address)
        with pytest.raises(ContentRefused):
            await surface.create(Content("more"), "turn-1")
        await surface.delete(await surface.create(Content("Drawing"), "turn-0"))
    assert telegram.world.inline_messages[message_id]["text"] == "\N{WASTEBASKET}"


async def test_the_server_refuses_what_the_real_one_refuses(telegram: TelegramServer) -> None:
    """New files in inline messages, unknown ones, and answers that come too late."""
    telegram.world.inline_messages["m"] = {"text": "a"}
    async with make_bot(TOKEN, telegram.url) as bot:
        for media in (picture(), "unknown"):
            with pytest.raises(BadRequest):
                await bot.edit_message_media(InputMediaPhoto(media), inline_message_id="m")
        with pytest.raises(BadRequest, match=r"(?i)message_id_invalid"):
            await bot.edit_message_text("b", inline_message_id="other")
        with pytest.raises(BadRequest, match="too old"):
            await bot.answer_inline_query("other", [])
    assert telegram.world.inline_messages["m"] == {"text": "a"}


async def test_off_by_default(telegram: TelegramServer) -> None:
    """Then Telegram is not even asked for it; switched on, @BotFather must have it on as well."""
    me: dict[str, Any] = telegram.world.me
    async with opened(telegram) as adapter:
        assert NO_INLINE not in await adapter.advice()
    async with opened(telegram, inline=True) as adapter:
        assert NO_INLINE in await adapter.advice()
    me["supports_inline_queries"] = True
    async with serving(telegram, ScriptedDispatcher(), inline=True) as adapter:
        assert NO_INLINE not in await adapter.advice()
        method = "setWebhook" if telegram.by_webhook else "getUpdates"
        (call, *_) = await telegram.wait_for(lambda: telegram.called(method))
    assert "inline_query" in call.params["allowed_updates"]


async def test_what_a_person_had_deleted_is_offered_no_more(telegram: TelegramServer) -> None:
    """The pictures that are remembered for inline mode go with the rest."""
    ada = telegram.person("Ada")
    private = telegram.private(ada)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher, inline=True) as adapter:
        await begun(telegram, dispatcher, ada)
        await dispatcher.wait(1)
        await drawn(adapter, dispatcher, (upload(60),))
        _, before = await typed(telegram, ada, "")
        telegram.press(ada, telegram.replies(private)[0], "forget:person:")
        await telegram.wait_for(lambda: telegram.called("answerCallbackQuery"))
        _, after = await typed(telegram, ada, "")
    assert (len(before["results"]), len(after["results"])) == (1, 0)
