"""Chats in which people ask one thing after the other, and what came of each question.

A room is a Telegram chat or a Discord channel on a local server. Every request is found again by
the message that replies refer to, so that answers can be counted one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tests.servers.discord import DiscordServer
from tests.servers.discord_components import text_of
from tests.servers.discord_world import Channel, User
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_world import Chat

_TALK_ENDS = ("a red fox in the snow.", "draw simple sketches.")
"""How the stand-in Space ends what it says."""
_BUTTONS = "More of this:"
_DRAWING_ENDS = re.compile(r"seed \d+ · guidance [\d.]+$")
_FAILURE_ENDS = re.compile(r"\(#\w+\)$")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a person.

    Attributes:
        number: unique in a run; also a part of the text.
        room: where.
        message_id: the platform's id of the message.
        drawing: asks for pictures.
        at: monotonic seconds.
    """

    number: int
    room: Room
    message_id: str
    drawing: bool
    at: float


@dataclass(frozen=True, slots=True)
class Part:
    """One message of the bot, or one album.

    Attributes:
        request: id of the message that it refers to; empty if it refers to none.
        kind: `"text"`, `"pictures"`, or `"buttons"` where these need a message of their own.
        text: text or caption.
    """

    request: str
    kind: str
    text: str


class Room(Protocol):
    """Where people ask."""

    @property
    def platform(self) -> str:
        """As in `bot.models.ChannelKey`."""
        ...

    @property
    def key(self) -> str:
        """The channel as the bot writes it."""
        ...

    async def ask(self, number: int, *, drawing: bool) -> str | None:
        """Ask something; the message's id, or `None` if nobody is connected who would see it."""
        ...

    def parts(self) -> Iterator[Part]:
        """All that the bot wrote there."""
        ...

    async def until(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; whether it came true in time."""
        ...


@dataclass(frozen=True, slots=True)
class TelegramRoom:
    """A private chat, or a group in which the bot is mentioned."""

    server: TelegramServer
    chat: Chat
    person: dict[str, Any]

    @property
    def platform(self) -> str:
        return "telegram"

    @property
    def key(self) -> str:
        return f"telegram:{self.chat.id}"

    async def ask(self, number: int, *, drawing: bool) -> str | None:
        """Telegram keeps what it cannot deliver, so this always works."""
        name = "" if self.chat.is_private else "@janus_bot"
        text = f"{name} hello, this is request {number}".strip()
        if drawing:
            text = f"/imagine{name} a fox number {number} --seed {number}"
        return str(self.server.say(self.chat, self.person, text)["message_id"])

    async def until(self, predicate: Callable[[], bool], seconds: float) -> bool:
        with suppress(TimeoutError):
            await self.server.wait_for(predicate, seconds)
        return predicate()

    def parts(self) -> Iterator[Part]:
        albums: set[str] = set()
        for message in self.server.replies(self.chat):
            album = message.get("media_group_id")
            if album in albums:
                continue
            if album is not None:
                albums.add(album)
            answered = message.get("reply_to_message") or {}
            pictures = album is not None or "photo" in message or "document" in message
            text = message.get("text") or message.get("caption") or ""
            kind = "buttons" if text == _BUTTONS else "text"
            yield Part(str(answered.get("message_id", "")), "pictures" if pictures else kind, text)


@dataclass(frozen=True, slots=True)
class DiscordRoom:
    """A channel in which the bot is mentioned, or a direct message."""

    server: DiscordServer
    channel: Channel
    person: User

    @property
    def platform(self) -> str:
        return "discord"

    @property
    def key(self) -> str:
        return f"discord:{self.channel.id}"

    async def ask(self, number: int, *, drawing: bool) -> str | None:
        """Only while a client listens: Discord does not repeat events to a new session."""
        if not self.server.gateway.live:
            return None
        text = f"hello, this is request {number}"
        if self.channel.guild is not None:
            text = f"<@{self.server.bot.id}> {text}"
        elif drawing:
            text = f"/imagine a fox number {number} --seed {number}"
        return await self.server.says(self.person, self.channel, text)

    async def until(self, predicate: Callable[[], bool], seconds: float) -> bool:
        with suppress(TimeoutError):
            await self.server.wait_for(predicate, seconds)
        return predicate()

    def parts(self) -> Iterator[Part]:
        for message in self.server.messages(self.channel):
            if message["author"]["id"] == self.server.bot.id:
                answered = message.get("message_reference") or {}
                yield Part(
                    str(answered.get("message_id", "")),
                    "pictures" if message["attachments"] else "text",
                    text_of(message),
                )


def can_draw(room: Room) -> bool:
    """Whether a drawing can be asked for in words: on Discord only in direct messages."""
    return not isinstance(room, DiscordRoom) or room.channel.guild is None


def is_whole(text: str) -> bool:
    """Whether a text is the end of a turn, and neither a status nor the beginning of an answer."""
    return (
        text.endswith(_TALK_ENDS)
        or _DRAWING_ENDS.search(text) is not None
        or _FAILURE_ENDS.search(text) is not None
    )


@dataclass(slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        answered: its final state is in the room.
        failed: the final state is an apology.
        extra: final messages beyond the first of their kind.
        orphans: messages that never became final.
    """

    answered: bool = False
    failed: bool = False
    extra: int = 0
    orphans: int = 0


def outcome(asked: Asked) -> Outcome:
    """Look at everything in the room that refers to a request."""
    found = Outcome()
    kinds: Counter[str] = Counter()
    for part in asked.room.parts():
        if part.request != asked.message_id:
            continue
        if part.kind == "text" and not is_whole(part.text):
            found.orphans += 1
            continue
        kinds[part.kind] += 1
        found.failed |= _FAILURE_ENDS.search(part.text) is not None
    found.answered = bool(kinds["pictures"] if asked.drawing and not found.failed else kinds)
    found.extra = sum(count - 1 for count in kinds.values())
    return found
