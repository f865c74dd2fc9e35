"""What the replies of turns look like on their platforms, message by message."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from bot.models import ChannelKey, JsonObject, Segment
from bot.storage.database import Database, bytewise
from bot.storage.schema import reply_messages, segments, turns
from bot.storage.turns import not_stored


class SegmentStore:
    """The messages of each turn's reply, as far as their platform acknowledged them.

    A message that is about to be created is an intent: it has an anchor and no receipt. Whoever
    finds an intent later must look for the message before creating another.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: as for `TurnStore`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_turn(self, turn_id: str) -> Sequence[Segment]:
        """The messages of a turn's reply, in order."""
        wanted = (segments.c.receipt, segments.c.digest, segments.c.anchor)
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(*wanted).where(segments.c.turn_id == turn_id).order_by(segments.c.index)
            )
            return [Segment(receipt, digest, anchor or {}) for receipt, digest, anchor in rows]

    async def save(self, turn_id: str, index: int, segment: Segment) -> None:
        """Store one message of a reply: as an intent, or as its platform acknowledged it.

        It survives the process at once, and a power failure a little later. An intent does not
        change a message that was acknowledged before.

        Args:
            turn_id: of the turn that is replied to.
            index: which message of the reply, from 0.
            segment: what its receipt has under `"ids"` (a list) or `"id"` is remembered as message
                ids by which `TurnStore.of_message` finds the turn.
        """
        receipt = segment.receipt
        values: JsonObject = {"digest": segment.digest}
        values |= {"anchor": segment.anchor} if receipt is None else {"receipt": receipt}
        message_ids = (receipt.get("ids") or [receipt.get("id")]) if receipt else []
        row = self._database.insert(segments).values(turn_id=turn_id, index=index, **values)
        channel = select(turns.c.channel).where(turns.c.id == turn_id).scalar_subquery()
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    row.on_conflict_do_update(
                        index_elements=[segments.c.turn_id, segments.c.index],
                        set_=values,
                        where=segments.c.receipt.is_(None) if receipt is None else None,
                    )
                )
                for message_id in message_ids:
                    if message_id is not None:
                        await connection.execute(
                            self._database.insert(reply_messages)
                            .values(channel=channel, message_id=str(message_id), turn_id=turn_id)
                            .on_conflict_do_nothing()
                        )
        except IntegrityError as error:  # only the foreign key to the turn can be violated
            raise not_stored(turn_id) from error

    async def replied(self, turn_ids: Sequence[str]) -> frozenset[str]:
        """Which of these turns have messages in their replies."""
        wanted = select(segments.c.turn_id).where(segments.c.turn_id.in_(list(turn_ids))).distinct()
        async with self._database.read() as connection:
            return frozenset(await connection.scalars(wanted))

    async def is_reply(self, turn_id: str, message_id: str) -> bool:
        """Whether a message belongs to a reply in the same chat, in any of its topics.

        Args:
            turn_id: of a turn in that chat.
            message_id: the platform's id of the message.
        """
        async with self._database.read() as connection:
            own = await connection.scalar(select(turns.c.channel).where(turns.c.id == turn_id))
            if own is None:
                return False
            key = ChannelKey.parse(own)
            chat = f"{key.platform}:{key.ids[0]}"
            # The chat itself, and all keys that continue with a colon: ";" is what follows one.
            channel = bytewise(connection, reply_messages.c.channel)
            here = (channel == chat) | ((channel > f"{chat}:") & (channel < f"{chat};"))
            found = await connection.scalar(
                select(reply_messages.c.turn_id).where(
                    here, reply_messages.c.message_id == message_id
                )
            )
            return found is not None

    async def delete(self, turn_id: str, index: int) -> None:
        """Forget a message of a turn's reply: it was deleted."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(segments).where(segments.c.turn_id == turn_id, segments.c.index == index)
            )
