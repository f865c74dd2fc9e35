"""Any JSON is written and understood."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.provider.json_text import dumps, loads

TEXT = st.text(st.characters(exclude_categories=()))
"""Halves of characters, too: people's phones send them."""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    )
)
def test_whatever_is_written_is_read(value: Any) -> None:
    """By everybody."""
    assert json.loads(dumps(value)) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
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
    """A mistake of the program, in whichever way it is written."""
    for value in ([b"raw"], [b"raw", 2**100], [2**100, b"raw"]):
        with pytest.raises(TypeError, match="bytes"):
            dumps(value)
