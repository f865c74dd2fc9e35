"""What a Bot API server knows: accounts, chats, messages, files. No network in here."""

from __future__ import annotations

import io
import itertools
import re
import time
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, UnidentifiedImageError

Json = dict[str, Any]

_WORDS = re.compile(r"(?P<bot_command>(?<!\S)/\w+(?:@\w+)?)|(?P<mention>(?<!\w)@\w{2,32})")

_SMALL = 90
"""Longest side of the smallest size of a photo."""


class Refusal(Exception):
    """An answer with `ok: false`."""

    def __init__(self, status: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


def bad_request(text: str, parameters: Json | None = None) -> Refusal:
    return Refusal(400, f"Bad Request: {text}", parameters)


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def entities_of(text: str) -> list[Json]:
    """The commands and mentions that Telegram finds in a text by itself."""
    return [
        {
            "type": match.lastgroup,
            "offset": units(text[: match.start()]),
            "length": units(match[0]),
        }
        for match in _WORDS.finditer(text)
    ]


@dataclass
class Stored:
    """A file on the server."""

    file_id: str
    path: str
    data: bytes = field(repr=False)
    size: int


@dataclass
class Chat:
    """A chat with its messages by id, in order."""

    info: Json
    messages: dict[int, Json] = field(default_factory=dict)
    drafts: dict[int, str] = field(default_factory=dict)
    topics: dict[int, int] = field(default_factory=dict)
    """Topic id to the id of the service message that began it; they are the same."""
    moved_to: int | None = None
    administrators: set[int] = field(default_factory=set)
    ephemeral: list[tuple[int, str]] = field(default_factory=list)
    """Messages that one person saw: who, and the text."""
    refusal: Refusal | None = None
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def id(self) -> int:
        chat_id: int = self.info["id"]
        return chat_id

    @property
    def is_private(self) -> bool:
        return bool(self.info["type"] == "private")


class World:
    """Everything; `me` is the bot's account."""

    def __init__(self, bot_id: int, username: str) -> None:
        self.me: Json = {
            "id": bot_id,
            "is_bot": True,
            "first_name": "Janus",
            "username": username,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
        self.ephemeral: str | None = None
        """Messages for one person of a group are `"taken"`, `"refused"`, or unknown here."""
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, Stored] = {}
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.presses: set[str] = set()
        self.inline_queries: dict[str, Json] = {}
        """Query id to what it was answered with; empty while it is not."""
        self.inline_messages: dict[str, Json] = {}
        self._numbers = itertools.count(1)
        # Private chats and basic groups share the numbers of the bot's account; supergroups have
        # their own.
        self._shared_ids = itertools.count(1)

    def person(self, name: str, language: str = "en", **extra: Any) -> Json:
        """A new account."""
        number = 1000 + next(self._numbers)
        return {
            "id": number,
            "is_bot": False,
            "first_name": name,
            "language_code": language,
            **extra,
        }

    def private(self, person: Json) -> Chat:
        """The private chat of a person with the bot."""
        info = {"id": person["id"], "type": "private", "first_name": person["first_name"]}
        return self.chats.setdefault(person["id"], Chat(info, ids=self._shared_ids))

    def group(self, title: str = "Friends", *, forum: bool = False) -> Chat:
        """A new supergroup with the bot in it."""
        number = -1_000_000_000_000 - next(self._numbers)
        info: Json = {"id": number, "type": "supergroup", "title": title}
        if forum:
            info["is_forum"] = True
        return self.chats.setdefault(number, Chat(info))

    def topic(self, chat: Chat, name: str) -> int:
        """A new topic in a forum; its id is that of the service message that began it."""
        message = self.store(chat, self.me, forum_topic_created={"name": name, "icon_color": 1})
        chat.topics[message["message_id"]] = message["message_id"]
        return int(message["message_id"])

    def migrate(self, chat: Chat) -> Chat:
        """A group becomes a supergroup: its id changes, and the old one only says so."""
        new = self.group(chat.info["title"])
        chat.moved_to = new.id
        return new

    def find(self, chat_id: Any) -> Chat:
        """The chat that a request names."""
        try:
            chat = self.chats[int(chat_id)]
        except (KeyError, TypeError, ValueError):
            raise bad_request("chat not found") from None
        if chat.moved_to is not None:
            raise bad_request(
                "group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": chat.moved_to},
            )
        if chat.refusal is not None:
            raise chat.refusal
        return chat

    def store(self, chat: Chat, author: Json, *, topic: int | None = None, **content: Any) -> Json:
        """A new message in a chat."""
        message: Json = {
            "message_id": next(chat.ids),
            "date": int(time.time()),
            "chat": chat.info,
            "from": author,
            **{key: value for key, value in content.items() if value is not None},
        }
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
            # As on the real server: in a topic, a message that answers none answers its start.
            message.setdefault("reply_to_message", chat.messages[topic])
        chat.messages[message["message_id"]] = message
        return message

    def keep(self, data: bytes, folder: str, suffix: str, size: int | None = None) -> Stored:
        """Store a file; `size` may lie about how large it is."""
        number = next(self._numbers)
        file_id = f"file-{number}-{folder}"
        stored = Stored(
            file_id,
            f"{folder}/file_{number}.{suffix}",
            data,
            len(data) if size is None else size,
        )
        self.files[file_id] = stored
        return stored

    def photo_sizes(self, data: bytes) -> list[Json]:
        """A photo as messages carry it: sizes in ascending order.

        Raises:
            Refusal: it cannot be a photo.
        """
        try:
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                width, height = picture.size
                small = picture.convert("RGB")
        except (UnidentifiedImageError, OSError):
            raise bad_request("IMAGE_PROCESS_FAILED") from None
        if width + height > 10_000 or max(width, height) > 20 * min(width, height):
            raise bad_request("PHOTO_INVALID_DIMENSIONS")
        whole = self._size(self.keep(data, "photos", "jpg"), width, height)
        if max(width, height) <= _SMALL:
            return [whole]
        small.thumbnail((_SMALL, _SMALL))
        thumb = io.BytesIO()
        small.save(thumb, "JPEG")
        return [
            self._size(self.keep(thumb.getvalue(), "thumbnails", "jpg"), *small.size),
            whole,
        ]

    def document(self, data: bytes, name: str, media_type: str, size: int | None = None) -> Json:
        """A file as messages carry it."""
        stored = self.keep(data, "documents", name.rsplit(".", 1)[-1], size)
        return _reference(stored) | {"file_name": name, "mime_type": media_type}

    def sticker(self, data: bytes, *, animated: bool = False) -> Json:
        """A sticker as messages carry it."""
        return _reference(self.keep(data, "stickers", "tgs" if animated else "webp")) | {
            "type": "regular",
            "width": 512,
            "height": 512,
            "is_animated": animated,
            "is_video": False,
        }

    @staticmethod
    def _size(stored: Stored, width: int, height: int) -> Json:
        return _reference(stored) | {"width": width, "height": height}


def _reference(stored: Stored) -> Json:
    return {
        "file_id": stored.file_id,
        "file_unique_id": stored.file_id.replace("-", ""),
        "file_size": stored.size,
    }
