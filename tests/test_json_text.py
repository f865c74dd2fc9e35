"""Requests with pictures inside are ordinary JSON, and any JSON is understood."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.provider.json_text import DataUrl, dumps, loads

FILES = st.builds(DataUrl, st.sampled_from(["image/png", "image/webp"]), st.binary(max_size=100))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | FILES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
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
    """Whatever people write beside their pictures, halves of characters too."""
    assert json.loads(dumps(value)) == plain(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_python_writes_is_read(value: Any) -> None:
    """Infinity and halves of characters are no JSON, but Python writes them."""
    assert repr(loads(json.dumps(value).encode())) == repr(value)


@pytest.mark.parametrize("text", [b"", b"{", b"nul", b"\xff", b"[" * 100_000])
def test_no_json(text: bytes) -> None:
    """One kind of error for everything, however deep."""
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def test_what_json_cannot_hold() -> None:
    """Only files are stood in for."""
    with pytest.raises(TypeError, match="bytes"):
        dumps({"data": [b"raw"]})


def test_the_picture_stays_out_of_sight() -> None:
    """It is a person's, and logs are not."""
    assert "secret" not in repr(DataUrl("image/png", b"secret"))
