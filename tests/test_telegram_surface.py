"""Replies on Telegram, shown through the real client to a Bot API server."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import httpx
import pytest
from PIL import Image
from telegram import Bot
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot.actions import Action, Button, Verb
from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    MessageGone,
    PreviewUnsupported,
    RateLimited,
    SurfaceError,
    SurfaceForbidden,
    SurfaceUnavailable,
)
from bot.i18n import Catalogue
from bot.platforms.telegram.errors import Request, surface_error
from bot.reply.surface import Content, Mood
from bot.turns.answers import reason
from tests.pictures import picture
from tests.servers.telegram import TOKEN, TelegramServer
from tests.servers.telegram_support import Make, upload
from tests.servers.telegram_world import Chat, Refusal

pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")


@pytest.fixture
def chat(telegram: TelegramServer) -> Chat:
    return telegram.private(telegram.person("Ada"))


async def test_text_is_sent_with_entities_as_a_reply(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """Markdown becomes entities, the question is quoted, and links show no preview."""
    question = telegram.say(chat, telegram.person("Ada"), "?")
    surface = make_surface(chat, reply_to=question["message_id"])
    receipt = await surface.create(Content("a **b**"), "n")
    (reply,) = telegram.replies(chat)
    assert receipt == {"ids": [reply["message_id"]], "kind": "text"}
    assert (reply["text"], reply["entities"]) == (
        "a b",
        [{"type": "bold", "offset": 2, "length": 1}],
    )
    assert reply["reply_to_message"]["message_id"] == question["message_id"]
    (call,) = telegram.called("sendMessage")
    assert call.params["link_preview_options"] == {"is_disabled": True}
    assert "parse_mode" not in call.params


async def test_reply_to_a_deleted_question_is_sent_all_the_same(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """Whoever deletes the question still gets the answer."""
    await make_surface(chat, reply_to=99).create(Content("a"), "n")
    assert [m["text"] for m in telegram.replies(chat)] == ["a"]


async def test_topic(telegram: TelegramServer, make_surface: Make) -> None:
    """A reply stays in its topic; in one that is gone, the sentence says so."""
    forum = telegram.group(forum=True)
    topic = telegram.world.topic(forum, "Foxes")
    await make_surface(forum, topic=topic).create(Content("a"), "n")
    assert telegram.replies(forum)[-1]["message_thread_id"] == topic
    with pytest.raises(SurfaceForbidden, match="thread not found"):
        await make_surface(forum, topic=1234).create(Content("a"), "n")


async def test_edit_and_delete(telegram: TelegramServer, chat: Chat, make_surface: Make) -> None:
    """Text changes in place; repeating an edit or a deletion is success."""
    surface = make_surface(chat)
    receipt = await surface.create(Content("a"), "n")
    for _ in range(2):
        await surface.edit(receipt, Content("b", mood=Mood.DONE))
    assert [m["text"] for m in telegram.replies(chat)] == ["b"]
    for _ in range(2):
        await surface.delete(receipt)
    assert telegram.replies(chat) == []


async def test_edit_of_a_deleted_message(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """A message that a person deleted is reported as gone."""
    surface = make_surface(chat)
    receipt = await surface.create(Content("a"), "n")
    telegram.delete(chat, receipt["ids"][0])
    with pytest.raises(MessageGone):
        await surface.edit(receipt, Content("b"))


async def test_one_picture_is_a_photo(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """WebP is sent as JPEG with the text as caption, and the caption can be edited."""
    surface = make_surface(chat)
    content = Content("**a** fox", (upload(picture(kind="WEBP")),))
    receipt = await surface.create(content, "n")
    assert receipt["kind"] == "photos"
    (call,) = telegram.called("sendPhoto")
    (file,) = call.files.values()
    assert (file.name, file.media_type) == ("fox.jpg", "image/jpeg")
    with Image.open(io.BytesIO(file.data)) as sent:
        assert (sent.format, sent.size) == ("JPEG", (64, 48))
    await surface.edit(receipt, Content("seed 42"))
    (reply,) = telegram.replies(chat)
    assert reply["caption"] == "seed 42"


@pytest.mark.parametrize("private", [True, False])
async def test_a_sheet_makes_a_photo_of_a_text_and_is_changed_in_place(
    telegram: TelegramServer, chat: Chat, make_surface: Make, private: bool
) -> None:
    """With its status and button below; the photo can be removed, and not become a text again."""
    where = chat if private else telegram.group()
    surface = make_surface(where)
    assert (surface.limits.private, surface.limits.preview_seconds) == (private, 10.0)
    stop = ((Button(Action(Verb.STOP, "turn1"), "Stop"),),)
    content = Content("10 %", buttons=stop)
    receipt = await surface.create(content, "n")
    for share, colour in (("10 %", "red"), ("10 %", "blue"), ("50 %", "blue"), ("50 %", "blue")):
        sheet = upload(picture(kind="JPEG", colour=colour), "preview.jpg", "image/jpeg")
        await surface.edit(receipt, replace(content, text=share, previews=(sheet,)))
    (reply,) = telegram.replies(where)
    assert (reply["message_id"], reply["caption"]) == (receipt["ids"][0], "50 %")
    assert "photo" in reply
    assert "text" not in reply
    assert "stop:turn1" in str(reply["reply_markup"])
    with pytest.raises(ContentRefused):
        await surface.edit(receipt, Content("Stopped."))
    await surface.delete(receipt)
    assert not telegram.replies(where)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ("Bad Request: not enough rights to send photos to the chat", SurfaceForbidden),
        ("Bad Request: IMAGE_PROCESS_FAILED", ContentRefused),
        ("Bad Request: message to edit not found", MessageGone),
    ],
)
async def test_a_sheet_that_is_refused(
    telegram: TelegramServer,
    chat: Chat,
    make_surface: Make,
    refusal: str,
    error: type[SurfaceError],
) -> None:
    """The reply learns whether only the sheet is impossible, or the message is gone."""
    surface = make_surface(chat)
    receipt = await surface.create(Content("10 %"), "n")
    telegram.fail_next("editMessageMedia", 400, refusal)
    with pytest.raises(error):
        await surface.edit(receipt, Content("10 %", previews=(upload(picture(kind="JPEG")),)))
    assert [m["text"] for m in telegram.replies(chat)] == ["10 %"]


async def test_transparent_picture_lies_on_white(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """JPEG has no transparency: what was clear becomes white, not black."""
    data = io.BytesIO()
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(data, "WEBP")
    await make_surface(chat).create(Content("", (upload(data.getvalue()),)), "n")
    (file,) = telegram.called("sendPhoto")[0].files.values()
    with Image.open(io.BytesIO(file.data)) as sent:
        assert sent.getpixel((5, 5)) == (255, 255, 255)


async def test_five_pictures_are_an_album(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """The caption is on the first; the receipt names all of them, and deletes all."""
    surface = make_surface(chat)
    files = tuple(upload(picture(), f"fox-{i}.png", "image/png") for i in range(5))
    receipt = await surface.create(Content("five **foxes**", files), "n")
    replies = telegram.replies(chat)
    assert receipt == {"ids": [m["message_id"] for m in replies], "kind": "photos"}
    assert [m.get("caption") for m in replies] == ["five foxes", None, None, None, None]
    assert replies[0]["caption_entities"][0]["type"] == "bold"
    assert len({m["media_group_id"] for m in replies}) == 1
    await surface.delete(receipt)
    assert telegram.replies(chat) == []


@pytest.mark.parametrize("count", [1, 2])
async def test_what_is_no_photo_goes_as_document(
    telegram: TelegramServer, chat: Chat, make_surface: Make, count: int
) -> None:
    """A picture that Telegram refuses as a photo arrives as a file, untouched."""
    strip = picture(1000, 10)
    files = (upload(strip, "strip.png", "image/png"),) * count
    receipt = await make_surface(chat).create(Content("strip", files), "n")
    assert receipt["kind"] == "photos"
    replies = telegram.replies(chat)
    assert [m["document"]["file_name"] for m in replies] == ["strip.png"] * count
    stored = telegram.world.files[replies[0]["document"]["file_id"]]
    assert stored.data == strip


async def test_limits(telegram: TelegramServer, chat: Chat, make_surface: Make) -> None:
    """Drafts in private chats, slow edits in groups, length in UTF-16 after rendering."""
    private, group = make_surface(chat), make_surface(telegram.group())
    assert (private.limits.previews, private.limits.interval) == (True, 1.0)
    assert (group.limits.previews, group.limits.interval) == (False, 3.5)
    assert (group.limits.text, group.limits.caption, group.limits.files) == (4096, 1024, 10)
    assert private.measure("**\N{GRINNING FACE}**") == 2
    longest = "\N{GRINNING FACE}" * 2048
    assert private.measure(longest) == 4096
    await private.create(Content(longest), "n")
    with pytest.raises(ContentRefused, match="too long"):
        await private.create(Content(longest + "a"), "n")


async def test_nobody_in_a_group_is_mentioned(telegram: TelegramServer, make_surface: Make) -> None:
    """Telegram turns `@name` into a mention by itself; the model's text must not notify people."""
    group = telegram.group()
    surface = make_surface(group)
    await surface.create(Content("ask @ada_l"), "n")
    (reply,) = telegram.replies(group)
    assert reply["text"] == "ask @\u2060ada_l"
    assert surface.measure("ask @ada_l") == len(reply["text"])


async def test_draft(telegram: TelegramServer, chat: Chat, make_surface: Make) -> None:
    """The newest draft replaces the one before, and the real message removes it."""
    surface = make_surface(chat)
    for text in ("a", "a **b**"):
        await surface.preview(Content(text))
    assert chat.drafts == {11: "a b"}
    await surface.create(Content("a b c"), "n")
    assert chat.drafts == {}


async def test_server_without_drafts_is_remembered_for_all_chats(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """After one 404, no surface of the adapter asks again."""
    telegram.unknown.add("sendmessagedraft")
    with pytest.raises(PreviewUnsupported):
        await make_surface(chat).preview(Content("a"))
    other = make_surface(telegram.private(telegram.person("Bob")))
    assert not other.limits.previews
    with pytest.raises(PreviewUnsupported):
        await other.preview(Content("a"))
    assert len(telegram.called("sendMessageDraft")) == 1


async def test_chat_without_drafts_is_remembered_for_itself(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """A refusal for one peer says nothing about others."""
    telegram.fail_next("sendMessageDraft", 400, "Bad Request: TEXTDRAFT_PEER_INVALID")
    surface = make_surface(chat)
    with pytest.raises(PreviewUnsupported):
        await surface.preview(Content("a"))
    assert not surface.limits.previews
    await make_surface(telegram.private(telegram.person("Bob"))).preview(Content("a"))


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Refusal(429, "Too Many Requests: retry after 7", {"retry_after": 7}), RateLimited),
        (Refusal(500, "Internal Server Error"), SurfaceUnavailable),
        (Refusal(502, "Bad Gateway"), SurfaceUnavailable),
        (Refusal(401, "Unauthorized"), SurfaceUnavailable),
        (Refusal(403, "Forbidden: bot was blocked by the user"), SurfaceForbidden),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
async def test_passing_trouble_does_not_end_drafts(
    telegram: TelegramServer,
    chat: Chat,
    make_surface: Make,
    refusal: Refusal,
    expected: type[SurfaceError],
) -> None:
    """Only a server or a chat without drafts switches them off."""
    telegram.fail_next(
        "sendMessageDraft", refusal.status, refusal.description, parameters=refusal.parameters
    )
    surface = make_surface(chat)
    with pytest.raises(expected):
        await surface.preview(Content("a"))
    assert surface.limits.previews
    await surface.preview(Content("a"))


async def test_flood_wait_names_its_seconds(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """`retry_after` of the answer arrives in the error."""
    telegram.fail_next(
        "sendMessage",
        429,
        "Too Many Requests: retry after 35",
        parameters={"retry_after": 35},
    )
    with pytest.raises(RateLimited) as error:
        await make_surface(chat).create(Content("a"), "n")
    assert error.value.retry_after == 35


async def test_group_that_moved_is_followed(telegram: TelegramServer, make_surface: Make) -> None:
    """A group that became a supergroup gets its reply there, from the first try on."""
    group = telegram.group()
    new = telegram.world.migrate(group)
    surface = make_surface(group)
    await surface.create(Content("a"), "n")
    await surface.create(Content("b"), "n")
    assert [m["text"] for m in telegram.replies(new)] == ["a", "b"]
    assert len(telegram.called("sendMessage")) == 3


async def test_forbidden_names_the_reason(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """The platform's words for the log, a sentence of the catalogue for people."""
    chat.refusal = Refusal(403, "Forbidden: bot was blocked by the user")
    with pytest.raises(SurfaceForbidden, match="blocked by the user") as blocked:
        await make_surface(chat).create(Content("a"), "n")
    chat.refusal = Refusal(400, "Bad Request: not enough rights to send photos to the chat")
    with pytest.raises(SurfaceForbidden, match="Not enough rights") as no_photos:
        await make_surface(chat).create(Content("a", (upload(picture()),)), "n")
    words = Catalogue().words("en")
    assert reason(blocked.value, words) == "You have blocked the bot on Telegram."
    assert reason(no_photos.value, words).startswith("The bot may not send photos in this")


async def test_pictures_that_are_not_allowed_leave_a_sentence(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """It appears in the group, where people are who can change it; nothing is sent again."""
    group = telegram.group()
    for method, kind in (("sendPhoto", "photos"), ("sendDocument", "documents")):
        telegram.fail_next(
            method, 400, f"Bad Request: not enough rights to send {kind} to the chat"
        )
    await make_surface(group).create(Content("A fox", (upload(picture()),)), "n")
    (message,) = telegram.replies(group)
    assert message["text"].startswith("A fox\n\n⚠️ The bot may not send ")
    assert "administrator" in message["text"]


@pytest.mark.parametrize(
    "text", ["TOPIC_CLOSED", "CHAT_WRITE_FORBIDDEN", "message thread not found"]
)
async def test_where_nobody_lets_it_write(
    telegram: TelegramServer, make_surface: Make, text: str
) -> None:
    """No reason to try again; the sentence says who can change it or that it is gone."""
    group = telegram.group()
    telegram.fail_next("sendMessage", 400, f"Bad Request: {text}")
    with pytest.raises(SurfaceForbidden) as error:
        await make_surface(group).create(Content("a"), "n")
    assert error.value.key.startswith("telegram-forbidden-")
    assert Catalogue().words("ru").has(error.value.key)


async def test_timeout_after_sending_is_unknown(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """The message may be there, and nothing must assume that it is not."""
    request = HTTPXRequest(read_timeout=2.0)
    async with Bot(TOKEN, base_url=f"{telegram.url}/bot", request=request) as impatient:
        surface = make_surface(chat, client=impatient)
        with telegram.hold("sendMessage") as hold:
            creating = asyncio.create_task(surface.create(Content("a"), "n"))
            await hold.reached.wait()
            with pytest.raises(DeliveryUnknown):
                await creating
        await telegram.wait_for(lambda: telegram.replies(chat))


async def test_connection_lost_after_sending_is_unknown(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """A connection that breaks while the answer is awaited leaves the same doubt."""
    telegram.drop_next("sendMessage", stored=True)
    with pytest.raises(DeliveryUnknown):
        await make_surface(chat).create(Content("a"), "n")
    assert len(telegram.replies(chat)) == 1


async def test_server_that_is_away_has_certainly_not_stored_it(
    telegram: TelegramServer, chat: Chat, make_surface: Make
) -> None:
    """Without a connection there is no doubt, so that trying again is safe."""
    await telegram.stop()
    with pytest.raises(SurfaceUnavailable):
        await make_surface(chat).create(Content("a"), "n")


def _caused(error: TelegramError, cause: Exception) -> TelegramError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("request_kind", list(Request))
@pytest.mark.parametrize(
    "error",
    [
        Forbidden("Forbidden: CHAT_RESTRICTED"),
        BadRequest("Something new"),
        InvalidToken(),
        InvalidToken("Not Found"),
        Conflict("Conflict"),
        TelegramError("Invalid server response"),
        NetworkError("Bad Gateway"),
        _caused(TimedOut(), httpx.ConnectTimeout("")),
        _caused(TimedOut(), httpx.PoolTimeout("")),
        _caused(TimedOut(), httpx.ReadTimeout("")),
        _caused(TimedOut(), httpx.WriteTimeout("")),
        _caused(NetworkError("x"), httpx.ReadError("")),
        _caused(NetworkError("x"), httpx.RemoteProtocolError("")),
        _caused(NetworkError("x"), httpx.ConnectError("")),
    ],
    ids=lambda error: f"{type(error).__name__} {type(error.__cause__).__name__}",
)
def test_every_failure_has_a_meaning(error: TelegramError, request_kind: Request) -> None:
    """Each error of the client becomes one that `Surface` lists for that request."""
    failure = surface_error(error, request_kind)
    listed: tuple[type[SurfaceError], ...] = (
        RateLimited,
        SurfaceUnavailable,
        SurfaceForbidden,
        ContentRefused,
    )
    if request_kind in {Request.CREATE, Request.EDIT}:
        listed += (DeliveryUnknown,)
    if request_kind is Request.PREVIEW:
        listed += (PreviewUnsupported,)
    assert isinstance(failure, listed)
    in_doubt = isinstance(error.__cause__, httpx.ReadTimeout | httpx.ReadError)
    if request_kind is Request.CREATE:
        assert isinstance(failure, DeliveryUnknown) or not in_doubt
