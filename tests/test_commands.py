"""The words that people use, as they really type them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.i18n import Catalogue
from bot.models import MAX_SEED, Ask, Imagine
from bot.turns.commands import WORDS as WORDS_OF_ALL
from bot.turns.commands import (
    CommandError,
    Help,
    Reset,
    Retry,
    ShowSettings,
    Stop,
    imagine,
    parse,
)

WORDS = Catalogue().words()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/imagine a red fox", Imagine("a red fox")),
        ("/imagine a red fox --seed 42 --guidance 6", Imagine("a red fox", 42, 6.0)),
        ("/imagine --seed=42 a red fox", Imagine("a red fox", 42)),
        ("/imagine@janus_bot a red fox", Imagine("a red fox")),
        ("/IMAGINE a red fox \u2014seed 42", Imagine("a red fox", 42)),
        ("/imagine a fox --guidance 6,5", Imagine("a fox", None, 6.5)),
        ("/imagine a\nred\nfox", Imagine("a\nred\nfox")),
        ("  /ask what is this?", Ask("what is this?")),
        ("/ask", Ask("")),
        ("/retry", Retry()),
        ("/stop now", Stop()),
        ("/reset", Reset()),
        ("/help", Help()),
        ("/start deep_link", Help()),
    ],
)
def test_what_people_type(text: str, command: object) -> None:
    """Options stand anywhere; phones make a dash of two hyphens."""
    assert parse(text) == command


@pytest.mark.parametrize(
    "text", ["hello", "", "/", "/unknown", "/imaginefox", "see /imagine", "//"]
)
def test_anything_else_is_not_a_command(text: str) -> None:
    """Ordinary words stay ordinary."""
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/imagine", "Tell me what to draw"),
        ("/imagine --seed 42", "Tell me what to draw"),
        ("/imagine fox --seed -1", "seed is a whole number"),
        ("/imagine fox --seed 4294967296", "seed is a whole number"),
        ("/imagine fox --seed ٤٢", "seed is a whole number"),
        ("/imagine fox --guidance 11", "guidance is a number from 1 to 10"),
        ("/imagine fox --guidance nan", "guidance is a number from 1 to 10"),
        ("/imagine fox --guidance much", "guidance is a number from 1 to 10"),
    ],
)
def test_a_bad_value_says_how_to_write_it(text: str, says: str) -> None:
    """Nobody has to guess."""
    with pytest.raises(CommandError) as caught:
        parse(text)
    assert says in caught.value.said_in(Catalogue().words())


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any prompt is a drawing or refused with a sentence."""
    try:
        command = parse(f"/imagine {text}")
    except CommandError as error:
        said = error.said_in(WORDS)
    else:
        said = "drawn." if isinstance(command, Imagine) and command.prompt else "lost"
    assert said.endswith((".", "snow"))


@given(
    st.text(alphabet=st.characters(categories=["L", "Nd"]), min_size=1),
    st.integers(0, MAX_SEED),
    st.integers(10, 100),
)
def test_options_round_trip(prompt: str, seed: int, tenths: int) -> None:
    """What is written is what is meant."""
    guidance = tenths / 10
    text = f"/imagine {prompt} --seed {seed} --guidance {guidance}"
    assert parse(text) == imagine(prompt, seed, guidance)


@pytest.mark.parametrize("word", WORDS_OF_ALL)
def test_every_word_is_understood_and_described(word: str) -> None:
    """What a menu lists works when it is typed, in every language."""
    with contextlib.suppress(CommandError):  # /imagine without a prompt
        assert parse(f"/{word}") is not None
    for language in Catalogue().languages:
        assert Catalogue().words(language)(f"command-{word}")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/settings", ShowSettings()),
        ("/settings language", ShowSettings("language")),
        ("/settings persona You are a pirate.", ShowSettings("persona", "You are a pirate.")),
        ("/settings guidance=7", ShowSettings("guidance", "7")),
        ("/settings Guidance: 7", ShowSettings("guidance", "7")),
    ],
)
def test_settings_are_typed_as_name_and_value(text: str, command: ShowSettings) -> None:
    """The value is everything behind the name."""
    assert parse(text) == command
