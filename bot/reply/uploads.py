"""Pictures as files to send."""

from __future__ import annotations

from bot.reply.surface import Upload
from bot.turn import Picture, suffix_of

MOST_ALT = 1024
"""Characters of a description that platforms take."""


def upload(turn_id: str, number: int, picture: Picture) -> Upload:
    """The file for picture `number` (from 1) of a turn."""
    name = f"janus-{turn_id}-{number}.{suffix_of(picture.media_type)}"
    return Upload(
        name,
        picture.data,
        picture.media_type,
        picture.alt[:MOST_ALT],
        picture.key,
        picture.recipe,
    )
