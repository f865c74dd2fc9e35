"""What a person wants: messages, albums, deep links and pressed buttons, read. Does no I/O.

A photo question is read by `parse_message`; its picture is found by `_picture`.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from telegram import (
    Animation,
    CallbackQuery,
    Chat,
    Document,
    ForceReply,
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
from bot.models import Ask, Attachment, Imagine, IncomingMessage, Person
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

_Film: TypeAlias = Animation | Video | VideoNote | Sticker | Document

_COMMAND: Final = re.compile(
    r"\s*/[a-z0-9_]{1,32}(?:@(?P<bot>\w+))?(?=\s|$)", re.IGNORECASE | re.ASCII
)
_DEEP_LINK: Final = re.compile(
    r"\s*/start(?:@\w+)?\s+(?P<payload>[A-Za-z0-9_-]{1,64})\s*", re.IGNORECASE
)
"""A payload has 64 characters of A-Z, a-z, 0-9, _ and - (Bot API, "Deep linking")."""
_PROMPT_PAYLOAD: Final = "imagine_"
_QUESTION_SIGN: Final = "✏️"
"""How questions for a new prompt begin; no other message of the bot does and ends with a turn's id
as well."""
_TURN_ID: Final = re.compile(r"\n#([2-9a-z]{10})\Z")
_MAX_PROMPT_CHARS: Final = 1900
"""Of the old prompt; with two UTF-16 code units each it still fits into a message."""
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
    """Understand a message, or the items of an album as one message.

    Args:
        messages: one message, or all items of one album in their order. Never empty.
        me: the bot's own account.

    Returns:
        What is wanted, or `None` if it is not meant for the bot: group talk, a command for another
        bot, a service message.
    """
    first = messages[0]
    worded = next((item for item in messages if _text_of(item)), first)
    carries = any(item.effective_attachment for item in messages)
    author = _author(first)
    if author is None or first.is_automatic_forward or not (_text_of(worded) or carries):
        return None
    if not _is_addressed(messages, worded, me):
        return None
    target, answered = _target(first, first.message_id, first.message_id), _answered(first)
    message = IncomingMessage(
        channel=target.channel,
        person=author,
        message_id=str(first.message_id),
        address=target.to_address(),
        reply_to=None if answered is None else str(answered.message_id),
    )
    pictures = _pictures(messages)
    if carries and not pictures:
        # A voice or a file without words may be just a reaction: in a group, leave it at that.
        if not _text_of(worded) and not target.private:
            return None
        return ParsedMessage(message, target, CommandError("telegram-unreadable"))
    command, stills = _command(_without_mentions(worded, me)), False
    if isinstance(command, Ask):
        if (turn_id := turn_asked_about(first, me)) is not None:
            return ParsedMessage(message, target, command, draws=turn_id)
        command = Ask(_with_quote(command.question, first))
        if answered is not None and not _is_by(answered, me):
            pictures = pictures or _pictures([answered])  # those of the bot are known already
        stills = any(each.still for each in pictures)
    message = replace(message, attachments=tuple(each.attachment for each in pictures))
    return ParsedMessage(message, target, command, stills=stills)


def _command(text: str) -> Command | CommandError:
    try:
        command = parse_deep_link(text) or parse(text)
    except CommandError as error:
        return error
    if command is None and _COMMAND.match(text):
        return CommandError("unknown-command")
    return Ask(text) if command is None else command


def _with_quote(question: str, message: Message) -> str:
    """The question below the part of a message that its author picked out to ask about."""
    quote = message.quote
    if quote is None or not quote.is_manual:
        return question
    quoted = "\n".join(f"> {line}" for line in quote.text.splitlines())
    return f"{quoted}\n\n{question}".rstrip()


def _target(message: Message, reply_to: int, draft_id: int) -> TelegramTarget:
    # Replies in an ordinary group carry a thread id too; only `is_topic_message` tells a topic.
    topic = message.message_thread_id if message.is_topic_message else None
    private = message.chat.type == Chat.PRIVATE
    return TelegramTarget(message.chat.id, topic, reply_to, private, draft_id)


def person_of(user: User) -> Person:
    """The account as the rest of the bot knows it."""
    return Person(PLATFORM, str(user.id), user.full_name, user.language_code or "")


def _author(message: Message) -> Person | None:
    """Who wrote: an account, or the group or channel in whose name somebody wrote."""
    user, chat = message.from_user, message.sender_chat
    if chat is not None:
        return Person(PLATFORM, str(chat.id), chat.effective_name or "")
    if user is None or user.is_bot:
        return None
    return person_of(user)


def _is_by(message: Message, user: User) -> bool:
    return message.from_user is not None and message.from_user.id == user.id


def _text_of(message: Message) -> str:
    return message.text or message.caption or ""


def _is_addressed(messages: Sequence[Message], worded: Message, me: User) -> bool:
    """Whether the bot is meant: always in private, else by command, mention or reply."""
    match = _COMMAND.match(_text_of(worded))
    named = match["bot"] if match else None
    if named:
        return named.lower() == (me.username or "").lower()
    if worded.chat.type == Chat.PRIVATE or any(_mentions(item, me) for item in messages):
        return True
    answered = _answered(messages[0])
    if answered is not None and _is_by(answered, me):
        return True
    # Without a name, a command in a group is for every bot that knows it.
    return match is not None and _is_known_command(_text_of(worded))


def _is_known_command(text: str) -> bool:
    try:
        return parse(text) is not None
    except CommandError:
        return True


def _mentions(message: Message, me: User) -> list[MessageEntity]:
    name = f"@{me.username}".lower()
    units = _text_of(message).encode("utf-16-le")
    return [
        entity
        for entity in message.entities or message.caption_entities
        if (entity.type == MessageEntity.TEXT_MENTION and entity.user == me)
        or (entity.type == MessageEntity.MENTION and _span(units, entity).lower() == name)
    ]


def _span(units: bytes, entity: MessageEntity) -> str:
    """The part of a text that an entity covers; both count in UTF-16 code units."""
    part = units[entity.offset * 2 : (entity.offset + entity.length) * 2]
    return part.decode("utf-16-le", "replace")


def _without_mentions(message: Message, me: User) -> str:
    """The text or caption without the bot's name, which is no part of the question."""
    units = _text_of(message).encode("utf-16-le")
    for entity in sorted(_mentions(message, me), key=lambda e: e.offset, reverse=True):
        before = units[: entity.offset * 2].decode("utf-16-le", "replace").rstrip(" ")
        after = units[(entity.offset + entity.length) * 2 :].decode("utf-16-le", "replace")
        # "Hey @bot, look" keeps its comma where it is, and "hey @bot look" its one space.
        gap = " " if before[-1:].strip() and after[:1].isspace() else ""
        units = f"{before}{gap}{after.lstrip(' ')}".encode("utf-16-le")
    return units.decode("utf-16-le").strip()


def _answered(message: Message) -> Message | None:
    """The message that it answers. In a topic, every message seems to answer the topic's start."""
    answered = message.reply_to_message
    if answered is None or answered.forum_topic_created is not None:
        return None
    return answered


# Pictures: a photo, a file, a sticker, or a still of a film.


class _Picture(NamedTuple):
    attachment: Attachment
    still: bool = False
    """It is only the preview frame of something that moves."""


def _pictures(messages: Sequence[Message]) -> list[_Picture]:
    return [found for message in messages if (found := _picture(message)) is not None]


def _picture(message: Message) -> _Picture | None:
    """The picture in a message; `None` if there is none to look at."""
    match message.effective_attachment:
        case Document(mime_type=str(mime)) as file if mime.startswith("image/"):
            name = file.file_name or f"document_{file.file_unique_id}"
            return _Picture(_attachment(file, name, mime))
        case Document(mime_type=str(mime)) as film if mime.startswith("video/"):
            return _still(film)
        case Sticker(is_animated=False, is_video=False) as file:
            name = f"sticker_{file.file_unique_id}.webp"
            return _Picture(_attachment(file, name, "image/webp"))
        case Animation() | Video() | VideoNote() | Sticker() as film:
            return _still(film)
        case [*sizes] if message.photo:
            largest = max(sizes, key=lambda size: size.width * size.height)
            name = f"photo_{largest.file_unique_id}.jpg"
            return _Picture(_attachment(largest, name, "image/jpeg"))
        case _:
            return None


def _still(film: _Film) -> _Picture | None:
    """The preview frame that Telegram made; small files have none."""
    frame = film.thumbnail
    if frame is None:
        return None
    name = f"still_{frame.file_unique_id}.jpg"
    return _Picture(_attachment(frame, name, "image/jpeg"), still=True)


def _attachment(file: PhotoSize | Document | Sticker, name: str, media_type: str) -> Attachment:
    return Attachment(name, {"file_id": file.file_id}, file.file_size, media_type)


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


# Callbacks: the press of a button.


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
    under = query.message
    if under is None or query.data is None:
        return None
    # A press has no message whose number could serve as the id of a draft.
    draft_id = zlib.crc32(query.id.encode()) % (2**31 - 1) + 1
    if isinstance(under, Message):
        target = _target(under, under.message_id, draft_id)
    else:  # too old for Telegram to say more of it than where it is
        private = under.chat.type == Chat.PRIVATE
        target = TelegramTarget(under.chat.id, None, under.message_id, private, draft_id)
    message = IncomingMessage(
        channel=target.channel,
        person=person_of(query.from_user),
        message_id=query.id,
        address=target.to_address(),
    )
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
    # As code it is copied with a touch, and addresses nobody.
    entities = [MessageEntity(MessageEntity.CODE, utf16_length(asked), utf16_length(prompt))]
    if person is not None:
        offset, length = utf16_length(f"{_QUESTION_SIGN} "), utf16_length(person.full_name)
        entities.insert(0, MessageEntity(MessageEntity.TEXT_MENTION, offset, length, user=person))
    placeholder = " ".join(prompt.split())[:_MAX_PLACEHOLDER_CHARS]
    field = ForceReply(selective=True, input_field_placeholder=placeholder or None)
    return Rendered(f"{asked}{prompt}\n\n#{turn_id}", tuple(entities)), field


def turn_asked_about(message: Message, me: User) -> str | None:
    """The turn whose prompt this message answers with; `None` if it answers no such question."""
    asked = message.reply_to_message
    if asked is None or not _is_by(asked, me):
        return None
    question = asked.text or ""
    match = _TURN_ID.search(question)
    if match is None or not question.startswith(_QUESTION_SIGN) or not message.text:
        return None
    return match[1]


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
