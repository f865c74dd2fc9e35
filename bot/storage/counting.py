"""How much is stored."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.models import ChannelKey, Counts, Person
from bot.storage.schema import images, turn_pictures, turns


def of_person(person: Person) -> ColumnElement[bool]:
    """Which turns are a person's, whatever name it had then."""
    return (turns.c.person_platform == person.platform) & (turns.c.person_id == person.id)


async def count(
    connection: AsyncConnection, channel: ChannelKey | None, person: Person | None
) -> Counts:
    """What is stored of a channel, a person, a person in a channel, or altogether."""
    which: Sequence[ColumnElement[bool]] = [
        *([] if channel is None else [turns.c.channel == str(channel)]),
        *([] if person is None else [of_person(person)]),
    ]
    # Platforms have no colon in their names, so that no two people are taken for one.
    who = turns.c.person_platform + ":" + turns.c.person_id
    found = await connection.execute(
        select(
            func.count().label("turns"),
            func.count().filter(turns.c.drawing).label("drawings"),
            func.count(who.distinct()).label("people"),
            func.min(turns.c.accepted_at).label("since"),
        )
        .select_from(turns)
        .where(*which)
    )
    of_turns = found.one()
    needed = (
        select(turn_pictures.c.key)
        .join_from(turn_pictures, turns, turn_pictures.c.turn_id == turns.c.id)
        .where(*which)
    )
    found = await connection.execute(
        select(func.count(), func.sum(images.c.size)).where(images.c.key.in_(needed))
    )
    pictures, size = found.one()
    return Counts(
        questions=of_turns.turns - of_turns.drawings,
        drawings=of_turns.drawings,
        pictures=pictures,
        size=int(size or 0),
        people=of_turns.people,
        since=of_turns.since,
    )
