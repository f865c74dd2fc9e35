"""Requests with pictures inside are ordinary JSON, sent in pieces."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.provider.request_body import PIECE, DataUrl, JsonBody
from tests.servers.faulty_space import faulty_space


def pattern(size: int) -> bytes:
    """So many bytes of which no two neighbours are the same."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


TEXT = st.text(st.characters(exclude_categories=()))
SIZES = (0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 2)
FILES = st.builds(
    DataUrl,
    st.sampled_from(["image/png", "image/webp"]),
    st.binary(max_size=100) | st.sampled_from(SIZES).map(pattern),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | FILES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    """The same with every file as the text that a browser would send."""
    match value:
        case DataUrl(media_type=media_type, data=data):
            return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


@given(VALUES)
def test_any_value(value: Any) -> None:
    """Whatever people write beside their pictures; its size is known before it is made."""
    body = JsonBody(value)
    pieces = list(body.pieces())
    assert json.loads(b"".join(pieces)) == json.loads(body.decode()) == plain(value)
    assert body.size == sum(map(len, pieces))


@pytest.mark.parametrize("size", SIZES)
def test_pieces_are_small(size: int) -> None:
    """None is larger than what is encoded at a time, but for the words around it."""
    body = JsonBody({"data": [DataUrl("image/png", pattern(size)), "What is this?"]})
    assert max(map(len, body.pieces())) <= PIECE * 4 / 3 + 100


async def test_it_goes_over_the_wire_twice() -> None:
    """With its length and type; a request may have to be sent again."""
    value = {"data": [DataUrl("image/png", pattern(3 * PIECE)), "ü"]}
    got: list[tuple[str | None, str, Any]] = []

    async def look(request: web.Request) -> web.StreamResponse | None:
        length = request.headers.get("Content-Length")
        got.append((length, request.content_type, await request.json()))
        return web.Response()

    body = JsonBody(value)
    async with faulty_space(refuse=look) as space, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(f"{space.url}/x", data=body) as response:
                assert response.status == 200
    assert got == [(str(body.size), "application/json", plain(value))] * 2


def test_what_json_cannot_hold() -> None:
    """Only files are stood in for."""
    with pytest.raises(TypeError, match="bytes"):
        JsonBody({"data": [b"raw"]})


def test_the_picture_stays_out_of_sight() -> None:
    """It is a person's, and logs are not."""
    file = DataUrl("image/png", b"secret")
    assert "secret" not in repr(file)
    assert "secret" not in repr(JsonBody([file]))
