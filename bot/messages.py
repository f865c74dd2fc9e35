"""Values that arrive from a platform, and the addresses that replies go to.

All of them are frozen and round-trip through JSON, because a turn is stored before it is acted on
and resumed from its row alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

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
