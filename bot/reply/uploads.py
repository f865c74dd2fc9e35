"""Pictures as files to send."""

from __future__ import annotations

from bot.reply.surface import Upload
from bot.turn import Picture

MOST_ALT = 1024
"""Characters of a description that platforms take."""

_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


def upload(turn_id: str, number: int, picture: Picture) -> Upload:
    """The file for picture `number` (from 1) of a turn."""
    suffix = _SUFFIXES.get(picture.media_type, "bin")
    name = f"janus-{turn_id}-{number}.{suffix}"
    return Upload(
        name,
        picture.data,
        picture.media_type,
        picture.alt[:MOST_ALT],
        picture.key,
        picture.recipe,
    )
