"""What a person wants with a message, read from Telegram's own objects. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from telegram import Document, Message, MessageEntity, PhotoSize, Sticker, User

from bot.messages import Address, Attachment, ChannelKey, IncomingMessage, Person
from bot.turn import Ask
from bot.turns.commands import Command, CommandError, parse

PLATFORM = "telegram"

_COMMAND = re.compile(r"\s*/[a-z0-9_]{1,32}(?:@(?P<bot>\w+))?(?=\s|$)", re.IGNORECASE | re.ASCII)

UNKNOWN_COMMAND = "I do not know this command. /help lists what I can do."
UNREADABLE = "I can read text and still pictures, not this kind of message."


@dataclass(frozen=True, slots=True)
class Wish:
    """A message that is for the bot, understood.

    Attributes:
        message: what the engine takes in.
        command: what the person wants; `None` if `refusal` is the answer.
        refusal: why it cannot be done, for the person.
    """

    message: IncomingMessage
    command: Command | None
    refusal: str = ""


def read(messages: Sequence[Message], me: User) -> Wish | None:
    """Understand a message, or the items of an album as one message.

    Args:
        messages: one message, or all items of one album in their order. Never empty.
        me: the bot's own account.

    Returns:
        What is wanted, or `None` if it is not meant for the bot: group talk, a command for another
        bot, a service message.
    """
    first = messages[0]
    worded = next((item for item in messages if _words(item)), first)
    carries = any(item.effective_attachment for item in messages)
    if _author(first) is None or first.is_automatic_forward or not (_words(worded) or carries):
        return None
    if not _is_addressed(messages, worded, me):
        return None
    files = [file for item in messages if (file := _picture(item)) is not None]
    if carries and not files:
        # A film or a voice without words may be just a reaction: in a group, leave it at that.
        chatter = not _words(worded) and not _is_private(first)
        return None if chatter else Wish(_message(first), None, UNREADABLE)
    try:
        command = _command(_without_mentions(worded, me))
    except CommandError as error:
        return Wish(_message(first), None, str(error))
    if isinstance(command, Ask) and not files:
        files = _pictures_answered(first, me)
    return Wish(_message(first, files), command)


def _command(text: str) -> Command:
    command = parse(text)
    if command is None and _COMMAND.match(text):
        raise CommandError(UNKNOWN_COMMAND)
    return Ask(text) if command is None else command


def channel_of(message: Message) -> ChannelKey:
    """`telegram:<chat>`, with the topic where a message is in one.

    Replies in an ordinary group carry a thread id too; only `is_topic_message` tells a topic.
    """
    chat = str(message.chat.id)
    topic = _topic(message)
    return ChannelKey(PLATFORM, (chat,) if topic is None else (chat, str(topic)))


def _topic(message: Message) -> int | None:
    return message.message_thread_id if message.is_topic_message else None


def _author(message: Message) -> Person | None:
    """Who wrote: an account, or the group or channel in whose name somebody wrote."""
    user, chat = message.from_user, message.sender_chat
    if chat is not None:
        return Person(PLATFORM, str(chat.id), chat.effective_name or "")
    if user is None or user.is_bot:
        return None
    return Person(PLATFORM, str(user.id), user.full_name, user.language_code or "")


def _words(message: Message) -> str:
    return message.text or message.caption or ""


def _is_private(message: Message) -> bool:
    return message.chat.type == message.chat.PRIVATE


def _is_addressed(messages: Sequence[Message], worded: Message, me: User) -> bool:
    """Whether the bot is meant: always in private, else by command, mention or reply."""
    match = _COMMAND.match(_words(worded))
    named = match["bot"] if match else None
    if named:
        return named.lower() == (me.username or "").lower()
    if _is_private(worded) or any(_mentions(item, me) for item in messages):
        return True
    answered = _answered(messages[0])
    if answered is not None and answered.from_user is not None and answered.from_user.id == me.id:
        return True
    # Without a name, a command in a group is for every bot that knows it.
    return match is not None and _is_ours(_words(worded))


def _is_ours(text: str) -> bool:
    try:
        return parse(text) is not None
    except CommandError:
        return True


def _mentions(message: Message, me: User) -> list[MessageEntity]:
    name = f"@{me.username}".lower()
    units = _words(message).encode("utf-16-le")
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
    units = _words(message).encode("utf-16-le")
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


def _pictures_answered(message: Message, me: User) -> list[Attachment]:
    """The picture of somebody's message that is asked about; the bot's own are known already."""
    answered = _answered(message)
    if answered is None or (answered.from_user is not None and answered.from_user.id == me.id):
        return []
    picture = _picture(answered)
    return [] if picture is None else [picture]


def _picture(message: Message) -> Attachment | None:
    match message.effective_attachment:
        case Document(mime_type=str(mime)) as file if mime.startswith("image/"):
            return _attachment(file, file.file_name or f"document_{file.file_unique_id}", mime)
        case Sticker(is_animated=False, is_video=False) as file:
            return _attachment(file, f"sticker_{file.file_unique_id}.webp", "image/webp")
        case [*sizes] if message.photo:
            largest = max(sizes, key=lambda size: size.width * size.height)
            return _attachment(largest, f"photo_{largest.file_unique_id}.jpg", "image/jpeg")
        case _:
            return None


def _attachment(file: PhotoSize | Document | Sticker, name: str, media_type: str) -> Attachment:
    return Attachment(name, {"file_id": file.file_id}, file.file_size, media_type)


def _message(message: Message, files: Sequence[Attachment] = ()) -> IncomingMessage:
    author = _author(message)
    if author is None:
        raise ValueError("nobody wrote this message")
    answered = _answered(message)
    return IncomingMessage(
        channel=channel_of(message),
        person=author,
        message_id=str(message.message_id),
        address=_address(message),
        attachments=tuple(files),
        reply_to=None if answered is None else str(answered.message_id),
    )


def _address(message: Message) -> Address:
    # The id of the question serves as the draft's: not zero, and the same after a restart.
    return Address(
        PLATFORM,
        str(message.chat.id),
        {
            "chat_id": message.chat.id,
            "thread_id": _topic(message),
            "reply_to": message.message_id,
            "private": message.chat.type == message.chat.PRIVATE,
            "draft_id": message.message_id,
        },
    )
