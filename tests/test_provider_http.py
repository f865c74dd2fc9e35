"""Bodies of requests and answers: any JSON, and pictures inside of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.files import File
from bot.provider.http import JsonBody
from bot.provider.json import parse_json
from tests.servers.faulty_space import faulty_space

PIECE = 48 * 1024
"""Bytes of a file that are encoded at a time."""
SIZES = (0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 2)
TEXT = st.text(st.characters(exclude_categories=()))
"""Halves of characters, too: people's phones send them."""


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    )
)
def test_whatever_python_writes_is_read(value: Any) -> None:
    """Infinity and halves of characters are no JSON, but Python writes them."""
    assert repr(parse_json(json.dumps(value).encode())) == repr(value)


@pytest.mark.parametrize("text", [b"", b"{", b"nul", b"\xff", b"[" * 100_000])
def test_no_json(text: bytes) -> None:
    """No error for anything, however deep."""
    assert parse_json(text) is None


class Written:
    """Takes what a body writes, as aiohttp's writer does."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, piece: bytes) -> None:
        self.pieces.append(piece)


def pattern(size: int) -> bytes:
    """So many bytes of which no two neighbours are the same."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def as_text(file: File) -> str:
    """What a browser would send."""
    return f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"


FILES = st.builds(
    File,
    st.binary(max_size=100) | st.sampled_from(SIZES).map(pattern),
    st.sampled_from(["image/png", "image/webp"]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, FILES, VALUES)
async def test_any_value(before: Any, file: File, after: Any) -> None:
    """Whatever people write beside their picture; its size is known before it is made."""
    body, writer = JsonBody([before, {"url": file}, after]), Written()
    await body.write(writer)  # type: ignore[arg-type]  # as much of one as is used
    whole = b"".join(writer.pieces)
    plain = [before, {"url": as_text(file)}, after]
    assert json.loads(whole) == json.loads(body.decode()) == plain
    assert body.size == len(whole)
    assert max(map(len, writer.pieces)) <= PIECE * 4 / 3 + len(json.dumps([before, after])) + 100


@given(VALUES)
async def test_a_value_without_a_picture(value: Any) -> None:
    body, writer = JsonBody(value), Written()
    await body.write(writer)  # type: ignore[arg-type]  # as much of one as is used
    assert json.loads(b"".join(writer.pieces)) == value
    assert body.size == sum(map(len, writer.pieces))


async def test_it_is_sent_twice() -> None:
    """With its length and type; a request may have to be sent again."""
    file = File(pattern(3 * PIECE), "image/png")
    got: list[tuple[str | None, str, Any]] = []

    async def look(request: web.Request) -> web.StreamResponse | None:
        length = request.headers.get("Content-Length")
        got.append((length, request.content_type, await request.json()))
        return web.Response()

    body = JsonBody({"data": [file, "ü"]})
    async with faulty_space(refuse=look) as space, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(f"{space.url}/x", data=body) as response:
                assert response.status == 200
    plain = {"data": [as_text(file), "ü"]}
    assert got == [(str(body.size), "application/json", plain)] * 2


@pytest.mark.parametrize("data", [[b"raw"], [b"raw", 2**100], [2**100, b"raw"]])
def test_a_body_that_json_cannot_hold(data: list[Any]) -> None:
    """Only files are stood in for, also beside numbers that orjson does not take."""
    with pytest.raises(TypeError, match="bytes"):
        JsonBody({"data": data})


def test_the_picture_stays_out_of_sight() -> None:
    """It is a person's, and logs are not."""
    file = File(b"secret", "image/png")
    assert "secret" not in repr(file)
    assert "secret" not in repr(JsonBody([file]))
