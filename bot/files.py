"""The one type for a file on its way through the bot, and the recipe of a picture of the bot's.

A photo that somebody sent, a picture that the Space made, an upload to a platform, an export: each
is a `File`, handed on with its bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

_SUFFIXES = MappingProxyType(
    {
        "image/jpeg": "jpg",
        "image/png": "png",
        "image/gif": "gif",
        "image/webp": "webp",
        "image/bmp": "bmp",
    }
)


def suffix_of(media_type: str) -> str:
    """How the names of such files end, without the dot, e.g. `"webp"`; `"bin"` if unknown."""
    return _SUFFIXES.get(media_type, "bin")


OWN_SPACE = "own Space"
"""What people are told of a Space without a name or an id."""


def public_space(space: str) -> str:
    """What people may be told of a Space; until 0.2 recipes named the address of one's own."""
    return OWN_SPACE if space.startswith(("http://", "https://")) else space


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that makes an image again on the same Space.

    Attributes:
        prompt: as sent to the Space.
        seed: 0 to 2**32 - 1.
        guidance: classifier-free guidance weight, 1.0 to 10.0.
        temperature: sampling temperature, above 0.0 up to 1.0.
        space: the Space's id, or the address of a server that is not a Hugging Face Space.
        index: which of the images of one call, from 0.
    """

    prompt: str
    seed: int
    guidance: float
    temperature: float
    space: str
    index: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; an address that older versions named is left out."""
        return cls(**{**data, "space": public_space(data.get("space", ""))})


@dataclass(frozen=True)
class File:
    """A file with its bytes.

    Attributes:
        data: the bytes.
        media_type: of pictures found from their first bytes, e.g. `"image/webp"`.
        name: for saving and sending: plain ASCII with the right suffix; empty where nobody sees it.
        alt: what a picture shows, for people who do not see it.
        recipe: how the bot made the picture; `None` for all other files.
    """

    data: bytes = field(repr=False)
    media_type: str
    name: str = ""
    alt: str = ""
    recipe: Recipe | None = None

    @cached_property
    def key(self) -> str:
        """SHA-256 of `data` in hexadecimal, under which pictures are stored and compared.

        Computed when it is first asked for, which takes about a millisecond per megabyte.
        """
        return hashlib.sha256(self.data).hexdigest()

    @classmethod
    def with_key(cls, key: str, data: bytes, media_type: str, recipe: Recipe | None = None) -> Self:
        """A file whose key is known already, because it was stored or checked under it."""
        file = cls(data, media_type, recipe=recipe)
        file.__dict__["key"] = key  # where `cached_property` looks first
        return file

    def described(self, name: str, alt: str) -> Self:
        """The same bytes, and the same key, under a name and with a description."""
        file = replace(self, name=name, alt=alt)
        if "key" in self.__dict__:
            file.__dict__["key"] = self.key
        return file
