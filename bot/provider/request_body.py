"""The body of a request with pictures inside."""

from __future__ import annotations

import functools
import secrets
from binascii import b2a_base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from bot.provider import json_text

PIECE = 48 * 1024
"""Bytes of a file that are encoded at a time: a multiple of three, so that the texts join. Each has
64 kB, which is what aiohttp and asyncio buffer before they wait for the server."""


@dataclass(frozen=True, slots=True)
class DataUrl:
    """A file that travels inside a request, as `data:MEDIA_TYPE;base64,…`.

    Attributes:
        media_type: e.g. `"image/png"`.
        data: the file.
    """

    media_type: str
    data: bytes = field(repr=False)


class JsonBody(Payload):
    """JSON in UTF-8 with each `DataUrl` in it as a string, which is made while it is sent.

    So a request on its way holds the file, which its sender has anyway, and not four thirds of it
    once more. It can be sent again.

    Args:
        value: anything that JSON can hold, and `DataUrl`s.

    Raises:
        TypeError: there is something else in `value`.
    """

    _autoclose = True  # there is nothing to close

    def __init__(self, value: Any) -> None:
        super().__init__(value, content_type="application/json")
        files: list[bytes] = []

        def stand_in(found: object) -> str:
            if not isinstance(found, DataUrl):
                raise TypeError(f"{type(found).__name__} cannot be sent as JSON")
            files.append(found.data)
            return f"data:{found.media_type};base64,{_mark()}"

        self._texts = json_text.dumps(value, stand_in).split(_mark().encode())
        # Where it took two tries to write the text, the files of the first one come before them.
        self._files = files[len(files) + 1 - len(self._texts) :]
        self._size = sum(map(len, self._texts)) + sum(map(_encoded_size, self._files))

    def pieces(self) -> Iterator[bytes]:
        """All of it, in order."""
        piece, *texts = self._texts
        for file, text in zip(self._files, texts, strict=True):
            rest = memoryview(file)
            while len(rest) > PIECE:
                yield piece + b2a_base64(rest[:PIECE], newline=False)
                piece, rest = b"", rest[PIECE:]
            piece += b2a_base64(rest, newline=False) + text
        yield piece

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """All of it as text; aiohttp asks for it where it cannot send pieces."""
        return b"".join(self.pieces()).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it, no faster than the server takes it."""
        for piece in self.pieces():
            await writer.write(piece)


def _encoded_size(file: bytes) -> int:
    return -(-len(file) // 3) * 4


@functools.cache
def _mark() -> str:
    """Stands for a file; no text of people can hold it, because it never leaves the process."""
    return secrets.token_hex(16)
