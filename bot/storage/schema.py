"""The tables. `migrations/` brings a database to this state; `python -m bot.storage` compares them.

Nothing here is specific to SQLite. Every question that the bot asks is answered by one index in a
number of steps that does not grow with a channel's history:

- the newest turns of a channel, and since its last reset: `turns (channel, epoch, position)`
- a request delivered a second time: `turns (channel, message_id)`
- what is unfinished: `turns (state)`
- what a person asked lately: `turns (person_platform, person_id, accepted_at)`
- what everybody drew lately: `turns (drawing, accepted_at)`
- a channel's newest drawing, and what is too old there: `turns (channel, drawing, accepted_at)`
- who else needs a picture: `turn_pictures (key)`
- the exchanges that led to a turn: `turns (id)`, a step per turn from each to its parent
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Named constraints, because a migration can only change what has a name."""


class Words(TypeDecorator[str]):
    """Text as people and models write it; see `storable`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """Text that every database can hold, so that no message is lost over a character.

    Half a surrogate pair cannot be written as UTF-8, and PostgreSQL accepts no NUL: both become
    U+FFFD.
    """
    return (
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    )


def _json(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


channels = Table(
    "channels",
    metadata,
    Column("key", Text, primary_key=True),  # ChannelKey in its written form
    # Counts resets. A turn belongs to the epoch in which it was accepted.
    Column("epoch", Integer, nullable=False),
    _json("conversation", nullable=True),
    Column("created_at", Double, nullable=False),  # Unix seconds, as in every table
    Column("moved_to", Text),  # the key that this channel has now; its row stays as a signpost
)

turns = Table(
    "turns",
    metadata,
    # SQLite numbers rows by itself only in a column whose type is exactly INTEGER.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("channel", Text, ForeignKey("channels.key"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("message_id", Words, nullable=False),
    Column("person_platform", Text, nullable=False),
    Column("person_id", Words, nullable=False),
    Column("person_name", Words, nullable=False),
    Column("person_language", Words, nullable=False),
    _json("command"),
    _json("address"),
    _json("attachments"),
    Column("reply_to", Words),
    Column("seed", BigInteger, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    _json("pictures"),
    _json("answer", nullable=True),
    Column("accepted_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("parked_until", Double),  # null unless the turn is parked
    Column("server", Words, nullable=False, server_default=""),  # empty where there is none
    Column("drawing", Boolean, nullable=False, server_default=false()),  # the command draws
    # The turn that it goes on from. No foreign key: that one may be deleted before.
    Column("parent", String(32)),
    UniqueConstraint("channel", "message_id"),
    Index(None, "channel", "epoch", "position"),
    Index(None, "channel", "drawing", "accepted_at"),
    Index(None, "drawing", "accepted_at"),
    Index(None, "person_platform", "person_id", "accepted_at"),
    sqlite_autoincrement=True,
)

images = Table(
    "images",
    metadata,
    Column("key", String(64), primary_key=True),  # SHA-256 of the bytes
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("width", Integer),  # pixels; null where the header cannot be read
    Column("height", Integer),
    _json("recipe", nullable=True),
    Column("created_at", Double, nullable=False),
)

turn_pictures = Table(
    "turn_pictures",
    metadata,
    # What `turns.pictures` and `turns.answer` name, to find the turns of a picture.
    Column("turn_id", String(32), ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    # No foreign key: an answer outlives its pictures where these are too many or too old.
    Column("key", String(64), primary_key=True, index=True),
    Column("made", Boolean, nullable=False),  # the answer has it; otherwise it was shown
)

segments = Table(
    "segments",
    metadata,
    Column("turn_id", String(32), ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    # Null: a message that was about to be created when this was written, and may or may not exist.
    _json("receipt", nullable=True),
    Column("digest", Text, nullable=False),  # of what was acknowledged last, else of what was sent
    _json("anchor", nullable=True),  # by which a surface finds a message that has no receipt
)

reply_messages = Table(
    "reply_messages",
    metadata,
    Column("channel", Text, ForeignKey("channels.key"), primary_key=True),
    Column("message_id", Words, primary_key=True),
    Column(
        "turn_id",
        String(32),
        ForeignKey("turns.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
)

seen = Table(
    "seen",
    metadata,
    # No foreign key: messages are seen in channels where nothing was ever asked.
    Column("channel", Text, primary_key=True),
    Column("message_id", Words, nullable=False),  # the newest one
    Column("seen_at", Double, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    # A channel in its written form, or a server. No foreign key: a channel may have settings before
    # anything is asked there.
    Column("scope", Text, primary_key=True),
    _json("values"),
    Column("changed_at", Double, nullable=False),
)
