"""Folding a conversation into one question."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.provider.prompt import (
    DESCRIBE,
    MAX_TOKENS,
    NO_PICTURE,
    fold,
    harmless,
    parse_messages,
    shorten,
    tokens,
)

SPECIAL = (
    "<image_placeholder>",
    "<begin_of_image>",
    "<end_of_image>",
    "<｜begin▁of▁sentence｜>",  # noqa: RUF001 - the model's own characters
    "<｜end▁of▁sentence｜>",  # noqa: RUF001 - likewise
    "<｜▁pad▁｜>",  # noqa: RUF001 - likewise
    "<|User|>",
    "<|Assistant|>",
)
WORDS = st.lists(st.sampled_from([*SPECIAL, *SPECIAL[0], "<", "|", "fox ", "Füchse "])).map("".join)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": WORDS | st.text()}
    ),
    max_size=8,
)


def folded(*messages: Any, **options: Any) -> str:
    return fold(parse_messages(messages), **{"picture": True, **options})[0]


def test_one_message_stays_as_it_is() -> None:
    """Nothing is put around a question that stands alone."""
    assert folded("What is this?") == "What is this?"
    assert folded({"role": "user", "content": " What? "}) == "What?"


def test_no_picture_is_said() -> None:
    """The model is told that the picture which it gets is none."""
    assert folded("Hello", picture=False) == f"Hello\n\n{NO_PICTURE}"


def test_a_picture_without_words_is_described() -> None:
    """Nothing said means: describe it."""
    assert folded() == DESCRIBE


def test_history_and_system_text_are_in_the_question() -> None:
    """All roles are there, in order, and the last message comes last."""
    text = folded(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "I am Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": "Who am I?"},
    )
    places = [text.index(part) for part in ("Be brief.", "User: I am Ann.", "You: Hello Ann.")]
    assert places == sorted(places)
    assert text.endswith("Who am I?")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
        {"type": "image", "image": "data:image/png;base64,AA=="},
    ],
)
def test_parts_of_a_message(part: dict[str, Any]) -> None:
    """Texts are joined and pictures are kept apart, in each of the usual forms."""
    content = [{"type": "text", "text": "a"}, part, {"type": "text", "text": "b"}, {"type": "?"}]
    (message,) = parse_messages([{"role": "user", "content": content}])
    assert message.text == "a\nb"
    assert message.pictures == ("data:image/png;base64,AA==",)


def test_newest_are_kept() -> None:
    """What does not fit is the oldest; the question is whole."""
    turns = [{"role": "user", "content": f"message {number} " + "x" * 50} for number in range(40)]
    text = folded(*turns, max_tokens=300)
    assert "message 39" in text
    assert "message 38" in text
    assert "message 0 " not in text
    kept = [number for number in range(40) if f"message {number} " in text]
    assert kept == list(range(kept[0], 40))


@given(st.integers(1, 40), st.integers(60, 400))
def test_what_is_left_out_is_counted(count: int, budget: int) -> None:
    """Each earlier message is either in the question or counted; instructions are not messages."""
    said = [{"role": "system", "content": "Be brief."}]
    said += [{"role": "user", "content": f"message {number}."} for number in range(count)]
    question, left_out = fold(parse_messages(said), picture=True, max_tokens=budget)
    inside = [number for number in range(count - 1) if f"message {number}.\n" in question]
    assert len(inside) + left_out == count - 1


def test_a_question_that_is_too_long_loses_its_middle() -> None:
    """Its beginning and its end survive, since the request may be in either."""
    text = folded("BEGIN " + "x" * 100_000 + " END")
    assert text.startswith("BEGIN")
    assert text.endswith("END")
    assert tokens(text) <= MAX_TOKENS


@given(MESSAGES, st.integers(60, 400), st.booleans())
def test_the_budget_holds(messages: list[dict[str, str]], budget: int, picture: bool) -> None:
    """Whatever is said, the question fits."""
    assert tokens(folded(*messages, max_tokens=budget, picture=picture)) <= budget


@given(MESSAGES)
def test_no_special_token_gets_through(messages: list[dict[str, str]]) -> None:
    """No role can speak the model's own language, however it is nested."""
    text = folded(*messages)
    assert not [token for token in SPECIAL if token.lower() in text.lower()]


@given(st.text())
def test_harmless_changes_nothing_else(text: str) -> None:
    """Only spaces are added, and a second time nothing."""
    once = harmless(text)
    assert once.replace(" ", "") == text.replace(" ", "")
    assert harmless(once) == once


@given(st.text(max_size=200), st.integers(0, 60))
def test_shortened_text_fits(text: str, budget: int) -> None:
    """Cut between characters, never above the budget, and left alone if it fits."""
    result = shorten(text, budget)
    assert tokens(result) <= max(budget, 0)
    assert result == text or tokens(text) > budget


@given(st.text(min_size=1, max_size=60))
def test_ordinary_code_is_left_alone(text: str) -> None:
    """Operators and tags of other languages are not special tokens."""
    assert harmless("a <|> b < c |> d <b>x</b>") == "a <|> b < c |> d <b>x</b>"
    assert harmless(f"<{text.replace('|', '')}").count("< ") <= 1 + text.count("< ") + text.count(
        " "
    )
