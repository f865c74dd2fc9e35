"""What a person wants with a message, read from Telegram's own objects. Does no I/O."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

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
from bot.models import Address, Ask, Attachment, ChannelKey, Imagine, IncomingMessage, Person
from bot.platforms.telegram.entities import Rendered, utf16_length
from bot.turns.commands import Command, CommandError, Help, Privacy, imagine, parse

PLATFORM = "telegram"

_COMMAND = re.compile(r"\s*/[a-z0-9_]{1,32}(?:@(?P<bot>\w+))?(?=\s|$)", re.IGNORECASE | re.ASCII)

UNREADABLE = CommandError("telegram-unreadable")


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message that is for the bot, understood.

    Attributes:
        message: what the engine takes in.
        command: what the person wants; `None` if `refusal` is the answer.
        refusal: why it cannot be done, if `command` is `None`.
        draws: the turn whose drawing the message gives a new prompt for; then the command is an
            `Ask` with that prompt.
        stills: some of its pictures are only preview frames of what moves.
    """

    message: IncomingMessage
    command: Command | None
    refusal: CommandError = UNREADABLE
    draws: str | None = None
    stills: bool = False


def parse_message(messages: Sequence[Message], me: User) -> ParsedMessage | None:  # noqa: PLR0911 - one per case
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
    if _author(first) is None or first.is_automatic_forward or not (_text_of(worded) or carries):
        return None
    if not _is_addressed(messages, worded, me):
        return None
    files = pictures(messages)
    if carries and not files:
        # A voice or a file without words may be just a reaction: in a group, leave it at that.
        chatter = not _text_of(worded) and not _is_private(first)
        return None if chatter else ParsedMessage(_message(first), None)
    try:
        command = _command(_without_mentions(worded, me))
    except CommandError as error:
        return ParsedMessage(_message(first), None, error)
    if not isinstance(command, Ask):
        return ParsedMessage(_message(first, files), command)
    if (turn_id := turn_asked_about(first, me)) is not None:
        return ParsedMessage(_message(first), command, draws=turn_id)
    files = files or _pictures_answered(first, me)
    return ParsedMessage(
        _message(first, files),
        Ask(_with_quote(command.question, first)),
        stills=any(file.still for file in files),
    )


def _command(text: str) -> Command:
    command = parse_deep_link(text) or parse(text)
    if command is None and _COMMAND.match(text):
        raise CommandError("unknown-command")
    return Ask(text) if command is None else command


def _with_quote(question: str, message: Message) -> str:
    """The question below the part of a message that its author picked out to ask about."""
    quote = message.quote
    if quote is None or not quote.is_manual:
        return question
    quoted = "\n".join(f"> {line}" for line in quote.text.splitlines())
    return f"{quoted}\n\n{question}".rstrip()


def channel_of(message: Message) -> ChannelKey:
    """`telegram:<chat>`, with the topic where a message is in one.

    Replies in an ordinary group carry a thread id too; only `is_topic_message` tells a topic.
    """
    chat = str(message.chat.id)
    topic = _topic(message)
    return ChannelKey(PLATFORM, (chat,) if topic is None else (chat, str(topic)))


def _topic(message: Message) -> int | None:
    return message.message_thread_id if message.is_topic_message else None


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


def _text_of(message: Message) -> str:
    return message.text or message.caption or ""


def _is_private(message: Message) -> bool:
    return message.chat.type == message.chat.PRIVATE


def _is_addressed(messages: Sequence[Message], worded: Message, me: User) -> bool:
    """Whether the bot is meant: always in private, else by command, mention or reply."""
    match = _COMMAND.match(_text_of(worded))
    named = match["bot"] if match else None
    if named:
        return named.lower() == (me.username or "").lower()
    if _is_private(worded) or any(_mentions(item, me) for item in messages):
        return True
    answered = _answered(messages[0])
    if answered is not None and answered.from_user is not None and answered.from_user.id == me.id:
        return True
    # Without a name, a command in a group is for every bot that knows it.
    return match is not None and _is_ours(_text_of(worded))


def _is_ours(text: str) -> bool:
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


def _pictures_answered(message: Message, me: User) -> list[Picture]:
    """The picture of somebody's message that is asked about; the bot's own are known already."""
    answered = _answered(message)
    if answered is None or (answered.from_user is not None and answered.from_user.id == me.id):
        return []
    return pictures([answered])


def _message(message: Message, files: Sequence[Picture] = ()) -> IncomingMessage:
    author = _author(message)
    if author is None:
        raise ValueError("nobody wrote this message")
    answered = _answered(message)
    return IncomingMessage(
        channel=channel_of(message),
        person=author,
        message_id=str(message.message_id),
        address=address_of(message.chat, _topic(message), message.message_id, message.message_id),
        attachments=tuple(file.attachment for file in files),
        reply_to=None if answered is None else str(answered.message_id),
    )


def address_of(chat: Chat, topic: int | None, reply_to: int, draft_id: int) -> Address:
    """Where a reply goes.

    Args:
        chat: the chat.
        topic: the topic in it, if it is one.
        reply_to: the message that is answered.
        draft_id: not zero, and the same after a restart, so that a resumed reply goes on in its
            draft.
    """
    return Address(
        PLATFORM,
        str(chat.id),
        {
            "chat_id": chat.id,
            "thread_id": topic,
            "reply_to": reply_to,
            "private": chat.type == chat.PRIVATE,
            "draft_id": draft_id,
        },
    )


_Film: TypeAlias = Animation | Video | VideoNote | Sticker | Document


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bot looks at in a message.

    Attributes:
        attachment: to be fetched.
        still: it is only the preview frame of something that moves.
    """

    attachment: Attachment
    still: bool = False


def picture(message: Message) -> Picture | None:
    """The picture in a message; `None` if there is none to look at."""
    match message.effective_attachment:
        case Document(mime_type=str(mime)) as file if mime.startswith("image/"):
            name = file.file_name or f"document_{file.file_unique_id}"
            return Picture(_attachment(file, name, mime))
        case Document(mime_type=str(mime)) as film if mime.startswith("video/"):
            return _still(film)
        case Sticker(is_animated=False, is_video=False) as file:
            name = f"sticker_{file.file_unique_id}.webp"
            return Picture(_attachment(file, name, "image/webp"))
        case Animation() | Video() | VideoNote() | Sticker() as film:
            return _still(film)
        case [*sizes] if message.photo:
            largest = max(sizes, key=lambda size: size.width * size.height)
            name = f"photo_{largest.file_unique_id}.jpg"
            return Picture(_attachment(largest, name, "image/jpeg"))
        case _:
            return None


def pictures(messages: Sequence[Message]) -> list[Picture]:
    """The pictures of several messages, in their order."""
    return [found for message in messages if (found := picture(message)) is not None]


def _still(film: _Film) -> Picture | None:
    """The preview frame that Telegram made; small files have none."""
    frame = film.thumbnail
    if frame is None:
        return None
    name = f"still_{frame.file_unique_id}.jpg"
    return Picture(_attachment(frame, name, "image/jpeg"), still=True)


def _attachment(file: PhotoSize | Document | Sticker, name: str, media_type: str) -> Attachment:
    return Attachment(name, {"file_id": file.file_id}, file.file_size, media_type)


_START = re.compile(r"\s*/start(?:@\w+)?\s+(?P<payload>[A-Za-z0-9_-]{1,64})\s*", re.IGNORECASE)
_PROMPT = "imagine_"


def parse_deep_link(text: str) -> Command | None:
    """What a `/start` with a payload asks for; `None` if the text is none.

    `privacy` is `/privacy`, and `imagine_` with a prompt in Base64 for addresses (RFC 4648, without
    padding) draws it. Anything else is of another version, and gets the help.
    """
    match = _START.fullmatch(text)
    if match is None:
        return None
    payload = match["payload"]
    if payload == "privacy":
        return Privacy()
    if payload.startswith(_PROMPT):
        return _drawing(payload.removeprefix(_PROMPT))
    return Help()


def _drawing(encoded: str) -> Command:
    try:
        # Padding to a multiple of four; more than is needed is passed over.
        prompt = base64.urlsafe_b64decode(f"{encoded}===").decode()
        return imagine(prompt)
    except (binascii.Error, UnicodeDecodeError, CommandError):
        return Help()


_SIGN = "✏️"
"""How these messages begin; no other message of the bot does and ends with a turn's id as well."""

_TURN_ID = re.compile(r"\n#([2-9a-z]{10})\Z")
_MOST_SHOWN = 1900
"""Characters of the old prompt; with two UTF-16 code units each it still fits into a message."""
_PLACEHOLDER = 64
"""Characters in an empty field (Bot API, `ForceReply`)."""


def new_prompt_question(
    words: Words, drawing: Imagine, turn_id: str, person: User | None
) -> tuple[Rendered, ForceReply]:
    """The message that asks, and the field for the answer.

    Args:
        words: the language to ask in.
        drawing: whose prompt is to be changed.
        turn_id: of that drawing.
        person: who is asked, in a group; only this person's field is opened.
    """
    name = "" if person is None else f"{person.full_name}, "
    start = f"{_SIGN} {name}"
    asked = f"{start}{words('telegram-new-prompt')}\n\n"
    prompt = drawing.prompt[:_MOST_SHOWN]
    # As code it is copied with a touch, and addresses nobody.
    entities = [MessageEntity(MessageEntity.CODE, utf16_length(asked), utf16_length(prompt))]
    if person is not None:
        offset, length = utf16_length(f"{_SIGN} "), utf16_length(person.full_name)
        entities.insert(0, MessageEntity(MessageEntity.TEXT_MENTION, offset, length, user=person))
    field = ForceReply(
        selective=True, input_field_placeholder=" ".join(prompt.split())[:_PLACEHOLDER] or None
    )
    return Rendered(f"{asked}{prompt}\n\n#{turn_id}", tuple(entities)), field


def turn_asked_about(message: Message, me: User) -> str | None:
    """The turn whose prompt this message answers with; `None` if it is no such answer."""
    asked = message.reply_to_message
    if asked is None or asked.from_user is None or asked.from_user.id != me.id:
        return None
    match = _TURN_ID.search(asked.text or "")
    if match is None or not (asked.text or "").startswith(_SIGN) or not message.text:
        return None
    return match[1]


def with_new_prompt(drawing: Imagine, text: str) -> Imagine:
    """The drawing with another prompt, which may name a seed and a guidance of its own.

    Raises:
        CommandError: there are no words, or a value cannot be used.
    """
    wanted = parse(f"/imagine {text}")
    if not isinstance(wanted, Imagine):
        raise CommandError("imagine-needs-prompt")
    return replace(
        wanted,
        seed=drawing.seed if wanted.seed is None else wanted.seed,
        guidance=drawing.guidance if wanted.guidance is None else wanted.guidance,
    )


def parse_press(query: CallbackQuery) -> tuple[IncomingMessage, Action | None] | None:
    """Who pressed what, and where.

    Returns:
        The press, without an action if the button is of another version of the bot; `None` if it
        was not under a message of a chat.
    """
    under = query.message
    if under is None or query.data is None:
        return None
    if isinstance(under, Message):
        channel = channel_of(under)
        topic = under.message_thread_id if under.is_topic_message else None
    else:  # too old for Telegram to say more of it than where it is
        channel, topic = ChannelKey(PLATFORM, (str(under.chat.id),)), None
    message = IncomingMessage(
        channel=channel,
        person=person_of(query.from_user),
        message_id=query.id,
        address=address_of(under.chat, topic, under.message_id, _draft_id(query.id)),
    )
    return message, _action(query.data)


def _action(data: str) -> Action | None:
    try:
        return Action.parse(data)
    except ValueError:
        return None


def _draft_id(query_id: str) -> int:
    """A press has no message whose number could serve."""
    return zlib.crc32(query_id.encode()) % (2**31 - 1) + 1
