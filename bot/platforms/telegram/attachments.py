"""The picture in a message: a photo, a file, a sticker, or a still of a film. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from telegram import Animation, Document, Message, PhotoSize, Sticker, Video, VideoNote

from bot.models import Attachment

_Film: TypeAlias = Animation | Video | VideoNote | Sticker | Document


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bot looks at in a message.

    Attributes:
        attachment: to be fetched.
        still: it is only the preview frame of something that moves.
    """

    attachment: Attachment
    still: bool = False


def picture(message: Message) -> Picture | None:
    """The picture in a message; `None` if there is none to look at."""
    match message.effective_attachment:
        case Document(mime_type=str(mime)) as file if mime.startswith("image/"):
            name = file.file_name or f"document_{file.file_unique_id}"
            return Picture(_attachment(file, name, mime))
        case Document(mime_type=str(mime)) as film if mime.startswith("video/"):
            return _still(film)
        case Sticker(is_animated=False, is_video=False) as file:
            name = f"sticker_{file.file_unique_id}.webp"
            return Picture(_attachment(file, name, "image/webp"))
        case Animation() | Video() | VideoNote() | Sticker() as film:
            return _still(film)
        case [*sizes] if message.photo:
            largest = max(sizes, key=lambda size: size.width * size.height)
            name = f"photo_{largest.file_unique_id}.jpg"
            return Picture(_attachment(largest, name, "image/jpeg"))
        case _:
            return None


def pictures(messages: Sequence[Message]) -> list[Picture]:
    """The pictures of several messages, in their order."""
    return [found for message in messages if (found := picture(message)) is not None]


def _still(film: _Film) -> Picture | None:
    """The preview frame that Telegram made; small files have none."""
    frame = film.thumbnail
    if frame is None:
        return None
    name = f"still_{frame.file_unique_id}.jpg"
    return Picture(_attachment(frame, name, "image/jpeg"), still=True)


def _attachment(file: PhotoSize | Document | Sticker, name: str, media_type: str) -> Attachment:
    return Attachment(name, {"file_id": file.file_id}, file.file_size, media_type)
