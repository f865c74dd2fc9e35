"""Turns, history, conversations, and what replies look like, each method one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, exists, select, update

from bot.models import FINAL, ChannelKey, Exchange, Person, Turn, TurnState
from bot.provider.responses import JsonConversation
from bot.storage.channels import Channels
from bot.storage.queries import (
    add_exchange,
    add_turn,
    current_epoch,
    exchanges,
    lineage,
    newest_first,
    save_progress,
)
from bot.storage.rows import request_to_row, turn_from_row
from bot.storage.schema import channels, reply_messages, turn_pictures, turns
from bot.storage.scopes import Scopes
from bot.storage.segments import Segments

_UNFINISHED = tuple(str(state) for state in TurnState if state not in FINAL)
_ANSWERED = (str(TurnState.DELIVERING), str(TurnState.DONE))


class Store(Channels, Segments, Scopes):
    """The database as turns and replies see it.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: a method that is cancelled has changed nothing, or all that it should; which of
    the two is known only to who looks.
    """

    async def accept(self, turn: Turn) -> bool:
        """Commit a new turn durably. False if its channel and message id were accepted before."""
        async with self._database.write(durable=True) as connection:
            return await add_turn(connection, turn)

    async def save(self, turn: Turn) -> None:
        """Store a turn's state, attempts, pictures, address, answer and when it goes on.

        It outlives the process at once, and a power failure a little later.
        """
        async with self._database.write() as connection:
            await save_progress(connection, turn)

    async def rewrite(self, turn: Turn) -> None:
        """Store durably what `save` does, and a request that a person edited.

        Command, seed and attachments are those of the edited message. Only for turns that are
        unfinished; what is history does not change.

        Raises:
            ValueError: the turn is finished.
        """
        if turn.state in FINAL:
            raise ValueError(f"turn {turn.id} is {turn.state}; its request cannot change")
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                delete(turn_pictures).where(turn_pictures.c.turn_id == turn.id)
            )
            await save_progress(connection, turn, **request_to_row(turn))

    async def finish(self, turn: Turn, conversation: JsonConversation | None) -> None:
        """Store a turn's answer durably, and the channel's conversation with it.

        If it ended well, its exchange is history from now on. Doing it again changes nothing.

        Raises:
            ValueError: the turn has no answer.
        """
        if turn.answer is None:
            raise ValueError(f"turn {turn.id} has no answer to store")
        async with self._database.write(durable=True) as connection:
            await save_progress(connection, turn)
            if conversation is not None:
                # Not `turn.channel`: the channel may have moved since.
                here = select(turns.c.channel).where(turns.c.id == turn.id).scalar_subquery()
                await connection.execute(
                    update(channels)
                    .where(channels.c.key == here)
                    .values(conversation=conversation.to_json())
                )
            if turn.answer.outcome is TurnState.DONE:
                await add_exchange(connection, turn, turn.answer)

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
        """Prompts of a person's newest drawings, newest first, as often as they were drawn."""
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

    async def turn(self, turn_id: str) -> Turn | None:
        """A turn by its id."""
        found = await self._turns(select(turns).where(turns.c.id == turn_id))
        return found[0] if found else None

    async def newest(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn since its last reset, finished or not."""
        key = str(channel)
        found = await self._turns(newest_first(key, 1).where(turns.c.epoch == current_epoch(key)))
        return found[0] if found else None

    async def newest_drawing(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn that ended with pictures of the bot's, resets or not."""
        made = exists().where(turn_pictures.c.turn_id == turns.c.id, turn_pictures.c.made)
        found = await self._turns(
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
        return found[0] if found else None

    async def turns(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        """The channel's newest turns, resets or not, newest last."""
        return (await self._turns(newest_first(str(channel), limit)))[::-1]

    async def turn_of_message(self, channel: ChannelKey, message_id: str) -> Turn | None:
        """The turn whose request or reply has this platform message id."""
        key = str(channel)
        request = (turns.c.channel == key) & (turns.c.message_id == message_id)
        reply = select(reply_messages.c.turn_id).where(
            reply_messages.c.channel == key, reply_messages.c.message_id == message_id
        )
        for found in (request, turns.c.id.in_(reply)):
            if matches := await self._turns(select(turns).where(found)):
                return matches[0]
        return None

    async def history(self, channel: ChannelKey, messages: int) -> Sequence[Exchange]:
        """Exchanges since the last reset that ended well, oldest first.

        Args:
            channel: whose.
            messages: how many messages at most; an exchange is two, so an odd one is left out.
        """
        return await self._exchanges(exchanges(str(channel), messages // 2))

    async def lineage(self, turn_id: str | None, messages: int) -> Sequence[Exchange]:
        """Exchanges that led to a turn, its own included, oldest first; see `Turn.parent`.

        Args:
            turn_id: `None` for the beginning of a conversation: none led there.
            messages: as for `history`.
        """
        return [] if turn_id is None else await self._exchanges(lineage(turn_id, messages // 2))

    async def _exchanges(self, query: Select[Any]) -> list[Exchange]:
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Exchange(row.turn_id, row.author, row.question, row.answer, (*row.shown, *row.made))
            for row in reversed(rows)
        ]

    async def _turns(self, query: Select[Any]) -> list[Turn]:
        async with self._database.read() as connection:
            return [turn_from_row(row) for row in (await connection.execute(query)).mappings()]
