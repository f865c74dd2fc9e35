"""The adapter with the real client, against a Bot API server over sockets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import structlog
from telegram import Message, Update

from bot import logs
from bot.errors import ImageTooLarge, ImageUnreadable, StorageError, TokenRefused
from bot.models import Ask, Attachment, ChannelKey, Notice
from bot.platforms.telegram import client
from bot.platforms.telegram.adapter import TelegramAdapter
from bot.platforms.telegram.updates import Timing, UpdateQueue
from bot.reply.surface import Content
from bot.turns.commands import WORDS, Stop
from tests.pictures import picture
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.telegram import TOKEN, TelegramServer
from tests.servers.telegram_methods import File
from tests.servers.telegram_support import FAST, both_ways, opened, serving

pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

CHANNEL = ChannelKey("telegram", ("1",))


# Logging in


@pytest.mark.parametrize("token", ["", "nonsense", "12:", "12:a b", "12:../x", "654321:other"])
async def test_token_that_is_not_accepted(telegram: TelegramServer, token: str) -> None:
    """A malformed or refused token ends in a sentence that does not quote it."""
    with pytest.raises(TokenRefused, match="@BotFather") as error:
        async with opened(telegram, token):
            pass
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


async def test_open_waits_for_a_server_that_is_away(telegram: TelegramServer) -> None:
    """Start before the server is up, and the adapter logs in once it is."""
    await telegram.stop()
    adapter = TelegramAdapter(token=TOKEN, api_url=telegram.url, timing=FAST)
    opening = asyncio.create_task(adapter.open())
    try:
        done, _ = await asyncio.wait({opening}, timeout=0.2)
        assert not done
        await telegram.start()
        await asyncio.wait_for(opening, 45)
    finally:
        opening.cancel()
        await adapter.close()


async def test_trouble_while_logging_in_passes(telegram: TelegramServer) -> None:
    """A 5xx and a flood wait are no reason to give up."""
    telegram.fail_next("getMe", 502, "Bad Gateway", times=2)
    async with opened(telegram):
        assert len(telegram.called("getMe")) == 3


async def test_command_menu_is_set_only_when_it_differs(telegram: TelegramServer) -> None:
    """The second start leaves the menu alone; a server that refuses it is no obstacle."""
    telegram.fail_next("setMyCommands", 400, "Bad Request: BOT_COMMAND_INVALID")
    menus = 2 * 3  # in private and in groups; English, Russian, and for everybody else
    for start, sets in enumerate((menus, menus + 1, menus + 1), start=1):
        async with serving(telegram, ScriptedDispatcher()):
            await telegram.wait_for(
                lambda start=start, sets=sets: (  # type: ignore[misc] # bound now
                    len(telegram.called("getMyCommands")) == start * menus
                    and len(telegram.called("setMyCommands")) == sets
                )
            )
    in_private = telegram.world.commands["default", ""]
    assert [command["command"] for command in in_private] == list(WORDS)
    in_groups = telegram.world.commands["all_group_chats", "ru"]
    assert "export" not in [command["command"] for command in in_groups]
    assert in_groups[0]["description"] == "Нарисовать пять картинок по описанию"
    assert len(telegram.world.commands) == menus


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the bot logs, and its libraries at their most talkative."""
    loggers = [logging.getLogger(name) for name in (None, *logs.CHATTY, "telegram.Bot")]
    levels, handlers = [logger.level for logger in loggers], loggers[0].handlers[:]
    stream = io.StringIO()
    logs.configure("debug", "json", secrets=[TOKEN], stream=stream)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield stream
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    structlog.reset_defaults()


async def test_token_stays_out_of_the_logs(telegram: TelegramServer, log: io.StringIO) -> None:
    """Neither in the addresses that the HTTP client logs nor in the traceback of an error."""
    ada = telegram.person("Ada")
    url = f"{telegram.url}/bot{TOKEN}/sendMessage"
    dispatcher = ScriptedDispatcher(failures=[RuntimeError(f"cannot reach {url}")])
    async with serving(telegram, dispatcher):
        telegram.fail_next("getUpdates", 500, "Internal Server Error")
        telegram.say(telegram.private(ada), ada, "breaks the dispatcher")
        telegram.say(telegram.private(ada), ada, "Hello")
        await dispatcher.wait(1)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {"httpx", "httpcore.http11", "telegram.Bot"} <= {line["logger"] for line in lines}
    (address,) = {line["event"].split()[3] for line in lines if "/getMe" in line["event"]}
    assert address == f"{telegram.url}/bot[secret]/getMe"
    (failure,) = [line["exception"] for line in lines if line["event"] == "update skipped"]
    assert "bot[secret]/sendMessage" in failure
    assert TOKEN.partition(":")[2] not in log.getvalue()


# Delivery


@both_ways
async def test_update_is_confirmed_only_after_it_is_committed(telegram: TelegramServer) -> None:
    """If the bot stops before the commit, it comes again after the next start; otherwise never."""
    ada = telegram.person("Ada")
    telegram.say(telegram.private(ada), ada, "Hello")
    stuck = ScriptedDispatcher()
    stuck.gate.clear()
    async with serving(telegram, stuck):
        await stuck.wait_for(lambda: stuck.begun == 1)
    assert len(telegram.unconfirmed) == 1
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        await dispatcher.wait(1)
    assert telegram.unconfirmed == []
    assert dispatcher.commands == [Ask("Hello")]


@both_ways
async def test_message_that_cannot_be_stored_comes_again(telegram: TelegramServer) -> None:
    """A full disk loses nothing: the update is tried until it is stored, and in its order."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    dispatcher = ScriptedDispatcher(failures=[StorageError("disk full"), StorageError("disk full")])
    async with serving(telegram, dispatcher):
        telegram.say(chat, ada, "one")
        telegram.say(chat, ada, "two")
        await dispatcher.wait(2)
    assert dispatcher.commands == [Ask("one"), Ask("two")]


@both_ways
async def test_broken_updates_stop_nothing(telegram: TelegramServer) -> None:
    """One that the library cannot read, and one that breaks the dispatcher, are skipped."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    dispatcher = ScriptedDispatcher(failures=[KeyError("a bug"), AssertionError("another")])
    telegram.push("message", {"nothing": "known"})
    telegram.say(chat, ada, "breaks the dispatcher")
    telegram.say(chat, ada, "breaks it again")
    telegram.say(chat, ada, "Hello")
    async with serving(telegram, dispatcher):
        await dispatcher.wait(1)
        await telegram.wait_for(lambda: not telegram.unconfirmed)
    assert dispatcher.commands == [Ask("Hello")]


async def test_a_group_that_moves_keeps_its_order() -> None:
    """Its move waits for the old chat, and the new chat for the move; nobody else waits."""
    ends = {name: asyncio.Event() for name in ("old", "move", "new", "other")}
    order: list[str] = []

    async def job(name: str) -> None:
        await ends[name].wait()
        order.append(name)

    def message(chat: int, **more: Any) -> Update:
        data = {"message_id": 1, "date": 1, "chat": {"id": chat, "type": "group"}, **more}
        return Update(1, message=Message.de_json(data))

    queue = UpdateQueue()
    tasks = [
        queue.add(message(-1), partial(job, "old")),
        queue.add(message(-1, migrate_to_chat_id=-1001), partial(job, "move")),
        queue.add(message(-1001), partial(job, "new")),
        queue.add(message(-2), partial(job, "other")),
    ]
    for name in ("new", "move", "other", "old"):
        ends[name].set()
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    assert order == ["other", "old", "move", "new"]
    await queue.close()


async def test_trouble_while_polling_passes(telegram: TelegramServer) -> None:
    """Outages, flood waits and another poller: each ends, and readiness follows."""
    dispatcher, ready = ScriptedDispatcher(), list[bool]()
    async with serving(telegram, dispatcher, ready):
        await telegram.wait_for(lambda: telegram.called("getUpdates"))
        telegram.fail_next("getUpdates", 500, "Internal Server Error", times=2)
        telegram.fail_next("getUpdates", 409, "Conflict: terminated by other getUpdates request")
        telegram.fail_next("getUpdates", 429, "Too Many Requests", parameters={"retry_after": 1})
        ada = telegram.person("Ada")
        telegram.say(telegram.private(ada), ada, "one")
        await dispatcher.wait(1)
        telegram.say(telegram.private(ada), ada, "two")
        await dispatcher.wait(2)
        await telegram.stop()
        await telegram.start()
        telegram.say(telegram.private(ada), ada, "three")
        await dispatcher.wait(3)
    assert ready[0] is True
    assert ready[-1] is True
    assert False in ready


async def test_poll_that_nobody_answers_is_given_up(
    telegram: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that died without a word is noticed, and polling goes on with another one."""
    monkeypatch.setattr(client, "_POLL_MARGIN_SECONDS", 0.5)
    ada = telegram.person("Ada")
    dispatcher, ready = ScriptedDispatcher(), list[bool]()
    telegram.delays["getupdates"] = 600
    async with serving(telegram, dispatcher, ready, timing=replace(FAST, poll_seconds=1)):
        await telegram.wait_for(lambda: len(telegram.called("getUpdates")) > 1)
        telegram.delays.clear()
        telegram.say(telegram.private(ada), ada, "Hello")
        await dispatcher.wait(1)
    assert ready[0] is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Conflict: terminated by other getUpdates request", "another instance"),
        ("Conflict: can't use getUpdates method while webhook is active", "by webhook"),
    ],
)
async def test_who_else_takes_the_updates_is_named(
    telegram: TelegramServer, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """Only one program can have them; the log says which kind the other one is."""
    telegram.fail_next("getUpdates", 409, text)
    ready = list[bool]()
    async with serving(telegram, ScriptedDispatcher(), ready):
        await telegram.wait_for(lambda: True in ready)
    assert said in capsys.readouterr().out


async def test_webhook_is_removed_before_polling(telegram: TelegramServer) -> None:
    """Left behind by another program, it would block polling for ever."""
    telegram.hook.set({"url": "https://example.org/hook"})
    ada = telegram.person("Ada")
    telegram.say(telegram.private(ada), ada, "Hello")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        await dispatcher.wait(1)
    assert telegram.hook.url == ""


async def test_server_without_webhooks(telegram: TelegramServer) -> None:
    """A self-hosted server that does not know the method is polled all the same."""
    telegram.unknown.add("deletewebhook")
    ada = telegram.person("Ada")
    telegram.say(telegram.private(ada), ada, "Hello")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        await dispatcher.wait(1)
    assert telegram.called("deleteWebhook")
    assert dispatcher.commands == [Ask("Hello")]


async def test_token_revoked_while_polling(telegram: TelegramServer) -> None:
    """Polling ends with the sentence instead of going silent."""
    async with opened(telegram) as adapter:
        serve = asyncio.create_task(adapter.serve(ScriptedDispatcher(), lambda _: None))
        await telegram.wait_for(lambda: telegram.called("getUpdates"))
        telegram.token = "123456:new"
        ada = telegram.person("Ada")
        telegram.say(telegram.private(ada), ada, "Hello")
        with pytest.raises(TokenRefused, match="@BotFather"):
            await asyncio.wait_for(serve, 45)


@both_ways
async def test_surfaces_work_after_serving_ended(telegram: TelegramServer) -> None:
    """Running replies are finished between the end of `serve` and `close`."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    telegram.say(chat, ada, "Hello")
    dispatcher = ScriptedDispatcher()
    async with opened(telegram) as adapter:
        serve = asyncio.create_task(adapter.serve(dispatcher, lambda _: None))
        ((message, _),) = await dispatcher.wait(1)
        serve.cancel()
        await asyncio.gather(serve, return_exceptions=True)
        await adapter.surface(message.address).create(Content("Hello yourself"), "n")
    assert [m["text"] for m in telegram.replies(chat)] == ["Hello yourself"]


# Albums


@both_ways
async def test_album_is_one_message(telegram: TelegramServer) -> None:
    """Its items arrive one by one and are taken in together, in order, with the caption."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        items = telegram.show_album(chat, ada, [picture(n, 50) for n in (50, 60, 70)], "Which?")
        ((message, command),) = await dispatcher.wait(1)
        await telegram.wait_for(lambda: not telegram.unconfirmed)
    assert command == Ask("Which?")
    assert message.message_id == str(items[0]["message_id"])
    assert [file.source["file_id"] for file in message.attachments] == [
        item["photo"][-1]["file_id"] for item in items
    ]
    assert len(dispatcher.got) == 1


async def test_open_album_is_not_confirmed_and_holds_up_nobody_else(
    telegram: TelegramServer,
) -> None:
    """Others are answered while it is collected; if the bot stops then, all of it comes again."""
    ada, bob = telegram.person("Ada"), telegram.person("Bob")
    dispatcher = ScriptedDispatcher()
    adapter = TelegramAdapter(
        token=TOKEN,
        api_url=telegram.url,
        timing=Timing(poll_seconds=5, album_seconds=60, recheck_seconds=0.02),
    )
    await adapter.open()
    serve = asyncio.create_task(adapter.serve(dispatcher, lambda _: None))
    try:
        telegram.show_album(telegram.private(ada), ada, [picture(), picture()], "Which?")
        telegram.say(telegram.private(bob), bob, "Hello")
        await dispatcher.wait(1)
        assert dispatcher.commands == [Ask("Hello")]
    finally:
        serve.cancel()
        await asyncio.gather(serve, return_exceptions=True)
        await adapter.close()
    assert len(telegram.unconfirmed) == 3
    again = ScriptedDispatcher()
    async with serving(telegram, again):
        await again.wait(2)
    assert sorted(len(message.attachments) for message, _ in again.got) == [0, 2]


@both_ways
async def test_album_is_complete_when_its_author_goes_on(telegram: TelegramServer) -> None:
    """A question right behind an album is taken in after it."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        telegram.show_album(chat, ada, [picture(), picture()])
        telegram.say(chat, ada, "Which is nicer?")
        await dispatcher.wait(2)
    assert dispatcher.commands == [Ask(""), Ask("Which is nicer?")]


# Answers without a turn


@both_ways
async def test_notice_is_sent_as_a_reply(telegram: TelegramServer) -> None:
    """What the engine says at once is below the message, and delays no other."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    dispatcher = ScriptedDispatcher(notice=Notice("I can **draw**."))
    telegram.fail_next("sendMessage", 429, "Too Many Requests", parameters={"retry_after": 1})
    async with serving(telegram, dispatcher):
        question = telegram.say(chat, ada, "/stop")
        await telegram.wait_for(lambda: telegram.replies(chat))
    (reply,) = telegram.replies(chat)
    assert dispatcher.commands == [Stop()]
    assert reply["text"] == "I can draw."
    assert reply["reply_to_message"]["message_id"] == question["message_id"]


@both_ways
async def test_command_with_a_wrong_value_is_explained(telegram: TelegramServer) -> None:
    """The person is told how to write it; nothing is taken in."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        telegram.say(chat, ada, "/imagine a fox --seed x")
        await telegram.wait_for(lambda: telegram.replies(chat))
    assert "whole number" in telegram.replies(chat)[0]["text"]
    assert dispatcher.got == []


# Files


@both_ways
async def test_fetch_gives_the_bytes(telegram: TelegramServer) -> None:
    """The picture of a photo message, as it was sent."""
    ada = telegram.person("Ada")
    data = picture(200, 100)
    telegram.show(telegram.private(ada), ada, data, "What is this?")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher) as adapter:
        ((message, _),) = await dispatcher.wait(1)
        (file,) = message.attachments
        assert await adapter.fetch(message.channel, file, 1_000_000) == data


async def test_fetch_stops_at_the_limit(telegram: TelegramServer) -> None:
    """By the size in the message, by the server's, or by what is read if both are wrong."""
    ada = telegram.person("Ada")
    chat = telegram.private(ada)
    honest = telegram.world.keep(b"x" * 5000, "documents", "png")
    lying = telegram.world.keep(b"x" * 5000, "documents", "png", size=10)
    huge = telegram.show_document(chat, ada, File("a.png", b"", "image/png"), size=30_000_000)
    async with opened(telegram) as adapter:
        for file_id, size in (
            (honest.file_id, 5000),
            (lying.file_id, None),
            (huge["document"]["file_id"], None),
        ):
            file = Attachment("a.png", {"file_id": file_id}, size)
            with pytest.raises(ImageTooLarge):
                await adapter.fetch(CHANNEL, file, 1000)
    assert len(telegram.called("getFile")) == 2


async def test_fetch_of_a_file_that_is_gone(telegram: TelegramServer) -> None:
    """Both an unknown id and a path without a file are told as a sentence."""
    stored = telegram.world.keep(b"x", "documents", "png")
    async with opened(telegram) as adapter:
        telegram.world.files["moved"] = telegram.world.files.pop(stored.file_id)
        telegram.fail_next("getFile", 500, "Internal Server Error")
        with pytest.raises(ImageUnreadable, match="send it again"):
            await adapter.fetch(CHANNEL, Attachment("a", {"file_id": stored.file_id}), 1000)


def test_pauses_grow_to_their_limit_and_begin_anew() -> None:
    """1, 2, 4 ... 30 seconds, and 1 again after a success."""
    backoff = Timing().backoff()
    assert [backoff.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next() == 1


@both_ways
async def test_an_edited_message_is_taken_in(telegram: TelegramServer) -> None:
    """With its new words; an item of an album says nothing about the other items."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        message = telegram.say(chat, ann, "What is a fix?")
        first, _ = telegram.show_album(chat, ann, [picture(), picture()], "look")
        await dispatcher.wait(2)
        telegram.edit(message, text="What is a fox?")
        telegram.edit(first, caption="look closely")
        await telegram.wait_for(lambda: len(dispatcher.edits) == 2)
    assert [command for _, command in dispatcher.edits] == [
        Ask("What is a fox?"),
        Ask("look closely"),
    ]
    assert dispatcher.edits[0][0].message_id == str(message["message_id"])
    assert dispatcher.edits[1][0].attachments == ()


@both_ways
async def test_a_group_that_becomes_a_supergroup_keeps_all_it_has(telegram: TelegramServer) -> None:
    """The core is told both ids, and replies that are on their way follow."""
    ann = telegram.person("Ann")
    chat = telegram.group()
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher) as adapter:
        telegram.say(chat, ann, "@janus_bot hello")
        ((message, _),) = await dispatcher.wait(1)
        new = telegram.world.migrate(chat)
        telegram.push(
            "message",
            telegram.world.store(chat, ann, migrate_to_chat_id=new.id),
        )
        await telegram.wait_for(lambda: dispatcher.moves)
        await adapter.surface(message.address).create(Content("Hello."), "turn-0")
    old_key, new_key = (
        ChannelKey("telegram", (str(chat.id),)),
        ChannelKey("telegram", (str(new.id),)),
    )
    assert dispatcher.moves == [(old_key, new_key)]
    assert [reply["text"] for reply in telegram.replies(new)] == ["Hello."]
