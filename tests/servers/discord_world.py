"""What a Discord server keeps: people, servers, channels, messages, interactions, as JSON."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
File = tuple[str, bytes, str]
"""Name, bytes, media type."""

EPOCH_MS = 1420070400000
SEND, ATTACH, HISTORY, IN_THREADS = 1 << 11, 1 << 15, 1 << 16, 1 << 38
EVERYTHING = (1 << 10) | SEND | ATTACH | HISTORY | IN_THREADS | (1 << 14)
EPHEMERAL, LOADING = 1 << 6, 1 << 7
TEXT_CHANNEL, DM_CHANNEL, THREAD = 0, 1, 11

_counter = itertools.count(1)


def snowflake() -> str:
    """A new id that carries the present time, as Discord's do."""
    milliseconds = int(time.time() * 1000) - EPOCH_MS
    return str((milliseconds << 22) | (next(_counter) & 0x3FFFFF))


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


class Refusal(Exception):
    """Discord's error answer: status, JSON code and text."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"message": message, "code": code}
        self.headers: dict[str, str] = {}
        if errors is not None:
            self.body["errors"] = errors


@dataclass
class User:
    """A person, or the bot.

    Attributes:
        roles: ids of roles in every server; what they allow is the server's business.
        rights: permission bits that interactions say the person has beside the usual ones.
    """

    name: str
    bot: bool = False
    id: str = field(default_factory=snowflake)
    roles: list[str] = field(default_factory=list)
    rights: int = 0

    def payload(self) -> Json:
        return {
            "id": self.id,
            "username": self.name.lower(),
            "global_name": self.name,
            "discriminator": "0",
            "avatar": None,
            "bot": self.bot,
        }

    def member(self) -> Json:
        return {"roles": self.roles, "joined_at": now(), "deaf": False, "mute": False, "flags": 0}


@dataclass
class Channel:
    """A text channel, thread or direct message.

    Attributes:
        denied: permission bits that the bot lacks here.
        messages: by id, in the order sent.
        nsfw: it is age-restricted.
    """

    name: str
    type: int = TEXT_CHANNEL
    guild: Guild | None = None
    parent: Channel | None = None
    recipient: User | None = None
    denied: int = 0
    id: str = field(default_factory=snowflake)
    messages: dict[str, Json] = field(default_factory=dict)
    nsfw: bool = False

    def allowed(self) -> int:
        if self.guild is None:
            return EVERYTHING
        inherited = self.parent.denied if self.parent is not None else 0
        return self.guild.permissions & ~(self.denied | inherited)

    def payload(self, bot: User) -> Json:
        newest = next(reversed(self.messages), None)
        base: Json = {"id": self.id, "type": self.type, "name": self.name}
        base["last_message_id"] = newest
        if self.recipient is not None:
            return {**base, "recipients": [self.recipient.payload()]}
        assert self.guild is not None
        base |= {"guild_id": self.guild.id, "position": 0, "nsfw": self.nsfw}
        base |= {"parent_id": None if self.parent is None else self.parent.id}
        if self.type == THREAD:
            metadata = {
                "archived": False,
                "auto_archive_duration": 60,
                "archive_timestamp": now(),
                "locked": False,
            }
            counts = {"owner_id": bot.id, "message_count": 0, "member_count": 1}
            return {**base, **counts, "rate_limit_per_user": 0, "thread_metadata": metadata}
        overwrite = {"id": bot.id, "type": 1, "allow": "0", "deny": str(self.denied)}
        return {**base, "topic": None, "permission_overwrites": [overwrite]}


@dataclass
class Guild:
    name: str
    permissions: int = EVERYTHING
    id: str = field(default_factory=snowflake)
    channels: list[Channel] = field(default_factory=list)
    more_roles: list[Json] = field(default_factory=list)

    def payload(self, bot: User) -> Json:
        everyone = {
            "id": self.id,
            "name": "@everyone",
            "permissions": str(self.permissions),
            "position": 0,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }
        threads = [item for item in self.channels if item.type == THREAD]
        return {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "owner_id": "1",
            "roles": [everyone, *({**everyone, **role} for role in self.more_roles)],
            "emojis": [],
            "features": [],
            "channels": [item.payload(bot) for item in self.channels if item not in threads],
            "threads": [item.payload(bot) for item in threads],
            "members": [{"user": bot.payload(), **bot.member()}],
            "member_count": 2,
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "unavailable": False,
            "large": False,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "premium_tier": 0,
            "preferred_locale": "en-US",
            "afk_timeout": 300,
            "afk_channel_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
        }


@dataclass
class Interaction:
    """A command that a person gave, a button that they pressed, or a form that they sent in.

    Attributes:
        kind: 2 for a command, 3 for a button, 4 for suggestions, 5 for a form.
        message: id of the message whose button was pressed.
        answer: callback type and data, once answered.
        original: id of the message that the answer made, or of the one it changes.
        ended: its token does not work any more.
        followups: messages sent through its token after the answer.
    """

    channel: Channel
    user: User
    created: float
    kind: int = 2
    message: str | None = None
    id: str = field(default_factory=snowflake)
    token: str = field(default_factory=lambda: f"token-{snowflake()}")
    answer: Json | None = None
    original: str | None = None
    ended: bool = False
    followups: list[str] = field(default_factory=list)

    def metadata(self) -> Json:
        """What messages of an application command say of it."""
        data: Json = {
            "id": self.id,
            "type": self.kind,
            "user": self.user.payload(),
            "authorizing_integration_owners": {},
        }
        if self.original is not None:
            data["original_response_message_id"] = self.original
        return data


def new_message(channel: Channel, author: User, content: str) -> Json:
    """A message as REST shows it; optional keys are absent and not null."""
    return {
        "id": snowflake(),
        "channel_id": channel.id,
        "author": author.payload(),
        "content": content,
        "timestamp": now(),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
        "flags": 0,
    }


def mentioned(text: str, people: Sequence[User]) -> list[Json]:
    """Users who are mentioned in a text."""
    ids = set(re.findall(r"<@!?(\d+)>", text))
    return [person.payload() for person in people if person.id in ids]
