"""Deleting turns, with all that is stored of them but the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.models import Counts
from bot.storage.clearing import AT_ONCE, Cleared, in_parts
from bot.storage.schema import channels, images, seen, settings, turn_pictures, turns


@dataclass(slots=True)
class Receipt:
    """Adds up what was deleted."""

    _drawings: int = 0
    _turns: int = 0
    _cleared: Cleared = field(default_factory=Cleared)
    _people: set[tuple[str, str]] = field(default_factory=set)
    _since: float | None = None

    def add(self, deleted: Sequence[Row[Any]], cleared: Cleared) -> None:
        """Add turns, as `delete_turns` gives them, and pictures."""
        for row in deleted:
            self._turns += 1
            self._drawings += row.drawing
            self._people.add((row.person_platform, row.person_id))
            self._since = min(row.accepted_at, self._since or row.accepted_at)
        self._cleared += cleared

    def counts(self) -> Counts:
        """The sum."""
        return Counts(
            questions=self._turns - self._drawings,
            drawings=self._drawings,
            pictures=self._cleared.pictures,
            size=self._cleared.size,
            people=len(self._people),
            since=self._since,
        )


async def delete_turns(
    connection: AsyncConnection, which: ColumnElement[bool]
) -> tuple[Sequence[Row[Any]], Sequence[str]]:
    """Delete some turns with their messages, and what replies to them looked like.

    The recipe of a picture holds what somebody asked for: it goes with the last turn that made the
    picture, even where others were shown it.

    Args:
        connection: within a transaction.
        which: turns; `AT_ONCE` of them are deleted, and fewer only when there are no more.

    Returns:
        Columns of the turns deleted, and keys of the pictures that they named.
    """
    columns = ("id", "drawing", "accepted_at", "person_platform", "person_id")
    found = await connection.execute(
        select(*(turns.c[name] for name in columns)).where(which).limit(AT_ONCE)
    )
    deleted = found.all()
    ids = [row.id for row in deleted]
    named = await connection.scalars(
        select(turn_pictures.c.key).where(turn_pictures.c.turn_id.in_(ids)).distinct()
    )
    keys = named.all()
    # Messages, segments and the rest refer to their turn and go with it.
    await connection.execute(delete(turns).where(turns.c.id.in_(ids)))
    made = exists().where(turn_pictures.c.key == images.c.key, turn_pictures.c.made)
    for some in in_parts(keys):
        await connection.execute(
            update(images)
            .where(images.c.key.in_(some), images.c.recipe.is_not(None), ~made)
            .values(recipe=None)
        )
    return deleted, keys


async def delete_channel(connection: AsyncConnection, channel: str) -> None:
    """Delete what is known of a channel without turns, and of those that became it."""
    await connection.execute(delete(settings).where(settings.c.scope == channel))
    await connection.execute(delete(seen).where(seen.c.channel == channel))
    await connection.execute(
        delete(channels).where(or_(channels.c.key == channel, channels.c.moved_to == channel))
    )
