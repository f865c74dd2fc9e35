"""Which messages start what, seen from people's side of a Bot API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.models import Ask, Imagine
from bot.turns.commands import Command, Help, Privacy, Retry
from tests.pictures import picture
from tests.scripted_dispatcher import ScriptedDispatcher, Taken
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_methods import File
from tests.servers.telegram_support import serving
from tests.servers.telegram_world import Chat, Json


class Scene:
    """A server with a bot that takes everything in."""

    def __init__(self, telegram: TelegramServer, dispatcher: ScriptedDispatcher) -> None:
        self.server = telegram
        self.dispatcher = dispatcher
        self.ada = telegram.person("Ada", last_name="Lovelace", language="en-GB")
        self.chat = telegram.private(self.ada)
        self.group = telegram.group()
        self._settled = 0

    async def settle(self) -> list[Taken]:
        """What was taken in of everything sent since the last time.

        Updates are confirmed when they were handled, so what is missing then was ignored.
        """
        await self.server.wait_for(lambda: not self.server.unconfirmed)
        taken = list(self.dispatcher.got)
        self.dispatcher.got.clear()
        return taken

    async def one(self) -> Taken:
        (pair,) = await self.settle()
        return pair


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    dispatcher = ScriptedDispatcher()
    async with TelegramServer() as telegram, serving(telegram, dispatcher):
        yield Scene(telegram, dispatcher)


async def test_private_message(scene: Scene) -> None:
    """Any text is a question; channel, person and address say where it comes from."""
    sent = scene.server.say(scene.chat, scene.ada, "What is a fox?")
    message, command = await scene.one()
    assert command == Ask("What is a fox?")
    assert str(message.channel) == f"telegram:{scene.ada['id']}"
    assert (message.person.name, message.person.language) == ("Ada Lovelace", "en-GB")
    assert str(message.person) == f"telegram:{scene.ada['id']}"
    assert message.message_id == str(sent["message_id"])
    assert message.address.data == {
        "chat_id": scene.ada["id"],
        "thread_id": None,
        "reply_to": sent["message_id"],
        "private": True,
        "draft_id": sent["message_id"],
    }


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/imagine a red fox --seed 42", Imagine("a red fox", 42)),
        ("/imagine@Janus_Bot a red fox", Imagine("a red fox")),
        ("/retry", Retry()),
        ("@janus_bot what is a fox?", Ask("what is a fox?")),
        ("\N{FOX FACE} hey @janus_bot what is this?", Ask("\N{FOX FACE} hey what is this?")),
        ("Hey @JANUS_BOT, look", Ask("Hey, look")),
        ("what is this @janus_bot?", Ask("what is this?")),
        ("one\n@janus_bot two", Ask("one\ntwo")),
        ("@janus_bot", Ask("")),
        ("@janus_bot /imagine a fox", Imagine("a fox")),
    ],
)
async def test_group_message_for_the_bot(scene: Scene, text: str, command: Command) -> None:
    """Commands and mentions start a turn, and the bot's name is no part of the question."""
    scene.server.say(scene.group, scene.ada, text)
    message, found = await scene.one()
    assert found == command
    assert str(message.channel) == f"telegram:{scene.group.id}"
    assert message.address.data["private"] is False


@pytest.mark.parametrize(
    "text",
    [
        "lovely weather",
        "/imagine@other_bot a fox",
        "@other_bot hello",
        "/weather",
        "a@janus_bot.de",
    ],
)
async def test_group_talk_is_not_for_the_bot(scene: Scene, text: str) -> None:
    """Nobody who did not ask gets an answer, not even an explanation."""
    scene.server.say(scene.group, scene.ada, text)
    assert await scene.settle() == []
    assert scene.server.replies(scene.group) == []


async def test_reply_to_the_bot(scene: Scene) -> None:
    """In a group, a reply to the bot is a question for it; a reply to others is not."""
    mine = scene.server.world.store(scene.group, scene.server.world.me, text="A fox.")
    other = scene.server.say(scene.group, scene.ada, "nice")
    scene.server.say(scene.group, scene.ada, "why?", reply_to=mine)
    scene.server.say(scene.group, scene.ada, "why?", reply_to=other)
    message, command = await scene.one()
    assert command == Ask("why?")
    assert message.reply_to == str(mine["message_id"])


async def test_name_without_username(scene: Scene) -> None:
    """A text mention names the account itself."""
    me = scene.server.world.me
    entity = {"type": "text_mention", "offset": 0, "length": 5, "user": me}
    scene.server.say(scene.group, scene.ada, "Janus what is a fox?", entities=[entity])
    _, command = await scene.one()
    assert command == Ask("what is a fox?")


async def test_photo_with_a_caption_is_a_question_about_it(scene: Scene) -> None:
    """The largest size is taken."""
    sent = scene.server.show(scene.chat, scene.ada, picture(200, 100), "What is this?")
    message, command = await scene.one()
    (file,) = message.attachments
    assert command == Ask("What is this?")
    assert file.source == {"file_id": sent["photo"][-1]["file_id"]}
    assert (file.media_type, file.size) == ("image/jpeg", sent["photo"][-1]["file_size"])


async def test_captions_count_like_text(scene: Scene) -> None:
    """A command in one is a command, a mention in one is a mention; without either, group talk."""
    show = scene.server.show
    show(scene.chat, scene.ada, picture(), "/ask What is this?")
    show(scene.group, scene.ada, picture(), "\N{FOX FACE} @janus_bot what is this?")
    show(scene.group, scene.ada, picture(), "my fox")
    show(scene.group, scene.ada, picture())
    (_, first), (message, second) = await scene.settle()
    assert first == Ask("What is this?")
    assert second == Ask("\N{FOX FACE} what is this?")
    assert len(message.attachments) == 1


async def test_files_and_stickers_are_pictures_too(scene: Scene) -> None:
    """An image sent as a file and a still sticker; without words they are to be described."""
    file = File("Fox.PNG", picture(), "image/png")
    scene.server.show_document(scene.chat, scene.ada, file)
    scene.server.show_sticker(scene.chat, scene.ada, picture(kind="WEBP"))
    (first, command), (second, _) = await scene.settle()
    assert command == Ask("")
    assert [(f.name, f.media_type) for f in first.attachments] == [("Fox.PNG", "image/png")]
    assert [f.media_type for f in second.attachments] == ["image/webp"]


async def test_what_cannot_be_read_is_said_in_private(scene: Scene) -> None:
    """Films, voices and other files get a sentence, in groups only if the bot was asked."""
    telegram = scene.server
    pdf = File("a.pdf", b"%PDF", "application/pdf")
    telegram.show_document(scene.chat, scene.ada, pdf, "Summarise")
    telegram.show_sticker(scene.chat, scene.ada, b"", animated=True)
    telegram.show_document(scene.group, scene.ada, pdf, "my thesis")
    telegram.show_document(scene.group, scene.ada, pdf, "@janus_bot read this")
    assert await scene.settle() == []
    await telegram.wait_for(lambda: len(telegram.replies(scene.chat)) == 2)
    await telegram.wait_for(lambda: len(telegram.replies(scene.group)) == 1)
    assert "still pictures" in telegram.replies(scene.group)[0]["text"]


async def test_unknown_command_in_private_is_no_question(scene: Scene) -> None:
    """It points to /help instead of asking the model."""
    scene.server.say(scene.chat, scene.ada, "/weather in Berlin")
    assert await scene.settle() == []
    await scene.server.wait_for(lambda: scene.server.replies(scene.chat))
    assert "/help" in scene.server.replies(scene.chat)[0]["text"]


async def test_film_is_seen_by_its_preview_frame(scene: Scene) -> None:
    """A GIF, a video, a film sent as a file: its still is asked about, and the bot says so."""
    frame = scene.server.world.photo_sizes(picture())[0]
    film = {"file_id": "film", "file_unique_id": "film", "thumbnail": frame}
    sizes = {"width": 64, "height": 48, "duration": 3}
    send, chat, ada = scene.server.send, scene.chat, scene.ada
    send(chat, ada, animation=film | sizes, document=film, caption="What is this?")
    send(chat, ada, video=film | sizes)
    send(chat, ada, document=film | {"mime_type": "video/mp4"})
    taken = await scene.settle()
    assert [command for _, command in taken] == [Ask("What is this?"), Ask(""), Ask("")]
    ids = [[f.source["file_id"] for f in message.attachments] for message, _ in taken]
    assert ids == [[frame["file_id"]]] * 3
    await scene.server.wait_for(lambda: len(scene.server.replies(chat)) == 3)
    assert "one still" in scene.server.replies(chat)[0]["text"]


async def test_quoted_part_comes_with_the_question(scene: Scene) -> None:
    """What the author picked out; the rest of a message that is only answered does not."""
    say, chat, ada = scene.server.say, scene.chat, scene.ada
    long = say(chat, ada, "A fox.\nA wolf.\nA bear.")
    quote = {"text": "A fox.\nA wolf.", "position": 0}
    say(chat, ada, "Which?", reply_to=long, quote=quote | {"is_manual": True})
    say(chat, ada, "Which?", reply_to=long, quote=quote)
    _, (_, quoted), (_, answered) = await scene.settle()
    assert quoted == Ask("> A fox.\n> A wolf.\n\nWhich?")
    assert answered == Ask("Which?")


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        ("imagine_YSByZWQgZm94", Imagine("a red fox")),
        ("imagine_!", None),
        ("imagine_gA", Help()),
        ("privacy", Privacy()),
        ("inline", Help()),
        ("of_a_newer_version", Help()),
    ],
)
async def test_deep_link(scene: Scene, payload: str, command: Command | None) -> None:
    """What `t.me/<bot>?start=<payload>` opens the bot with."""
    scene.server.say(scene.chat, scene.ada, f"/start {payload}")
    taken = await scene.settle()
    assert [found for _, found in taken] == [Help() if command is None else command]


async def test_topic_is_a_channel_of_its_own(scene: Scene) -> None:
    """What looks like a reply to the topic's start is not one; a thread id alone makes no topic."""
    forum = scene.server.group(forum=True)
    topic = scene.server.world.topic(forum, "Foxes")
    scene.server.say(forum, scene.ada, "just talk", topic=topic)
    scene.server.say(forum, scene.ada, "@janus_bot hello", topic=topic)
    scene.server.say(forum, scene.ada, "@janus_bot hello", message_thread_id=99)
    (first, _), (second, _) = await scene.settle()
    assert str(first.channel) == f"telegram:{forum.id}:{topic}"
    assert first.address.data["thread_id"] == topic
    assert first.reply_to is None
    assert str(second.channel) == f"telegram:{forum.id}"
    assert second.address.data["thread_id"] is None


async def test_picture_of_the_message_that_is_answered(scene: Scene) -> None:
    """A reply to somebody's photo asks about it; a picture of one's own comes first."""
    photo = scene.server.show(scene.group, scene.ada, picture())
    scene.server.say(scene.group, scene.ada, "@janus_bot what is this?", reply_to=photo)
    scene.server.say(scene.group, scene.ada, "/imagine a fox", reply_to=photo)
    (asked, _), (imagined, _) = await scene.settle()
    assert [f.source["file_id"] for f in asked.attachments] == [photo["photo"][-1]["file_id"]]
    assert imagined.attachments == ()


async def test_channel_and_anonymous_admin(scene: Scene) -> None:
    """Somebody who writes as the group counts as the group; forwarded posts and bots do not."""
    group_bot = scene.server.person("Group", is_bot=True)
    sender = scene.group.info
    say, text = scene.server.say, "@janus_bot hello"
    say(scene.group, group_bot, text, sender_chat=sender)
    say(scene.group, group_bot, text, sender_chat=sender, is_automatic_forward=True)
    say(scene.group, group_bot, text)
    message, _ = await scene.one()
    assert str(message.person) == f"telegram:{scene.group.id}"
    assert message.person.name == "Friends"


def _service(scene: Scene, chat: Chat) -> Json:
    return scene.server.send(chat, scene.ada, group_chat_created=True)


async def test_what_is_no_message_is_ignored(scene: Scene) -> None:
    """Service messages, edits and channel posts are passed over quietly."""
    telegram = scene.server
    _service(scene, scene.group)
    pinned = _service(scene, scene.chat)
    for kind in ("edited_message", "channel_post", "my_chat_member"):
        telegram.push(kind, pinned)
    assert await scene.settle() == []
    assert telegram.replies(scene.chat) == []
