"""The press of a button, read from Telegram's own objects. Does no I/O."""

from __future__ import annotations

import zlib

from telegram import CallbackQuery, Message

from bot.actions import Action
from bot.models import ChannelKey, IncomingMessage
from bot.platforms.telegram.incoming import PLATFORM, address_of, channel_of, person_of


def read_press(query: CallbackQuery) -> tuple[IncomingMessage, Action | None] | None:
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
