"""Asks for the new prompt of a drawing, with a message whose answer says by itself what it is for.

Nothing is kept: the message names the turn, so an answer works after a restart and a year later.
Pure.
"""

from __future__ import annotations

import re
from dataclasses import replace

from telegram import ForceReply, Message, MessageEntity, User

from bot.i18n import Words
from bot.models import Imagine
from bot.platforms.telegram.entities import Rendered, utf16_length
from bot.turns.commands import CommandError, parse

_SIGN = "✏️"
"""How these messages begin; no other message of the bot does and ends with a turn's id as well."""

_ID = re.compile(r"\n#([2-9a-z]{10})\Z")
_MOST_SHOWN = 1900
"""Characters of the old prompt; with two UTF-16 code units each it still fits into a message."""
_PLACEHOLDER = 64
"""Characters in an empty field (Bot API, `ForceReply`)."""


def question(
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


def asked_about(message: Message, me: User) -> str | None:
    """The turn whose prompt this message answers with; `None` if it is no such answer."""
    asked = message.reply_to_message
    if asked is None or asked.from_user is None or asked.from_user.id != me.id:
        return None
    match = _ID.search(asked.text or "")
    if match is None or not (asked.text or "").startswith(_SIGN) or not message.text:
        return None
    return match[1]


def changed(drawing: Imagine, text: str) -> Imagine:
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
