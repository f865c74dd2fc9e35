"""Long texts become messages: nothing lost, each valid alone, cuts that stay."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.reply.splitting import split

LIMIT = 256


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def swelling(text: str) -> int:
    """A renderer that makes headings and lists longer, and marks shorter."""
    return utf16(re.sub(r"\*\*|~~", "", text)) + 3 * text.count("\n#") + text.count("\n- ")


markdown = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.sampled_from(
            [
                "\n\n",
                "\n",
                " ",
                ". ",
                "```python\n",
                "```\n",
                "\n```",
                "~~~\n",
                "````\n",
                "**bold words**",
                "`code span`",
                "[a link](https://example.org/page)",
                "- item\n",
                "# head\n",
                "👩‍🚀",
                "🦊" * 40,
                "x" * 300,
                "é",
                "🇫🇷",
                "\u200d",
                "https://example.org/abc",
            ]
        ),
    ),
    max_size=60,
).map("".join)


@given(markdown, st.sampled_from([utf16, swelling, len]))
def test_the_slices_join_to_the_text(text: str, measure: object) -> None:
    """Nothing is lost and nothing is said twice."""
    assert callable(measure)
    assert "".join(piece.source for piece in split(text, LIMIT, measure)) == text


@given(markdown, st.sampled_from([utf16, swelling, len]))
def test_every_piece_is_within_the_limit(text: str, measure: object) -> None:
    """Lengths count after rendering, whatever rendering does."""
    assert callable(measure)
    assert all(measure(piece.shown) <= LIMIT for piece in split(text, LIMIT, measure))


@given(markdown)
def test_only_a_blank_text_shows_nothing(text: str) -> None:
    """Platforms refuse messages without a visible character."""
    pieces = split(text, LIMIT, utf16)
    if text.strip():
        assert all(piece.source.strip() for piece in pieces)
    else:
        assert len(pieces) <= 1


@given(markdown, markdown)
def test_appending_never_moves_a_cut(text: str, more: str) -> None:
    """What is in the channel already is not touched again."""
    before = [piece.source for piece in split(text, LIMIT, utf16)]
    after = [piece.source for piece in split(text + more, LIMIT, utf16)]
    # Blanks that had no message of their own join the piece before them.
    for early, late in zip(before[:-1], after, strict=False):
        assert late.rstrip() == early.rstrip()


@given(markdown)
def test_every_piece_has_balanced_fences(text: str) -> None:
    """A cut code block is closed here and opened again there."""
    for piece in split(text, LIMIT, utf16):
        opened = ""
        for match in re.finditer(r"^ {0,3}(`{3,10}|~{3,10})([^\n]*)$", piece.shown, re.MULTILINE):
            mark, info = match[1], match[2]
            if not opened and not (mark[0] == "`" and "`" in info):
                opened = mark
            elif opened and mark[0] == opened[0] and len(mark) >= len(opened) and not info.strip():
                opened = ""
        assert not opened


def test_a_code_block_keeps_its_language() -> None:
    """The second message is still highlighted as Python."""
    text = "Look:\n```python\n" + "print('hello')\n" * 40 + "```\nDone."
    first, *_, last = split(text, LIMIT, utf16)
    assert first.shown.endswith("\n```")
    assert last.shown.startswith("```python\n")
    assert last.shown.endswith("```\nDone.")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("word " * 35 + "\n\n" + "next " * 35, "word"),
        ("word " * 35 + "\n" + "next " * 35, "word"),
        ("word " * 35 + "End. " + "next " * 35, "End."),
    ],
)
def test_the_best_boundary_is_taken(text: str, end: str) -> None:
    """Paragraph, line, sentence, word: in that order."""
    assert split(text, LIMIT, utf16)[0].shown.endswith(end)


def test_a_link_is_not_cut() -> None:
    """A link that straddles the limit goes to the next message whole."""
    link = "[the page](https://example.org/" + "a" * 40 + ")"
    text = "word " * 36 + link + " and more words" * 10
    first, second, *_ = split(text, LIMIT, utf16)
    assert first.shown.endswith("word")
    assert second.shown.startswith(link)


def test_an_emoji_family_stays_together() -> None:
    """No cut between joined code points."""
    text = "👩‍👩‍👧‍👦" * 60
    for piece in split(text, LIMIT, utf16):
        assert not piece.source.startswith("\u200d")
        assert not piece.source.endswith("\u200d")


def test_a_message_of_9000_characters_needs_three_messages() -> None:
    """As many as needed at Telegram's size, and no more."""
    text = ("A sentence of some length that goes on. " * 225)[:9000]
    assert len(split(text, 4096, utf16)) == 3


def test_a_tiny_limit_is_a_mistake() -> None:
    """There must be room for a fence beside the text."""
    with pytest.raises(ValueError, match="no room"):
        split("text", 10, len)
