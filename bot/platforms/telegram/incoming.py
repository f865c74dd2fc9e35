"""What a person wants with a message, read from Telegram's own objects. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from telegram import Chat, Message, MessageEntity, User

from bot.models import Address, Ask, ChannelKey, IncomingMessage, Person
from bot.platforms.telegram.attachments import Picture, pictures
from bot.platforms.telegram.deep_links import opened_with
from bot.platforms.telegram.prompts import asked_about
from bot.turns.commands import Command, CommandError, parse

PLATFORM = "telegram"

_COMMAND = re.compile(r"\s*/[a-z0-9_]{1,32}(?:@(?P<bot>\w+))?(?=\s|$)", re.IGNORECASE | re.ASCII)

UNREADABLE = CommandError("telegram-unreadable")


@dataclass(frozen=True, slots=True)
class Wish:
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


def read(messages: Sequence[Message], me: User) -> Wish | None:  # noqa: PLR0911 - one per case
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
    files = pictures(messages)
    if carries and not files:
        # A voice or a file without words may be just a reaction: in a group, leave it at that.
        chatter = not _words(worded) and not _is_private(first)
        return None if chatter else Wish(_message(first), None)
    try:
        command = _command(_without_mentions(worded, me))
    except CommandError as error:
        return Wish(_message(first), None, error)
    if not isinstance(command, Ask):
        return Wish(_message(first, files), command)
    if (turn_id := asked_about(first, me)) is not None:
        return Wish(_message(first), command, draws=turn_id)
    files = files or _pictures_answered(first, me)
    return Wish(
        _message(first, files),
        Ask(_with_quote(command.question, first)),
        stills=any(file.still for file in files),
    )


def _command(text: str) -> Command:
    command = opened_with(text) or parse(text)
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
