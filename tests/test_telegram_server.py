"""The Bot API server of the tests, asked with the real client."""

from __future__ import annotations

import asyncio

import pytest
from telegram import Bot, InputMediaPhoto, MessageEntity, ReplyParameters
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
)

from bot.platforms.telegram.client import make_bot
from bot.platforms.telegram.errors import seconds_to_wait
from tests.pictures import picture
from tests.servers.telegram import TOKEN, TelegramServer
from tests.servers.telegram_world import Refusal

pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")


async def test_updates_are_kept_until_confirmed(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """The same update comes again until a poll asks for a later one."""
    ada = telegram.person("Ada")
    telegram.say(telegram.private(ada), ada, "Hello")
    (first,) = await telegram_client.get_updates()
    (again,) = await telegram_client.get_updates(first.update_id)
    assert again.update_id == first.update_id
    assert again.message is not None
    assert again.message.text == "Hello"
    assert await telegram_client.get_updates(first.update_id + 1) == ()
    assert telegram.unconfirmed == []


async def test_long_poll_ends_with_the_next_update(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """A poll that found nothing returns as soon as somebody writes."""
    poll = asyncio.create_task(telegram_client.get_updates(timeout=20))
    await telegram.wait_for(lambda: telegram.called("getUpdates"))
    ada = telegram.person("Ada")
    telegram.say(telegram.private(ada), ada, "Hello")
    assert len(await asyncio.wait_for(poll, 45)) == 1


async def test_second_poller_takes_over(telegram: TelegramServer, telegram_client: Bot) -> None:
    """The first of two pollers gets a 409; under a webhook, every poller does."""
    async with make_bot(TOKEN, telegram.url) as other:
        poll = asyncio.create_task(telegram_client.get_updates(timeout=20))
        await telegram.wait_for(lambda: telegram.called("getUpdates"))
        await other.get_updates()
        with pytest.raises(Conflict, match="terminated by other getUpdates"):
            await poll
    telegram.hook.set({"url": "https://example.org/hook"})
    with pytest.raises(Conflict, match="webhook is active"):
        await telegram_client.get_updates()


async def test_wrong_token_and_unknown_method(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """401 for a token that is not the bot's, 404 for a method that is not there."""
    with pytest.raises(InvalidToken):
        async with make_bot("1:other", telegram.url):
            pass
    with pytest.raises(EndPointNotFound):
        await telegram_client.do_api_request("inventSomething")


async def test_text_is_refused_as_by_the_real_server(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """Empty, too long in UTF-16, entities outside the text, unknown chats, topics and messages."""
    chat = telegram.private(telegram.person("Ada")).id
    await telegram_client.send_message(chat, "\N{GRINNING FACE}" * 2048)
    refusals = {
        "text is empty": telegram_client.send_message(chat, " \n"),
        "message is too long": telegram_client.send_message(chat, "\N{GRINNING FACE}" * 2049),
        "entity_bounds": telegram_client.send_message(
            chat, "a", entities=[MessageEntity("bold", 0, 2)]
        ),
        "can't parse entities": telegram_client.send_message(chat, "*a*", parse_mode="MarkdownV2"),
        "chat not found": telegram_client.send_message(5, "a"),
        "thread not found": telegram_client.send_message(chat, "a", message_thread_id=1),
        "replied not found": telegram_client.send_message(
            chat, "a", reply_parameters=ReplyParameters(99)
        ),
        "to edit not found": telegram_client.edit_message_text("a", chat, 99),
        "to delete not found": telegram_client.delete_message(chat, 99),
        "caption is too long": telegram_client.send_photo(chat, picture(), caption="a" * 1025),
        "image_process_failed": telegram_client.send_photo(chat, b"no picture"),
        "photo_invalid_dimensions": telegram_client.send_photo(chat, picture(2100, 100)),
        "number of items": telegram_client.send_media_group(chat, [InputMediaPhoto(picture())]),
    }
    for text, request in refusals.items():
        with pytest.raises(BadRequest, match=f"(?i){text}"):
            await request


async def test_edit_without_a_change_is_refused(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """Editing to what is there already is a 400."""
    chat = telegram.private(telegram.person("Ada"))
    message = await telegram_client.send_message(chat.id, "a")
    with pytest.raises(BadRequest, match="not modified"):
        await telegram_client.edit_message_text("a", chat.id, message.message_id)
    await telegram_client.edit_message_text("b", chat.id, message.message_id)
    assert [m["text"] for m in telegram.replies(chat)] == ["b"]


async def test_files_come_back_as_they_were_sent(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """`getFile` gives a relative path, under which the bytes lie; over 20 MB it refuses."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    data = picture(300, 200)
    telegram.show(chat, ada, data)
    (update,) = await telegram_client.get_updates()
    assert update.message is not None
    sizes = update.message.photo
    assert [size.width for size in sizes] == [90, 300]
    file = await telegram_client.get_file(sizes[-1].file_id)
    assert bytes(await file.download_as_bytearray()) == data
    large = telegram.world.keep(b"", "documents", "png", size=20_000_001)
    with pytest.raises(BadRequest, match="too big"):
        await telegram_client.get_file(large.file_id)


async def test_drafts_are_for_private_chats_and_end_with_a_message(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """A draft is refused in a group, and any real message removes it."""
    group, chat = telegram.group(), telegram.private(telegram.person("Ada"))
    with pytest.raises(BadRequest, match=r"(?i:textdraft_peer_invalid)"):
        await telegram_client.send_message_draft(group.id, 1, "a")
    await telegram_client.send_message_draft(chat.id, 7, "a")
    assert chat.drafts == {7: "a"}
    await telegram_client.send_message(chat.id, "b")
    assert chat.drafts == {}


async def test_flood_limits_count_messages_and_drafts_apart() -> None:
    """A group takes 20 messages a minute, edits included; a call while waiting makes it longer."""
    now = 0.0
    async with (
        TelegramServer(limits=True, clock=lambda: now) as telegram,
        make_bot(TOKEN, telegram.url) as telegram_client,
    ):
        group, chat = telegram.group(), telegram.private(telegram.person("Ada"))
        message = await telegram_client.send_message(group.id, "0")
        for i in range(1, 20):
            now += 2.5
            await telegram_client.edit_message_text(str(i), group.id, message.message_id)
        now += 2.5
        with pytest.raises(RetryAfter) as first:
            await telegram_client.edit_message_text("x", group.id, message.message_id)
        with pytest.raises(RetryAfter) as second:
            await telegram_client.edit_message_text("x", group.id, message.message_id)
        assert seconds_to_wait(second.value) > seconds_to_wait(first.value)
        for i in range(20):
            await telegram_client.send_message_draft(chat.id, 1, str(i))
        with pytest.raises(RetryAfter):
            await telegram_client.send_message_draft(chat.id, 1, "x")
        await telegram_client.send_message(chat.id, "the other window is open")


async def test_moved_and_forbidden_chats_say_so(
    telegram: TelegramServer, telegram_client: Bot
) -> None:
    """A migrated group names its new id; a chat that blocked the bot answers 403."""
    group, chat = telegram.group(), telegram.private(telegram.person("Ada"))
    new = telegram.world.migrate(group)
    with pytest.raises(ChatMigrated) as moved:
        await telegram_client.send_message(group.id, "a")
    assert moved.value.new_chat_id == new.id
    chat.refusal = Refusal(403, "Forbidden: bot was blocked by the user")
    with pytest.raises(Forbidden, match="blocked"):
        await telegram_client.send_message(chat.id, "a")


async def test_trouble_can_be_ordered(telegram: TelegramServer, telegram_client: Bot) -> None:
    """A refusal before or after storing, and a connection dropped after storing."""
    chat = telegram.private(telegram.person("Ada"))
    telegram.fail_next("sendMessage", 500, "Internal Server Error")
    with pytest.raises(NetworkError, match="Internal Server Error"):
        await telegram_client.send_message(chat.id, "a")
    assert telegram.replies(chat) == []
    telegram.drop_next("sendMessage", stored=True)
    with pytest.raises(NetworkError):
        await telegram_client.send_message(chat.id, "b")
    assert [m["text"] for m in telegram.replies(chat)] == ["b"]
