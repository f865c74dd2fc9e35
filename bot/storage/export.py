"""Everything of a channel as JSON, for the people in it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.models import JsonObject, Turn
from bot.provider.responses import JsonConversation
from bot.storage.rows import answer_to_json, command_to_json, turn_from_row
from bot.storage.schema import channels, images, turns

_AT_ONCE = 500
"""Keys in one query; databases limit the number of parameters."""


async def export_channel(connection: AsyncConnection, channel: str) -> JsonObject:
    """What is stored about a channel, oldest first; empty lists for an unknown one.

    Left out, because they are secrets or lead to some: the provider's tokens, the addresses of
    replies (interaction tokens), and where a platform keeps attachments.
    """
    stored = await connection.scalar(
        select(channels.c.conversation).where(channels.c.key == channel)
    )
    conversation = JsonConversation() if stored is None else JsonConversation.from_json(stored)
    rows = await connection.execute(
        select(turns).where(turns.c.channel == channel).order_by(turns.c.position)
    )
    found = [turn_from_row(row) for row in rows.mappings()]
    return {
        "version": 1,
        "channel": channel,
        "conversation": conversation.without_secrets().to_json(),
        "turns": [_turn(turn) for turn in found],
        "pictures": await _pictures(connection, found),
    }


def _turn(turn: Turn) -> JsonObject:
    return {
        "id": turn.id,
        "message_id": turn.message_id,
        "server": turn.server,
        "reply_to": turn.reply_to,
        "person": {"id": str(turn.person), "name": turn.person.name},
        "command": command_to_json(turn.command),
        "attachments": [
            {"name": each.name, "size": each.size, "media_type": each.media_type}
            for each in turn.attachments
        ],
        "pictures": list(turn.pictures),
        "seed": turn.seed,
        "state": str(turn.state),
        "accepted_at": turn.accepted_at,
        "answer": answer_to_json(turn.answer),
    }


async def _pictures(connection: AsyncConnection, found: Sequence[Turn]) -> list[JsonObject]:
    """What is known of each picture that the turns name, in their order, each once."""
    keys = list(
        dict.fromkeys(
            key
            for turn in found
            for key in (*turn.pictures, *(turn.answer.pictures if turn.answer else ()))
        )
    )
    known: dict[str, JsonObject] = {}
    for start in range(0, len(keys), _AT_ONCE):
        rows = await connection.execute(
            select(images).where(images.c.key.in_(keys[start : start + _AT_ONCE]))
        )
        known |= {row["key"]: {**row} for row in rows.mappings()}
    names = ("key", "media_type", "size", "width", "height", "recipe", "created_at")
    return [{name: known[key][name] for name in names} for key in keys if key in known]
