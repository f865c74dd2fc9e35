"""Turns, history, conversations, and what replies look like, each method one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, select, update

from bot.errors import SchemaTooNew
from bot.messages import ChannelKey, JsonObject, Person
from bot.provider.response import JsonConversation
from bot.storage.database import Database
from bot.storage.engines import insert
from bot.storage.export import export_channel
from bot.storage.queries import (
    add_exchange,
    current_epoch,
    exchanges,
    newest_first,
    not_stored,
    save_progress,
)
from bot.storage.rows import is_drawing, turn_from_row, turn_to_row
from bot.storage.schema import channels, reply_messages, segments, turns
from bot.turn import FINAL, Exchange, Turn, TurnState

_UNFINISHED = tuple(str(state) for state in TurnState if state not in FINAL)


class Store:
    """The database as turns and replies see it.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: a method that is cancelled has changed nothing, or all that it should; which of
    the two is known only to who looks.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, turn: Turn) -> bool:
        """Commit a new turn durably. False if its channel and message id were accepted before."""
        key = str(turn.channel)
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                insert(connection, channels)
                .values(key=key, epoch=0, created_at=time.time())
                .on_conflict_do_nothing()
            )
            accepted = await connection.execute(
                insert(connection, turns)
                .values(**turn_to_row(turn), epoch=current_epoch(key))
                .on_conflict_do_nothing()
                .returning(turns.c.position)
            )
            return accepted.first() is not None

    async def save(self, turn: Turn) -> None:
        """Store a turn's state, attempts, pictures, address and answer.

        It outlives the process at once, and a power failure a little later.
        """
        async with self._database.write() as connection:
            await save_progress(connection, turn)

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
                await connection.execute(
                    update(channels)
                    .where(channels.c.key == str(turn.channel))
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
        self, person: Person, since: float, *, drawings: bool
    ) -> Sequence[float]:
        """Unix times at which turns of a person were accepted after `since`, oldest first."""
        asked = (
            select(turns.c.accepted_at, turns.c.command)
            .where(
                turns.c.person_platform == person.platform,
                turns.c.person_id == person.id,
                turns.c.accepted_at > since,
            )
            .order_by(turns.c.accepted_at)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(asked)).all()
        return [row.accepted_at for row in rows if not drawings or is_drawing(row.command)]

    async def newest(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn since its last reset, finished or not."""
        key = str(channel)
        found = await self._turns(newest_first(key, 1).where(turns.c.epoch == current_epoch(key)))
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
        async with self._database.read() as connection:
            rows = (await connection.execute(exchanges(str(channel), messages // 2))).all()
        return [
            Exchange(row.turn_id, row.author, row.question, row.answer, (*row.shown, *row.made))
            for row in reversed(rows)
        ]

    async def conversation(self, channel: ChannelKey) -> JsonConversation:
        """What the provider keeps for this channel; an empty one at first.

        Raises:
            SchemaTooNew: it was written by a newer version.
        """
        async with self._database.read() as connection:
            data = await connection.scalar(
                select(channels.c.conversation).where(channels.c.key == str(channel))
            )
        if data is None:
            return JsonConversation()
        try:
            return JsonConversation.from_json(data)
        except ValueError as error:
            raise SchemaTooNew(f"Channel {channel} holds a {error}.") from error

    async def reset(self, channel: ChannelKey) -> None:
        """History begins anew from here; nothing is deleted.

        A turn accepted before belongs to the time before, whenever it is answered.
        """
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                insert(connection, channels)
                .values(key=str(channel), epoch=1, created_at=time.time())
                .on_conflict_do_update(
                    index_elements=[channels.c.key], set_={"epoch": channels.c.epoch + 1}
                )
            )

    async def segments(self, turn_id: str) -> Sequence[tuple[int, JsonObject, str]]:
        """Index, receipt and digest of each message of a turn's reply, in order."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(segments).where(segments.c.turn_id == turn_id).order_by(segments.c.index)
            )
            return [(row["index"], row["receipt"], row["digest"]) for row in rows.mappings()]

    async def save_segment(
        self, turn_id: str, index: int, receipt: JsonObject, digest: str
    ) -> None:
        """Store what a platform acknowledged of one message of a reply.

        Args:
            turn_id: of the turn that is replied to.
            index: which message of the reply, from 0.
            receipt: how its surface finds it. What it has under `"ids"` (a list) or `"id"` is
                remembered as message ids by which `turn_of_message` finds the turn.
            digest: of the content acknowledged.
        """
        shown = {"receipt": receipt, "digest": digest}
        async with self._database.write() as connection:
            channel = await connection.scalar(select(turns.c.channel).where(turns.c.id == turn_id))
            if channel is None:
                raise not_stored(turn_id)
            await connection.execute(
                insert(connection, segments)
                .values(turn_id=turn_id, index=index, **shown)
                .on_conflict_do_update(
                    index_elements=[segments.c.turn_id, segments.c.index], set_=shown
                )
            )
            for message_id in _message_ids(receipt):
                await connection.execute(
                    insert(connection, reply_messages)
                    .values(channel=channel, message_id=message_id, turn_id=turn_id)
                    .on_conflict_do_nothing()
                )

    async def delete_segment(self, turn_id: str, index: int) -> None:
        """Forget a message of a turn's reply, because it was deleted."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(segments).where(segments.c.turn_id == turn_id, segments.c.index == index)
            )

    async def export(self, channel: ChannelKey) -> JsonObject:
        """Everything stored about a channel, as JSON, without secrets."""
        async with self._database.read() as connection:
            return await export_channel(connection, str(channel))

    async def _turns(self, query: Select[Any]) -> list[Turn]:
        async with self._database.read() as connection:
            return [turn_from_row(row) for row in (await connection.execute(query)).mappings()]


def _message_ids(receipt: JsonObject) -> list[str]:
    ids = receipt.get("ids") or [receipt.get("id")]
    return [str(each) for each in ids if each is not None]
