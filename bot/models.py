"""Values that every part of the bot speaks in: where, who, what was asked, and what became of it.

All of them are frozen and round-trip through JSON, because a turn is stored before it is acted on
and resumed from its row alone.
"""

from __future__ import annotations

import enum
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

from bot.actions import Rows
from bot.files import File

JsonObject: TypeAlias = dict[str, Any]
"""What `json.loads` gives for an object."""


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """Where a conversation takes place; its history is seen there and nowhere else.

    Attributes:
        platform: `"discord"`, `"telegram"` or `"web"`.
        ids: the platform's ids from the outside in, e.g. chat and forum topic. Never empty, and
            no id contains a colon.
    """

    platform: str
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.platform or not self.ids or not all(self.ids):
            raise ValueError(f"not a channel: {self.platform!r} {self.ids!r}")
        if ":" in self.platform or any(":" in part for part in self.ids):
            raise ValueError("a colon separates the parts of a channel key and cannot be in one")

    def __str__(self) -> str:
        """The written form: `telegram:<chat>[:<topic>]`, `discord:<channel>`, `web:<room>`."""
        return ":".join((self.platform, *self.ids))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form.

        Raises:
            ValueError: there is no platform or no id in it.
        """
        platform, *ids = text.split(":")
        return cls(platform, tuple(ids))


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote.

    Attributes:
        platform: as in `ChannelKey`.
        id: the platform's id of the account.
        name: the name that others in the channel see; never used to identify anybody.
        language: the client's language as a BCP 47 tag, or `""` where the platform keeps it.
    """

    platform: str
    id: str
    name: str
    language: str = ""

    def __str__(self) -> str:
        """The written form that the configuration uses: `discord:123`, `telegram:456`."""
        return f"{self.platform}:{self.id}"


def same_person(one: Person, other: Person) -> bool:
    """Whether two are the same account. Names change; ids do not."""
    return (one.platform, one.id) == (other.platform, other.id)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, not fetched yet.

    Attributes:
        name: the file name as sent, for people; its suffix proves nothing.
        source: how its platform's adapter fetches it, e.g. `{"file_id": "…"}`; JSON.
        size: bytes, where the platform says so.
        media_type: what the platform claims, e.g. `"image/png"`; proves nothing either.
    """

    name: str
    source: JsonObject = field(repr=False)
    size: int | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where one reply goes, as data: enough to show, edit and finish it in another process.

    Attributes:
        platform: which adapter understands `data`.
        chat: the unit that the platform's rate limits count by, e.g. the Telegram chat.
        data: the adapter's own JSON. Interaction tokens live here, hence not in `repr`.
    """

    platform: str
    chat: str
    data: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """One message, command or button press of a person, as every platform delivers it.

    Attributes:
        channel: whose history it belongs to.
        person: who wrote it.
        message_id: the platform's id of this message or interaction. With `channel` it is the
            key under which a turn is accepted once, however often it is delivered.
        address: where the reply goes.
        attachments: pictures and other files, in the order sent.
        reply_to: id of the message that it answers, if it answers one.
        server: the platform's id of the server that the channel is in; empty where there is none.
        roles: ids of the person's roles there.
        moderator: the person may manage what others write in this channel.
    """

    channel: ChannelKey
    person: Person
    message_id: str
    address: Address
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    server: str = ""
    roles: tuple[str, ...] = ()
    moderator: bool = False


MAX_SEED = 2**32 - 1
MIN_GUIDANCE, MAX_GUIDANCE = 1.0, 10.0
"""Ranges that the Space's functions take (facts of the Space; values outside fail there)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, about a picture if there is one. An empty one means "describe it"."""

    question: str = ""


@dataclass(frozen=True, slots=True)
class Imagine:
    """Draw something.

    Attributes:
        prompt: what to draw; never empty.
        seed: 0 to `MAX_SEED`; `None` for a random one.
        guidance: `MIN_GUIDANCE` to `MAX_GUIDANCE`; `None` for the default.
    """

    prompt: str
    seed: int | None = None
    guidance: float | None = None


_ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""Digits and letters that nobody mistakes for one another when reading an id aloud."""


class TurnState(enum.StrEnum):
    """Where a turn stands; `TRANSITIONS` says what may follow what."""

    ACCEPTED = "accepted"
    """Committed; nothing done yet."""
    QUEUED = "queued"
    """Waits in the queue of its channel, or for a slot at the Spaces."""
    RUNNING = "running"
    """The provider works on it."""
    DELIVERING = "delivering"
    """The answer is stored and owed to the channel."""
    PARKED = "parked"
    """Waits for a Space's quota, until `Turn.parked_until`."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({TurnState.DONE, TurnState.FAILED, TurnState.CANCELLED})
"""States that nothing follows."""

TRANSITIONS: dict[TurnState, frozenset[TurnState]] = {
    TurnState.ACCEPTED: frozenset({TurnState.QUEUED, TurnState.DELIVERING, TurnState.CANCELLED}),
    TurnState.QUEUED: frozenset({TurnState.RUNNING, TurnState.DELIVERING, TurnState.CANCELLED}),
    # Running to queued: the process stops or died, and the turn will be taken up again.
    TurnState.RUNNING: frozenset(
        {TurnState.QUEUED, TurnState.PARKED, TurnState.DELIVERING, TurnState.CANCELLED}
    ),
    TurnState.PARKED: frozenset({TurnState.QUEUED, TurnState.DELIVERING, TurnState.CANCELLED}),
    TurnState.DELIVERING: FINAL,
    TurnState.DONE: frozenset(),
    TurnState.FAILED: frozenset(),
    TurnState.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn came to, as it will stand in the channel for good.

    Attributes:
        outcome: the state that the turn ends in once the reply is acknowledged.
        text: Markdown that the model wrote, or the bot in its place; may be empty.
        pictures: SHA-256 of the images made, in order, each in the picture store.
        note: for a turn that failed or was stopped, a sentence that says so; shown below the text.
    """

    outcome: TurnState
    text: str
    pictures: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and its reply, complete: it can be resumed from this alone.

    Attributes:
        id: short id that people, logs and replies quote.
        channel: where it was asked.
        message_id: the platform's id of the request; unique in the channel.
        person: who asked.
        command: what was asked.
        address: where the reply goes.
        seed: fixed when accepted, so that a resumed turn makes the same answer.
        accepted_at: Unix seconds.
        attachments: files that came with it, not fetched yet.
        reply_to: the message that it answers, if any.
        state: see `TurnState`.
        attempts: how often the provider was asked.
        pictures: SHA-256 of the pictures that it is about, once they are fetched.
        answer: what is owed or was delivered; `None` until there is one.
        parked_until: Unix seconds at which a parked turn goes on; `None` for all others.
        server: the platform's id of the server that the channel is in; empty where there is none.
        parent: id of the turn that it goes on from; `None` at the beginning of a conversation.
    """

    id: str
    channel: ChannelKey
    message_id: str
    person: Person
    command: Ask | Imagine
    address: Address
    seed: int
    accepted_at: float
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    state: TurnState = TurnState.ACCEPTED
    attempts: int = 0
    pictures: tuple[str, ...] = ()
    answer: Answer | None = field(default=None)
    parked_until: float | None = None
    server: str = ""
    parent: str | None = None

    @classmethod
    def accept(
        cls, message: IncomingMessage, command: Ask | Imagine, parent: str | None = None
    ) -> Self:
        """A new turn for a message, with a fresh id and its seed fixed."""
        wanted = command.seed if isinstance(command, Imagine) else None
        return cls(
            id=new_id(),
            channel=message.channel,
            message_id=message.message_id,
            person=message.person,
            command=command,
            address=message.address,
            seed=secrets.randbelow(MAX_SEED + 1) if wanted is None else wanted,
            accepted_at=time.time(),
            attachments=message.attachments,
            reply_to=message.reply_to,
            server=message.server,
            parent=parent,
        )

    def to(self, state: TurnState, **changes: Any) -> Self:
        """This turn in another state, with `changes` to other fields.

        Raises:
            ValueError: the transition is not allowed.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"turn {self.id} cannot go from {self.state} to {state}")
        return replace(self, state=state, **changes)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What comes before a waiting turn.

    Attributes:
        turns: how many.
        mine: how many of them are of the same person.
        here: they are in the same channel; otherwise they wait for the same Spaces.
        space_queue: the length of the Space's own queue, as one of them heard it lately; `None` if
            nobody knows.
        drawings_left: for how many the Spaces' GPU time suffices, about; `None` if that has no
            limit, or nobody knows.
    """

    turns: int
    mine: int
    here: bool = True
    space_queue: int | None = None
    drawings_left: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One message of a reply, as far as is known.

    Attributes:
        receipt: how its surface finds it; `None` while nobody knows whether it was created.
        digest: of what the platform acknowledged last, or was asked to create.
        anchor: where to look for it while there is no receipt.
    """

    receipt: JsonObject | None
    digest: str
    anchor: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One finished turn as history: what was asked and what was answered.

    Attributes:
        turn_id: the turn's id.
        person: display name of who asked.
        question: the text asked, or the prompt.
        answer: the text answered; empty for images.
        pictures: SHA-256 of pictures shown with the question, then of those made.
    """

    turn_id: str
    person: str
    question: str
    answer: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is stored.

    Attributes:
        questions: turns that asked.
        drawings: turns that drew.
        pictures: pictures shown or made.
        size: bytes of those pictures.
        people: who asked, each once.
        since: Unix time of the oldest turn; `None` if there is none.
    """

    questions: int = 0
    drawings: int = 0
    pictures: int = 0
    size: int = 0
    people: int = 0
    since: float | None = None

    @property
    def turns(self) -> int:
        """All of them."""
        return self.questions + self.drawings


def new_id() -> str:
    """A random id of ten characters, about 49 bits."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(10))


@dataclass(frozen=True, slots=True)
class Notice:
    """An answer of the bot itself, at once, without a turn.

    Attributes:
        text: Markdown.
        private: concerns only who asked; shown to nobody else where the platform can do that.
        files: sent with it, or after it where that is not possible.
        buttons: under it, in rows.
        replaces: after a press: it takes the place of the message whose button was pressed.
    """

    text: str
    private: bool = True
    files: tuple[File, ...] = ()
    buttons: Rows = ()
    replaces: bool = False
