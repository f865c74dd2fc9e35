"""Markdown to text and entities, counted in UTF-16."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.platforms.telegram import client
from bot.platforms.telegram.client import ChatClient, TelegramTarget, make_bot
from bot.platforms.telegram.entities import Rendered, render, utf16_length
from bot.platforms.telegram.server_state import ServerState

_MARKS = ["**", "_", "`", "```", "```py\n", "~~", "||", "[a](http://b.cd)", "> ", "- ", "1. ", "# "]
_ODD = ["\n", "\n\n", "$", "|", "<b>", "@ada_l", "\N{GRINNING FACE}", "\u0301", "\ud83d", "\\", "é"]
_markdown = st.lists(st.sampled_from([*_MARKS, *_ODD, "word", " "]) | st.text(max_size=5)).map(
    "".join
)

unhurried = settings(deadline=None)
"""A slow machine is no reason to fail."""


def covered(rendered: Rendered) -> list[tuple[str, str]]:
    """Each entity's type and the text that Telegram would apply it to."""
    text = rendered.text.encode("utf-16-le")
    return [
        (str(e.type), text[e.offset * 2 : (e.offset + e.length) * 2].decode("utf-16-le"))
        for e in rendered.entities
    ]


@unhurried
@given(_markdown, st.booleans())
@example("\ud83d\ude00 **x** \ud83d", True)
def test_entities_lie_within_the_text_on_whole_characters(markdown: str, quiet: bool) -> None:
    """Whatever the model writes, every entity covers whole characters inside the text."""
    rendered = render(markdown, quiet=quiet)
    length = len(rendered.text.encode("utf-16-le")) // 2
    assert utf16_length(rendered.text) == length
    for entity in rendered.entities:
        assert entity.length > 0
        assert 0 <= entity.offset <= entity.offset + entity.length <= length
    covered(rendered)


@unhurried
@given(_markdown)
def test_text_is_blank_only_if_the_markdown_was(markdown: str) -> None:
    """Telegram refuses empty messages, so rendering never makes one."""
    assert bool(render(markdown).text.strip()) == bool(markdown.strip())


@unhurried
@given(st.lists(st.sampled_from(["a", "\N{GRINNING FACE}", "\N{DOG FACE}", "é"]), min_size=1))
def test_bold_covers_what_was_bold(characters: list[str]) -> None:
    """Offsets count UTF-16: characters outside the basic plane before and inside do not shift."""
    word = "".join(characters)
    rendered = render(f"\N{GRINNING FACE} {word} **{word}** {word}")
    assert covered(rendered) == [("bold", word)]


@unhurried
@given(_markdown)
@example("$_$@ada_l")
def test_nothing_addresses_anybody(markdown: str) -> None:
    """Quiet text holds no `@name` outside code, and no entity but formatting."""
    rendered = render(markdown, quiet=True)
    allowed = {"bold", "italic", "code", "pre", "strikethrough", "spoiler", "text_link"}
    allowed |= {"underline", "blockquote", "expandable_blockquote"}
    assert {kind for kind, _ in covered(rendered)} <= allowed
    code = [entity for entity in rendered.entities if entity.type in {"code", "pre"}]
    for match in re.finditer(r"(?<!\w)@ada_l", rendered.text, re.ASCII):
        at = utf16_length(rendered.text[: match.start()])
        assert any(entity.offset <= at < entity.offset + entity.length for entity in code)


def test_mentions_lose_their_effect_outside_code_only() -> None:
    """A word joiner follows the `@`; code, addresses and the entities around stay right."""
    rendered = render("@ada_l **@ada_l x** `@ada_l` a@b.cd", quiet=True)
    assert rendered.text == "@\u2060ada_l @\u2060ada_l x @ada_l a@b.cd"
    assert covered(rendered) == [("bold", "@\u2060ada_l x"), ("code", "@ada_l")]
    assert render("@ada_l").text == "@ada_l"


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("**bold", "**bold", []),
        ("```py\nx = 1", "x = 1", [("pre", "x = 1")]),
        ("a `b", "a `b", []),
        ("vector<int> and <b>", "vector<int> and <b>", []),
        ("<!-- nothing -->", "<!-- nothing -->", []),
        ("# Title\n\n- one\n- two", "Title\n\n• one\n• two", [("underline", "Title")]),
        ("[a](https://b.cd/e)", "a", [("text_link", "a")]),
        ("[a](tg://user?id=5)", "a", []),
        ("[a](b.html)", "a", []),
        ("trailing\n\n\n", "trailing", []),
    ],
)
def test_rendering(markdown: str, text: str, entities: list[tuple[str, str]]) -> None:
    """Unfinished Markdown shows its characters, HTML is text, links lead to the web only."""
    rendered = render(markdown)
    assert rendered.text == text
    assert [e for e in covered(rendered) if e != ("bold", "Title")] == entities


def test_code_keeps_its_language() -> None:
    """Telegram highlights a block by it."""
    (entity,) = render("```python\nprint(1)\n```").entities
    assert (entity.type, entity.language) == ("pre", "python")


@unhurried
@given(st.text(), st.text())
def test_length_adds_up(first: str, second: str) -> None:
    """UTF-16 length is additive, as splitting needs."""
    assert utf16_length(first) + utf16_length(second) == utf16_length(first + second)


@unhurried
@given(st.lists(st.sampled_from(["**a** ", "b `c` ", "\N{GRINNING FACE} "]), min_size=2))
def test_entities_come_in_order(pieces: list[str]) -> None:
    """Sibling entities are sorted and do not overlap."""
    for one, other in pairwise(render("".join(pieces)).entities):
        assert one.offset + one.length <= other.offset


def test_each_text_of_a_reply_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured, shown and left alone while the next message grows; old states are forgotten."""
    seen: list[str] = []

    def counted(text: str, *, quiet: bool) -> Rendered:
        seen.append(text)
        return render(text, quiet=quiet)

    monkeypatch.setattr(client, "render", counted)
    group = TelegramTarget(-5, private=False)
    chat = ChatClient(make_bot("1:a", "http://127.0.0.1"), group, ServerState())
    for newest in ("a", "ab", "abc", "abcd"):
        for text in ("**first** message", "second", newest, newest):
            assert chat.render(text) == render(text, quiet=True)
    assert sorted(seen) == sorted(["**first** message", "second", "a", "ab", "abc", "abcd"])
