"""The engine without a model: what it says about pictures, and how it reports while it draws."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from bot.space.drawing import COUNT, SIDE_PIXELS
from bot.space.engine import Caller, Pictures, Progress
from bot.space.stand_in import StandIn, answer, colour_name, last_question, measure, pieces


def two_colours(width: int = 200, height: int = 100) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), "red")
    ImageDraw.Draw(image).rectangle((width // 2, 0, width, height), fill="blue")
    return image


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same numbers in every run


def describe(image: Image.Image | None, question: str) -> str:
    async def told() -> str:
        answering = StandIn(step_delay=0).describe(
            image, question, seed=1, top_p=1.0, temperature=0.1, caller=Caller()
        )
        return "".join([piece async for piece in answering if isinstance(piece, str)])

    return asyncio.run(told())


def test_measures_size_and_shares_of_colours() -> None:
    """Half red and half blue is found to be just that."""
    facts = measure(two_colours())
    assert (facts.width, facts.height) == (200, 100)
    assert (facts.orientation, facts.ratio) == ("landscape", "2:1")
    assert dict(facts.colours) == pytest.approx({"red": 0.5, "blue": 0.5}, abs=0.01)
    assert facts.even is None


@pytest.mark.parametrize(
    ("rgb", "word"),
    [
        ((255, 255, 255), "white"),
        ((0, 0, 0), "black"),
        ((127, 127, 127), "grey"),
        ((220, 20, 20), "red"),
        ((250, 130, 20), "orange"),
        ((120, 70, 30), "brown"),
        ((250, 220, 30), "yellow"),
        ((40, 160, 60), "green"),
        ((20, 60, 30), "dark green"),
        ((40, 90, 220), "blue"),
        ((160, 200, 250), "light blue"),
        ((250, 170, 190), "pink"),
        ((230, 210, 170), "beige"),
    ],
)
def test_names_colours_in_plain_words(rgb: tuple[int, int, int], word: str) -> None:
    """Colours get the words that people use."""
    assert measure(Image.new("RGB", (8, 8), rgb)).colours == ((word, 1.0),)


@given(st.floats(0, 360), st.floats(0, 1), st.floats(0, 1))
def test_every_colour_has_a_name(hue: float, saturation: float, value: float) -> None:
    """No corner of the colour space is without a word."""
    assert re.fullmatch(r"[a-z]+( [a-z]+)?", colour_name(hue, saturation, value))


def test_brightness_contrast_detail_and_symmetry_tell_pictures_apart() -> None:
    """Each measurement moves with what it is named after."""
    dark, bright = Image.new("RGB", (64, 64), "#111"), Image.new("RGB", (64, 64), "#eee")
    assert measure(dark).brightness < 0.1
    assert measure(bright).brightness > 0.9
    noise = Image.frombytes("RGB", (96, 96), seeded(1).randbytes(96 * 96 * 3))
    blurred = noise.filter(ImageFilter.GaussianBlur(4))
    assert measure(blurred).detail < measure(noise).detail
    assert measure(blurred).contrast < measure(noise).contrast
    mirrored = two_colours().rotate(90, expand=True)
    assert measure(two_colours()).symmetry < 0.8
    assert measure(mirrored).symmetry > 0.99


@given(st.integers(1, 60), st.integers(1, 60), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_any_picture_can_be_described(width: int, height: int, rng: random.Random) -> None:
    """Tiny and odd sizes are measured, and shares add up."""
    image = Image.frombytes("RGB", (width, height), rng.randbytes(width * height * 3))
    facts = measure(image)
    assert sum(share for _, share in facts.colours) == pytest.approx(1)
    assert f"{width} x {height} pixels" in answer(facts, "")


def test_answers_what_was_asked_first() -> None:
    """A question about colours is answered with colours, then the rest."""
    image = two_colours()
    colours, size = "Its main colours are", "200 x 100 pixels"
    told = describe(image, "What colours are in it?")
    assert told.startswith(colours)
    assert size in told
    assert describe(image, "How big is it?").startswith("The picture is 200 x 100")


def test_says_that_it_is_a_stand_in() -> None:
    """No answer leaves people in the belief that a model looked at their picture."""
    for question in ("Describe it", "What animal is this?", ""):
        assert "stand-in" in describe(two_colours(), question)
    assert "cannot recognise" in describe(two_colours(), "What animal is this?")


@pytest.mark.parametrize("image", [None, Image.new("RGB", (384, 384), (127, 127, 127))])
def test_without_a_picture_it_says_what_it_can_do(image: Image.Image | None) -> None:
    """The neutral picture in place of none is not described."""
    told = describe(image, "Tell me a joke")
    assert "cannot chat" in told
    assert "384" not in told


def test_an_even_picture_is_called_one() -> None:
    """A picture of one colour is described as such, even after JPEG's rounding."""
    told = describe(Image.new("RGB", (640, 480), (200, 30, 30)), "describe")
    assert "640 x 480 pixels, landscape (4:3)" in told
    assert "one even surface of red (red 200, green 30, blue 30 of 255)" in told


@pytest.mark.parametrize(
    "prompt",
    [
        "How big is it?",
        "User: Which colours?\nAssistant: Red.\nUser: How big is it?\nAssistant:",
        "This was said before:\nUser: Which colours?\nYou: Red.\n\nAnswer this:\nHow big is it?",
    ],
)
def test_answers_the_newest_question_of_a_conversation(prompt: str) -> None:
    """Earlier questions in the prompt do not decide."""
    assert last_question(prompt) == "How big is it?"


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    """Streaming loses nothing but leading white space."""
    assert "".join(pieces(text)) == text.lstrip()


@pytest.mark.parametrize("prompt", ["a fox in the rain", "mountains", "nothing it knows"])
async def test_reports_progress_and_draws_five_different_pictures(prompt: str) -> None:
    """Progress rises to the end, and no picture repeats another."""
    drawing = StandIn(step_delay=0).draw(prompt, seed=3, guidance=5, temperature=1, caller=Caller())
    *steps, last = [step async for step in drawing]
    assert isinstance(last, Pictures)
    sizes = {(picture.size, picture.mode) for picture in last.images}
    assert sizes == {((SIDE_PIXELS,) * 2, "RGB")}
    assert len({picture.tobytes() for picture in last.images}) == COUNT == 5
    assert all(isinstance(step, Progress) and step.total == 20 for step in steps)
    done = [step.done for step in steps if isinstance(step, Progress)]
    assert done == sorted(set(done))
    assert (done[0], done[-1]) == (0, 20)


async def test_drawing_ends_when_it_is_closed() -> None:
    """Nobody waits any more: the next step is not begun."""
    drawing = StandIn(step_delay=0).draw("fox", seed=1, guidance=5, temperature=1, caller=Caller())
    await anext(drawing)
    await drawing.aclose()
    assert [step async for step in drawing] == []
