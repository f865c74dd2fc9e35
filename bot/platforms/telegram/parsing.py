"""Reads what people want from messages, albums, deep links and pressed buttons. Does no I/O.

A photo question is read by `parse_message`; its picture is found by `_picture`.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from telegram import (
    Animation,
    CallbackQuery,
    Chat,
    Document,
    ForceReply,
    MaybeInaccessibleMessage,
    Message,
    MessageEntity,
    PhotoSize,
    Sticker,
    User,
    Video,
    VideoNote,
)

from bot.actions import Action
from bot.i18n import Words
from bot.models import Ask, Attachment, ChannelKey, Imagine, IncomingMessage, Person
from bot.platforms.telegram.client import PLATFORM, TelegramTarget
from bot.platforms.telegram.entities import Rendered, utf16_length
from bot.turns.commands import (
    Command,
    CommandError,
    Help,
    Privacy,
    imagine,
    parse,
    parse_drawing,
)

_COMMAND: Final = re.compile(
    r"\s*/[a-z0-9_]{1,32}(?:@(?P<bot>\w+))?(?=\s|$)", re.IGNORECASE | re.ASCII
)
_DEEP_LINK: Final = re.compile(
    r"\s*/start(?:@\w+)?\s+(?P<payload>[A-Za-z0-9_-]{1,64})\s*", re.IGNORECASE
)
"""A payload has 64 characters of A-Z, a-z, 0-9, _ and - (Bot API, "Deep linking")."""
_PROMPT_PAYLOAD: Final = "imagine_"
_QUESTION_SIGN: Final = "✏️"
"""How questions for a new prompt begin. No other message of the bot begins like this and ends with
a turn's id."""
_TURN_ID: Final = re.compile(r"\n#([2-9a-z]{10})\Z")
_MAX_PROMPT_CHARS: Final = 1900
"""Of the old prompt; even at two UTF-16 code units each it fits into a message."""
_MAX_PLACEHOLDER_CHARS: Final = 64
"""In an empty field (Bot API, `ForceReply`)."""


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message that is meant for the bot.

    Attributes:
        message: what the core takes in.
        target: where the reply goes.
        command: what the person wants, or why it cannot be done.
        draws: the turn whose drawing the message gives a new prompt for; then the command is an
            `Ask` with that prompt.
        stills: some of its pictures are only preview frames of something that moves.
    """

    message: IncomingMessage
    target: TelegramTarget
    command: Command | CommandError
    draws: str | None = None
    stills: bool = False


def parse_message(messages: Sequence[Message], me: User) -> ParsedMessage | None:
    """What a message or an album asks for.

    Args:
        messages: one, or all items of an album in their order. Never empty.
        me: the bot's own account.

    Returns:
        `None` for what is not meant for the bot: group talk, a command for another bot, a service
        message.
    """
    first = messages[0]
    worded = next((item for item in messages if item.text or item.caption), first)
    text = worded.text or worded.caption or ""
    answered = first.reply_to_message
    if answered is not None and answered.forum_topic_created is not None:
        answered = None  # in a topic, every message seems to answer the topic's start
    author = first.sender_chat or first.from_user
    carries = any(item.effective_attachment for item in messages)
    if author is None or not (text or carries) or not _is_for(me, messages, text, answered):
        return None
    message, target = _received(first, author, str(first.message_id), first.message_id)
    pictures = [found for item in messages if (found := _picture(item)) is not None]
    if carries and not pictures:
        # A voice or a file without words may be just a reaction: in a group, leave it at that.
        unreadable = ParsedMessage(message, target, CommandError("telegram-unreadable"))
        return unreadable if text or target.private else None
    if worded.entities or worded.caption_entities:
        text = _without_mentions(worded, me)
    text, draws = text.strip(), None
    command = _command(text) if text.startswith("/") else Ask(text)
    if isinstance(command, Ask):
        if answered is not None and answered.from_user == me:
            draws = _turn_asked_about(answered) if first.text else None
        elif answered is not None and not pictures:
            pictures = [found] if (found := _picture(answered)) is not None else []
        if draws is None and first.quote is not None and first.quote.is_manual:
            quoted = "\n".join(f"> {line}" for line in first.quote.text.splitlines())
            command = Ask(f"{quoted}\n\n{command.question}".rstrip())
    reply_to = None if answered is None else str(answered.message_id)
    files = tuple(each.attachment for each in pictures)
    message = replace(message, attachments=files, reply_to=reply_to)
    stills = isinstance(command, Ask) and any(each.still for each in pictures)
    return ParsedMessage(message, target, command, draws, stills)


def _is_for(me: User, messages: Sequence[Message], text: str, answered: Message | None) -> bool:
    """Whether a person means the bot: always in private, else by command, mention or reply."""
    first, match = messages[0], _COMMAND.match(text)
    by_bot = first.sender_chat is None and first.from_user is not None and first.from_user.is_bot
    if by_bot or first.is_automatic_forward:
        return False
    if match is not None and match["bot"]:
        return bool(match["bot"].lower() == (me.username or "").lower())
    if first.chat.type == Chat.PRIVATE or (answered is not None and answered.from_user == me):
        return True
    if any(_mentions(item, me) for item in messages):
        return True
    try:
        # Without a name, a command in a group is for every bot that knows it.
        return match is not None and parse(text) is not None
    except CommandError:
        return True  # known, and not written as it should be


def _received(
    where: MaybeInaccessibleMessage, who: User | Chat, message_id: str, draft_id: int
) -> tuple[IncomingMessage, TelegramTarget]:
    """What somebody sent or pressed, and where an answer goes: below the message `where`."""
    # Replies in an ordinary group carry a thread id too; only `is_topic_message` tells a topic.
    topic = None
    if isinstance(where, Message) and where.is_topic_message:
        topic = where.message_thread_id
    private = where.chat.type == Chat.PRIVATE
    target = TelegramTarget(where.chat.id, topic, where.message_id, private, draft_id)
    ids = (str(where.chat.id),) if topic is None else (str(where.chat.id), str(topic))
    channel, address = ChannelKey(PLATFORM, ids), target.to_address()
    return IncomingMessage(channel, person_of(who), message_id, address), target


def person_of(who: User | Chat) -> Person:
    """The account as the rest of the bot knows it, or the chat in whose name somebody wrote."""
    if isinstance(who, Chat):
        return Person(PLATFORM, str(who.id), who.effective_name or "")
    return Person(PLATFORM, str(who.id), who.full_name, who.language_code or "")


def _command(text: str) -> Command | CommandError:
    """What a text that begins with a slash wants; a path is a question like any other."""
    try:
        command = parse_deep_link(text) or parse(text)
    except CommandError as error:
        return error
    if command is None and _COMMAND.match(text):
        return CommandError("unknown-command")
    return Ask(text) if command is None else command


def _mentions(message: Message, me: User) -> list[MessageEntity]:
    """Where the bot is mentioned; entities count in UTF-16 code units."""
    name = f"@{me.username}".lower()
    units = (message.text or message.caption or "").encode("utf-16-le")
    found = []
    for entity in message.entities or message.caption_entities:
        part = units[entity.offset * 2 : (entity.offset + entity.length) * 2]
        if entity.type == MessageEntity.MENTION:
            is_me = part.decode("utf-16-le", "replace").lower() == name
        else:
            is_me = entity.type == MessageEntity.TEXT_MENTION and entity.user == me
        if is_me:
            found.append(entity)
    return found


def _without_mentions(message: Message, me: User) -> str:
    """The text or caption without the bot's name, which is no part of the question."""
    units = (message.text or message.caption or "").encode("utf-16-le")
    for entity in sorted(_mentions(message, me), key=lambda e: e.offset, reverse=True):
        before = units[: entity.offset * 2].decode("utf-16-le", "replace").rstrip(" ")
        after = units[(entity.offset + entity.length) * 2 :].decode("utf-16-le", "replace")
        # "Hey @bot, look" keeps its comma where it is, and "hey @bot look" its one space.
        gap = " " if before[-1:].strip() and after[:1].isspace() else ""
        units = f"{before}{gap}{after.lstrip(' ')}".encode("utf-16-le")
    return units.decode("utf-16-le")


class _Picture(NamedTuple):
    attachment: Attachment
    still: bool
    """It is only the preview frame of something that moves."""


def _picture(message: Message) -> _Picture | None:
    """The picture in a message: a photo, a file, a sticker, or the preview frame of a film."""
    mime = (message.document.mime_type if message.document else None) or ""
    file: PhotoSize | Document | Sticker
    name, media_type = "", "image/jpeg"
    match message.effective_attachment:
        case Document() as file if mime.startswith("image/"):
            name, media_type = file.file_name or f"document_{file.file_unique_id}", mime
        case Sticker(is_animated=False, is_video=False) as file:
            name, media_type = f"sticker_{file.file_unique_id}.webp", "image/webp"
        case [*sizes] if message.photo:
            file = max(sizes, key=lambda size: size.width * size.height)
            name = f"photo_{file.file_unique_id}.jpg"
        case Document(thumbnail=PhotoSize() as file) if mime.startswith("video/"):
            pass  # the frame is Telegram's own; small films have none
        case (
            Animation(thumbnail=PhotoSize() as file)
            | Video(thumbnail=PhotoSize() as file)
            | VideoNote(thumbnail=PhotoSize() as file)
            | Sticker(thumbnail=PhotoSize() as file)
        ):
            pass
        case _:
            return None
    shown = name or f"still_{file.file_unique_id}.jpg"
    attachment = Attachment(shown, {"file_id": file.file_id}, file.file_size, media_type)
    return _Picture(attachment, still=not name)


# Deep links: what `https://t.me/<bot>?start=<payload>` opens the bot with.


def parse_deep_link(text: str) -> Command | None:
    """What a `/start` with a payload asks for; `None` if `text` is something else.

    `privacy` is `/privacy`, and `imagine_` with a prompt in Base64 for addresses (RFC 4648, without
    padding) draws it. Any other payload comes from another version of the bot, and gets the help.
    """
    match = _DEEP_LINK.fullmatch(text)
    if match is None:
        return None
    payload = match["payload"]
    if payload == "privacy":
        return Privacy()
    if not payload.startswith(_PROMPT_PAYLOAD):
        return Help()
    try:
        # Padding to a multiple of four; more than is needed does no harm.
        encoded = f"{payload.removeprefix(_PROMPT_PAYLOAD)}==="
        return imagine(base64.urlsafe_b64decode(encoded).decode())
    except (binascii.Error, UnicodeDecodeError, CommandError):
        return Help()


@dataclass(frozen=True, slots=True)
class ParsedCallback:
    """The press of a button.

    Attributes:
        message: who pressed, and where.
        target: where an answer goes: to the message with the button.
        action: `None` if the button is of another version of the bot.
    """

    message: IncomingMessage
    target: TelegramTarget
    action: Action | None


def parse_callback(query: CallbackQuery) -> ParsedCallback | None:
    """Who pressed what, and where; `None` if it was not under a message of a chat."""
    if query.message is None or query.data is None:
        return None
    # A press has no message whose number could serve as the id of a draft.
    draft_id = zlib.crc32(query.id.encode()) % (2**31 - 1) + 1
    message, target = _received(query.message, query.from_user, query.id, draft_id)
    try:
        return ParsedCallback(message, target, Action.parse(query.data))
    except ValueError:
        return ParsedCallback(message, target, None)


# A new prompt for a drawing: the message that asks names the turn itself, so nothing has to be kept
# and an answer works after a restart and a year later.


def new_prompt_question(
    words: Words, drawing: Imagine, turn_id: str, person: User | None
) -> tuple[Rendered, ForceReply]:
    """The message that asks for a new prompt, and the field for the answer.

    Args:
        words: the language to ask in.
        drawing: whose prompt is to be changed.
        turn_id: of that drawing.
        person: who is asked, in a group; only this person's field is opened.
    """
    name = "" if person is None else f"{person.full_name}, "
    asked = f"{_QUESTION_SIGN} {name}{words('telegram-new-prompt')}\n\n"
    prompt = drawing.prompt[:_MAX_PROMPT_CHARS]
    # As code it is copied with a tap, and addresses nobody.
    entities = [MessageEntity(MessageEntity.CODE, utf16_length(asked), utf16_length(prompt))]
    if person is not None:
        offset, length = utf16_length(f"{_QUESTION_SIGN} "), utf16_length(person.full_name)
        entities.insert(0, MessageEntity(MessageEntity.TEXT_MENTION, offset, length, user=person))
    placeholder = " ".join(prompt.split())[:_MAX_PLACEHOLDER_CHARS]
    field = ForceReply(selective=True, input_field_placeholder=placeholder or None)
    return Rendered(f"{asked}{prompt}\n\n#{turn_id}", tuple(entities)), field


def _turn_asked_about(asked: Message) -> str | None:
    """The turn for whose drawing this message of the bot asks a new prompt; `None` for others."""
    question = asked.text or ""
    match = _TURN_ID.search(question) if question.startswith(_QUESTION_SIGN) else None
    return None if match is None else match[1]


def with_new_prompt(drawing: Imagine, text: str) -> Imagine:
    """The drawing with another prompt, which may name a seed and a guidance of its own.

    Raises:
        CommandError: there are no words, or a value cannot be used.
    """
    wanted = parse_drawing(text)
    return replace(
        wanted,
        seed=drawing.seed if wanted.seed is None else wanted.seed,
        guidance=drawing.guidance if wanted.guidance is None else wanted.guidance,
    )
