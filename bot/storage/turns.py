"""Turns in the database: accepted, saved, answered and found again; and the history they make."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    exists,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StorageError
from bot.models import FINAL, ChannelKey, Exchange, Person, Turn, TurnState
from bot.provider.responses import JsonConversation
from bot.storage.database import Database
from bot.storage.rows import exchange_from_row, turn_from_row, turn_to_row
from bot.storage.schema import channels, reply_messages, turn_pictures, turns

_UNFINISHED = tuple(str(state) for state in TurnState if state not in FINAL)
_ANSWERED = (str(TurnState.DELIVERING), str(TurnState.DONE))

_PROGRESS = ("address", "state", "attempts", "pictures", "answer", "parked_until", "updated_at")
"""Columns that change while a turn is worked on."""
_REQUEST = ("command", "attachments", "seed", "drawing")
"""Columns that change when a person edits the request."""

_MAX_OTHERS = 20
"""Turns that did not end well and may be skipped on the way back through a conversation, on top of
one for each exchange."""


class TurnStore:
    """Turns and the history that they make. Every method is one transaction.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: a cancelled method has changed nothing, or everything that it should; only the
    database can tell which.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, turn: Turn) -> bool:
        """Commit a new turn durably, and its channel if that is new.

        A request that was accepted before its channel moved is found under the key that the channel
        has now.

        Returns:
            False if its channel and message id were accepted before.
        """
        values = {f"new_{name}": value for name, value in turn_to_row(turn).items()}
        new_turn = (
            self._database.insert(turns)
            .from_select([*(column.name for column in _GIVEN), "epoch"], _NEW_TURN)
            .on_conflict_do_nothing()
            .execution_options(preserve_rowcount=True)
        )
        new_channel = (
            self._database.insert(channels)
            .values(key=str(turn.channel), epoch=0, created_at=time.time())
            .on_conflict_do_nothing()
            .execution_options(preserve_rowcount=True)
        )
        async with self._database.write(durable=True) as connection:
            # One statement where the channel is known.
            added = (await connection.execute(new_turn, values)).rowcount
            if not added and (await connection.execute(new_channel)).rowcount:
                added = (await connection.execute(new_turn, values)).rowcount
            if added and turn.pictures:
                await self._update(connection, turn, ("pictures",))
            return bool(added)

    async def save(self, turn: Turn) -> None:
        """Store a turn's state, attempts, pictures, address, answer and when it goes on.

        It survives the process at once, and a power failure a little later.
        """
        async with self._database.write() as connection:
            await self._update(connection, turn, _PROGRESS)

    async def rewrite(self, turn: Turn) -> None:
        """Store durably what `save` does, and a request that a person edited.

        Command, seed and attachments are those of the edited message. Only for unfinished turns;
        history does not change.

        Raises:
            ValueError: the turn is finished.
        """
        if turn.state in FINAL:
            raise ValueError(f"turn {turn.id} is {turn.state}; its request cannot change")
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                delete(turn_pictures).where(turn_pictures.c.turn_id == turn.id)
            )
            await self._update(connection, turn, (*_PROGRESS, *_REQUEST))

    async def finish(self, turn: Turn, conversation: JsonConversation | None) -> None:
        """Store a turn's answer durably, and the channel's conversation with it.

        Called when the answer is complete and before it is delivered; doing it again changes
        nothing. If the turn ended well, its exchange is history from here on.

        Raises:
            ValueError: the turn has no answer.
        """
        if turn.answer is None:
            raise ValueError(f"turn {turn.id} has no answer to store")
        async with self._database.write(durable=True) as connection:
            await self._update(connection, turn, _PROGRESS)
            if conversation is not None:
                # Not `turn.channel`: the channel may have moved since.
                here = select(turns.c.channel).where(turns.c.id == turn.id).scalar_subquery()
                await connection.execute(
                    update(channels)
                    .where(channels.c.key == here)
                    .values(conversation=conversation.to_json())
                )

    async def unfinished(self) -> Sequence[Turn]:
        """All turns that are not in a final state, oldest first."""
        return await self._turns(
            select(turns).where(turns.c.state.in_(_UNFINISHED)).order_by(turns.c.position)
        )

    async def accepted_since(
        self, person: Person | None, since: float, *, drawings: bool
    ) -> Sequence[float]:
        """Unix times, oldest first, at which turns were accepted after `since`.

        Args:
            person: whose; `None` for everybody's.
            since: Unix time.
            drawings: only those that draw.
        """
        # Both kinds are named, so that the index that begins with the kind serves everybody's.
        asked = select(turns.c.accepted_at).where(
            turns.c.accepted_at > since, turns.c.drawing.in_([True] if drawings else [False, True])
        )
        if person is not None:
            asked = asked.where(
                turns.c.person_platform == person.platform, turns.c.person_id == person.id
            )
        async with self._database.read() as connection:
            times = await connection.scalars(asked.order_by(turns.c.accepted_at))
            return times.all()

    async def prompts(self, person: Person, limit: int) -> Sequence[str]:
        """Prompts of a person's newest drawings, newest first, repetitions included.

        Args:
            person: whose.
            limit: how many drawings.
        """
        newest = (
            select(turns.c.command)
            .where(
                turns.c.person_platform == person.platform,
                turns.c.person_id == person.id,
                turns.c.drawing.is_(True),
            )
            .order_by(turns.c.accepted_at.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            commands = await connection.scalars(newest)
            return [command["prompt"] for command in commands]

    async def get(self, turn_id: str) -> Turn | None:
        return await self._turn(select(turns).where(turns.c.id == turn_id))

    async def newest(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn since its last reset, finished or not."""
        now = select(channels.c.epoch).where(channels.c.key == str(channel)).scalar_subquery()
        here = (turns.c.channel == str(channel)) & (turns.c.epoch == now)
        return await self._turn(_NEWEST_FIRST.where(here).limit(1))

    async def newest_drawing(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn that made pictures, resets or not."""
        made = exists().where(turn_pictures.c.turn_id == turns.c.id, turn_pictures.c.made)
        return await self._turn(
            select(turns)
            .where(
                turns.c.channel == str(channel),
                turns.c.drawing.in_([True]),
                turns.c.state.in_(_ANSWERED),
                made,
            )
            .order_by(turns.c.accepted_at.desc(), turns.c.position.desc())
            .limit(1)
        )

    async def latest(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        """The channel's newest turns, resets or not, newest last."""
        here = turns.c.channel == str(channel)
        return (await self._turns(_NEWEST_FIRST.where(here).limit(limit)))[::-1]

    async def of_message(self, channel: ChannelKey, message_id: str) -> Turn | None:
        """The turn whose request or reply has this platform message id."""
        key = str(channel)
        request = (turns.c.channel == key) & (turns.c.message_id == message_id)
        reply = select(reply_messages.c.turn_id).where(
            reply_messages.c.channel == key, reply_messages.c.message_id == message_id
        )
        for found in (request, turns.c.id.in_(reply)):
            if (turn := await self._turn(select(turns).where(found))) is not None:
                return turn
        return None

    async def lineage(self, turn_id: str | None, messages: int) -> Sequence[Exchange]:
        """The exchanges that led to a turn, its own included, oldest first; see `Turn.parent`.

        An exchange is a turn that ended well. What the bot writes beside pictures is no part of the
        conversation, so the answer of a drawing is empty.

        Args:
            turn_id: `None` for the beginning of a conversation: none led there.
            messages: how many messages at most; an exchange is two, so an odd one is left out.
        """
        limit = messages // 2
        if turn_id is None or limit <= 0:
            return []
        where = {"from_turn": turn_id, "steps": 2 * limit + _MAX_OTHERS}
        async with self._database.read() as connection:
            rows = (await connection.execute(_LINE, where)).mappings().all()
        found = [exchange for row in rows if (exchange := exchange_from_row(row)) is not None]
        return found[:limit][::-1]

    async def _turn(self, query: Select[Any]) -> Turn | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else turn_from_row(row)

    async def _turns(self, query: Select[Any]) -> list[Turn]:
        async with self._database.read() as connection:
            return [turn_from_row(row) for row in (await connection.execute(query)).mappings()]

    async def _update(
        self, connection: AsyncConnection, turn: Turn, columns: Sequence[str]
    ) -> None:
        """Write some columns of a turn, and remember which pictures it needs, beside those before.

        Raises:
            StorageError: there is no such turn.
        """
        row = turn_to_row(turn)
        changed = await connection.execute(
            update(turns).where(turns.c.id == turn.id).values({name: row[name] for name in columns})
        )
        if changed.rowcount == 0:
            raise not_stored(turn.id)
        made = turn.answer.pictures if turn.answer else ()
        named = dict.fromkeys(turn.pictures, False) | dict.fromkeys(made, True)
        if named:
            naming = self._database.insert(turn_pictures).values(
                [{"turn_id": turn.id, "key": key, "made": made} for key, made in named.items()]
            )
            await connection.execute(
                naming.on_conflict_do_update(
                    index_elements=[turn_pictures.c.turn_id, turn_pictures.c.key],
                    set_={"made": or_(turn_pictures.c.made, naming.excluded.made)},
                )
            )


def moved_message_id(old: ColumnElement[str], message_id: ColumnElement[str]) -> ColumnElement[str]:
    """What a message of the channel `old` is called after its channel moved.

    The new channel numbers its messages from the beginning, so the same number can come again.
    """
    return old + "/" + message_id


def not_stored(turn_id: str) -> StorageError:
    """What to raise about a turn that is not in the database."""
    return StorageError(f"Turn {turn_id} is not in the database, or was deleted from it.")


def _line() -> Select[Any]:
    """Answered turns from one back to the beginning, newest first, with what an exchange tells.

    A turn that failed or was stopped is skipped; steps are limited, so that a long series of them
    costs no more than a conversation. Which turns ended well is read from their answers in Python:
    PostgreSQL does not look into JSON that holds half a surrogate pair somewhere.
    """
    line = (
        select(turns.c.id, turns.c.parent, literal(0).label("depth"))
        .where(turns.c.id == bindparam("from_turn"))
        .cte("line", recursive=True)
    )
    line = line.union_all(
        select(turns.c.id, turns.c.parent, line.c.depth + 1).where(
            turns.c.id == line.c.parent, line.c.depth < bindparam("steps")
        )
    )
    told = (turns.c.id, turns.c.person_name, turns.c.command, turns.c.pictures, turns.c.answer)
    return (
        select(*told)
        .join(line, turns.c.id == line.c.id)
        .where(turns.c.answer.is_not(None))
        .order_by(line.c.depth)
    )


# Put together once, because that takes longer than running them.
_LINE = _line()
# For the turns of a channel. Epochs only grow, so ordering by them first costs and changes nothing.
_NEWEST_FIRST = select(turns).order_by(turns.c.epoch.desc(), turns.c.position.desc())
_EARLIER = turns.alias("earlier")
_GIVEN = [column for column in turns.c if column.name not in {"position", "epoch"}]
_NEW_TURN = select(
    *(bindparam(f"new_{column.name}", type_=column.type) for column in _GIVEN), channels.c.epoch
).where(
    channels.c.key == bindparam("new_channel", type_=turns.c.channel.type),
    ~exists().where(
        _EARLIER.c.channel == channels.c.moved_to,
        _EARLIER.c.message_id
        == moved_message_id(
            channels.c.key, bindparam("new_message_id", type_=turns.c.message_id.type)
        ),
    ),
)
