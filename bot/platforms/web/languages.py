"""Which language a visitor reads: what the browser asks for, as far as the bot speaks it."""

from __future__ import annotations

import re

from aiohttp import web

from bot.i18n import Catalogue, Words

_MOST_WANTED = 20
_RANGE = re.compile(
    r"\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?"
)


class Languages:
    """Picks the language of each request.

    Args:
        catalogue: what the bot says, in all its languages.
        default: tag of the language for visitors whose own the bot does not speak.
    """

    def __init__(self, catalogue: Catalogue, default: str) -> None:
        self._catalogue = catalogue
        self._default = default

    def tag(self, request: web.Request) -> str:
        """The visitor's favourite language that the bot speaks, as a BCP 47 tag.

        Returns:
            If the bot speaks none, the favourite one; if the browser names none, `""`.
        """
        tags = wanted(request.headers.get("Accept-Language", ""))
        return next((tag for tag in tags if self._speaks(tag)), tags[0] if tags else "")

    def words(self, request: web.Request) -> Words:
        """The sentences for a visitor."""
        return self._catalogue.words(self.tag(request), self._default)

    def _speaks(self, tag: str) -> bool:
        return _base(self._catalogue.words(tag).language) == _base(tag)


def wanted(header: str) -> list[str]:
    """The tags of an `Accept-Language` header, favourites first; what is malformed is left out."""
    found = []
    for part in header.split(",")[:_MOST_WANTED]:
        match = _RANGE.fullmatch(part)
        quality = float(match[2] or 1) if match else 0.0
        if match and quality > 0:
            found.append((quality, match[1]))
    return [tag for _, tag in sorted(found, key=lambda each: -each[0])]


def _base(tag: str) -> str:
    """The language of a tag, without script and region."""
    return tag.partition("-")[0].lower()
