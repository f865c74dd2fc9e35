"""Buttons on Telegram: shown, pressed, answered, over the wire."""

from __future__ import annotations

from typing import Any

from bot.actions import Action, Button, Verb
from bot.files import File
from bot.models import Address, Imagine, Notice
from bot.platforms.telegram.client import TelegramTarget
from bot.reply.surface import Content, Mood
from tests.pictures import picture
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_support import both_ways, serving
from tests.servers.telegram_world import Chat

pytestmark = both_ways

ROWS = ((Button(Action(Verb.AGAIN, "abcdefghjk"), "New"),),)


def address(chat: Chat) -> Address:
    return TelegramTarget(chat.id, private=chat.is_private).to_address()


async def shown(telegram: TelegramServer, adapter: Any, chat: Chat) -> dict[str, Any]:
    """A message of the bot with a button."""
    surface = adapter.surface(address(chat))
    assert surface.limits.buttons
    await surface.create(Content("Done.", mood=Mood.DONE, buttons=ROWS), "turn-0")
    message: dict[str, Any] = telegram.replies(chat)[-1]
    return message


async def test_a_press_reaches_the_core_and_is_answered(telegram: TelegramServer) -> None:
    """With who pressed, where, and what the button carried."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        ((button,),) = message["reply_markup"]["inline_keyboard"]
        telegram.press(ann, message, button["callback_data"])
        await telegram.wait_for(lambda: telegram.called("answerCallbackQuery"))
    ((pressed, action),) = dispatcher.presses
    assert action == Action(Verb.AGAIN, "abcdefghjk")
    assert (pressed.person.id, str(pressed.channel)) == (str(ann["id"]), f"telegram:{chat.id}")


async def test_a_short_notice_is_a_small_window(telegram: TelegramServer) -> None:
    """Only the person who pressed sees it."""
    ann = telegram.person("Ann")
    chat = telegram.group()
    dispatcher = ScriptedDispatcher()
    dispatcher.press_notices.append(Notice("Only the person who asked for this can do that."))
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        telegram.press(ann, message, "again:abcdefghjk:")
        (call,) = await telegram.wait_for(lambda: telegram.called("answerCallbackQuery"))
    assert call.params["text"].startswith("Only the person")
    assert len(telegram.replies(chat)) == 1


async def test_a_file_is_handed_out(telegram: TelegramServer) -> None:
    """As a document, so that Telegram leaves it as it is."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    dispatcher = ScriptedDispatcher()
    dispatcher.press_notices.append(
        Notice("Here.", files=(File(picture(), "image/png", "fox.png"),))
    )
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        telegram.press(ann, message, "full:abcdefghjk:1")
        await telegram.wait_for(lambda: len(telegram.replies(chat)) == 2)
    assert telegram.replies(chat)[-1]["document"]["file_name"] == "fox.png"


async def test_a_menu_changes_in_its_place(telegram: TelegramServer) -> None:
    """The second click goes on where the first one was."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    dispatcher = ScriptedDispatcher()
    dispatcher.press_notices.append(Notice("Language: ru", replaces=True, buttons=ROWS))
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        telegram.press(ann, message, "set:language:ru")
        await telegram.wait_for(lambda: telegram.called("editMessageText"))
    (message,) = telegram.replies(chat)
    assert message["text"] == "Language: ru"
    assert message["reply_markup"]["inline_keyboard"]


async def test_an_unknown_button_is_answered(telegram: TelegramServer) -> None:
    """One of a newer version of the bot, for example."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        telegram.press(ann, message, "dance:1:2")
        (call,) = await telegram.wait_for(lambda: telegram.called("answerCallbackQuery"))
    assert "not stored" in call.params["text"]
    assert not dispatcher.presses


async def test_the_prompt_is_edited_with_an_answer(telegram: TelegramServer) -> None:
    """The bot asks, and the person's answer draws with the same seed and guidance."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    dispatcher = ScriptedDispatcher()
    dispatcher.drawings["abcdefghjk"] = Imagine("a red fox", 42, 6.0)
    async with serving(telegram, dispatcher) as adapter:
        message = await shown(telegram, adapter, chat)
        telegram.press(ann, message, "edit:abcdefghjk:")
        await telegram.wait_for(lambda: len(telegram.replies(chat)) == 2)
        asked = telegram.replies(chat)[-1]
        assert "a red fox" in asked["text"]
        telegram.say(chat, ann, "a blue fox", reply_to=asked)
        await dispatcher.wait(1)
    ((_, command),) = dispatcher.got
    assert command == Imagine("a blue fox", 42, 6.0)


async def test_the_keyboard_goes_with_an_edit_that_states_none(telegram: TelegramServer) -> None:
    """A finished answer has no Stop button any more."""
    ann = telegram.person("Ann")
    chat = telegram.group()
    async with serving(telegram, ScriptedDispatcher()) as adapter:
        surface = adapter.surface(address(chat))
        receipt = await surface.create(Content("Working", buttons=ROWS), "turn-0")
        await surface.edit(receipt, Content("Done.", mood=Mood.DONE))
    del ann
    (message,) = telegram.replies(chat)
    assert not message.get("reply_markup")


async def test_a_group_is_managed_by_its_administrators(telegram: TelegramServer) -> None:
    """Telegram is asked who they are, only where it matters, and once."""
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    chat = telegram.group()
    chat.administrators.add(ann["id"])
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        for person in (ann, bob, ann):
            telegram.say(chat, person, "/settings@janus_bot")
        telegram.say(chat, ann, "/help@janus_bot")
        await dispatcher.wait(4)
    assert [message.moderator for message, _ in dispatcher.got] == [True, False, True, False]
    assert len(telegram.called("getChatMember")) == 2
