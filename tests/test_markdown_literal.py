"""What people, models and Spaces said is shown as it is inside the bot's own sentences."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.i18n import code, literal
from bot.platforms.telegram.entities import render
from bot.platforms.web.pages import markdown_html

MARKUP = [
    *"\\`*_~|<>[]()#-+=!:@&.$",
    "\\frac12",
    "$$",
    "1.",
    "http://",
    "](",
    "**",
    "~~",
    "||",
    "@everyone",
    "<@1>",
]
TEXTS = st.lists(st.sampled_from([*MARKUP, "a", "b ", "&amp;"])).map("".join).map(str.strip)
INSIDE = "before {} after"


def tags(page: str) -> list[str]:
    return re.findall("<[^>]*>", page)


@given(TEXTS)
@example("[a](http://b)")
@example("1. a")
def test_nothing_formats_or_links_on_the_page(text: str) -> None:
    """Between other words or alone, it is one paragraph with this text."""
    for words in (text, INSIDE.format(text)):
        page = markdown_html(literal(words)).strip()
        assert tags(page) == (["<p>", "</p>"] if words else [])
        assert html.unescape(re.sub("<[^>]*>", "", page)) == " ".join(words.split(" "))


@given(TEXTS)
@example("**a**")
@example("[\\\\`]")
@example("[\\\\\\]")
@example("\\[\\frac12\\] $x$ $$\\frac12$$")
def test_nothing_formats_or_links_on_telegram(text: str) -> None:
    """No entity, and every character."""
    rendered = render(INSIDE.format(literal(text)))
    assert rendered.entities == ()
    assert rendered.text == INSIDE.format(text)


@given(TEXTS.filter(bool))
@example("`")
@example("a`b``c")
def test_code_cannot_be_left(text: str) -> None:
    """Whatever backticks are in it."""
    page = markdown_html(INSIDE.format(code(text))).strip()
    assert tags(page) == ["<p>", "<code>", "</code>", "</p>"]
    assert html.unescape(re.sub("<[^>]*>", "", page)) == INSIDE.format(" ".join(text.split()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a red fox, 4k (photo)", "a red fox, 4k (photo)"),
        ("<@123> @everyone", r"<\@123> \@everyone"),
        ("<t:1> <:a:2> </b:3>", r"<t\:1> <\:a:2> <\/b:3>"),
        ("https://a.example/?b", r"https\://a.example/?b"),
        ("# a\n- b\n12) c", "\\# a\n\\- b\n12\\) c"),
    ],
)
def test_ordinary_words_stay_readable(text: str, shown: str) -> None:
    """Only what Markdown or Discord could mean something by is marked."""
    assert literal(text) == shown
