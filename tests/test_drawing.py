"""The stand-in's pictures: five of a prompt, the same for the same seed, in the colours named."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from bot.space.drawing import COUNT, SIDE_PIXELS, Colour, Pen, Point, Scene, paint, read

SUBJECTS = ["fox", "cat", "bird", "lighthouse", "house", "boat", "tree", "flower"]
PLACES = ["meadow", "snow", "forest", "mountains", "sea"]
TIMES = ["day", "sunset", "dawn", "night", "autumn"]
RED, GREEN, BLUE = (200, 62, 45), (84, 150, 92), (66, 112, 186)


def picture(
    prompt: str, index: int = 0, *, seed: int = 7, guidance: float = 5, temperature: float = 1
) -> Image.Image:
    return paint(prompt, index, seed=seed, guidance=guidance, temperature=temperature)


def unlike(first: Image.Image, second: Image.Image) -> float:
    """The mean difference of two pictures' channels, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean) / 3


def share(image: Image.Image, colour: Colour) -> float:
    """How much of a picture has this colour, or one that nobody can tell from it."""
    small = image.reduce(4)
    counted = small.getcolors(small.width * small.height) or ()
    near = sum(count for count, found in counted if distance(found, colour) < 16)
    return near / (small.width * small.height)


def distance(pixel: object, colour: tuple[int, ...]) -> int:
    assert isinstance(pixel, tuple)
    return max(abs(int(a) - b) for a, b in zip(pixel, colour, strict=True))


@given(st.text())
def test_any_prompt_can_be_read(prompt: str) -> None:
    """A prompt of unknown words asks for shapes, and is never an error."""
    scene = read(prompt)
    assert scene.subject in {None, *SUBJECTS}
    assert scene.place in {None, *PLACES}
    assert scene.time in {None, *TIMES}
    assert scene.place or not scene.subject


def test_reads_subject_place_time_and_colours() -> None:
    """The first word of each kind decides, in any case; all colours are kept, in their order."""
    assert read("A Red FOX in the snow, at NIGHT; blue") == Scene(
        "fox", "snow", "night", [RED, BLUE]
    )
    assert read("a sailboat at dusk, then a cat") == Scene("boat", "sea", "sunset", [])
    assert read("stars").place == "mountains"
    assert read("foxtrot, catalogue") == Scene(None, None, None, [])


@pytest.mark.parametrize("prompt", ["a red fox", "a lake at night", "quantum loneliness", ""])
def test_five_pictures_that_look_different(prompt: str) -> None:
    """768 pixels square, and no two of the five look alike."""
    five = [picture(prompt, index) for index in range(COUNT)]
    assert {(image.size, image.mode) for image in five} == {((SIDE_PIXELS, SIDE_PIXELS), "RGB")}
    assert min(unlike(a, b) for a, b in itertools.combinations(five, 2)) > 8


def test_the_same_request_gives_the_same_bytes() -> None:
    """Everything in a request matters, and nothing else does."""
    prompt = "a cat by the sea"
    first = picture(prompt).tobytes()
    assert picture(prompt, seed=7, guidance=5.0, temperature=1.0).tobytes() == first
    others = [
        picture(prompt, 1),
        picture(prompt, seed=8),
        picture(prompt, guidance=9),
        picture(prompt, temperature=0.2),
        picture(prompt + "!"),
    ]
    assert len({first, *(other.tobytes() for other in others)}) == 6


@pytest.mark.parametrize("prompt", ["a red fox", "quantum loneliness"])
def test_another_seed_looks_different(prompt: str) -> None:
    """Five more pictures are worth asking for."""
    for index in (0, 3):
        assert unlike(picture(prompt, index, seed=7), picture(prompt, index, seed=12)) > 2


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_has_the_colour_that_is_named(subject: str) -> None:
    """A good part of the picture has just that colour, and has not if another one is named."""
    close_up = 4  # with this seed
    for index in (0, close_up):
        green, blue = picture(f"a green {subject}", index), picture(f"a blue {subject}", index)
        assert share(green, GREEN) - share(blue, GREEN) > 0.004
        assert share(blue, BLUE) - share(green, BLUE) > 0.004


@pytest.mark.parametrize(
    "prompt", ["a {} forest", "{} mountains at night", "a white cat in a {} meadow", "{} jazz"]
)
def test_everything_else_is_tinted_in_the_colour_that_is_named(prompt: str) -> None:
    """Without a subject, and for the second colour named, the whole picture takes it on."""
    reddish, bluish = (means(prompt.format(colour)) for colour in ("red", "blue"))
    assert reddish[0] > bluish[0] + 10
    assert bluish[2] > reddish[2] + 10


def means(prompt: str) -> list[float]:
    """Red, green and blue of two pictures of a prompt, 0 to 255."""
    both = Image.blend(picture(prompt, 0), picture(prompt, 3), 0.5)
    return ImageStat.Stat(both).mean


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("time", TIMES)
def test_every_place_fills_the_canvas(place: str, time: str) -> None:
    """Nothing of the black canvas is left, at the edges neither."""
    image = picture(f"{place}, {time}")
    far = SIDE_PIXELS - 1
    for edge in (
        (0, 0, SIDE_PIXELS, 1),
        (0, far, SIDE_PIXELS, SIDE_PIXELS),
        (0, 0, 1, SIDE_PIXELS),
        (far, 0, SIDE_PIXELS, SIDE_PIXELS),
    ):
        lows = [low for low, _ in ImageStat.Stat(image.crop(edge)).extrema]
        assert max(lows) > 20


def test_guidance_strengthens_the_colours() -> None:
    weak, strong = (picture("a red fox", guidance=guidance) for guidance in (1, 10))
    saturations = [ImageStat.Stat(image.convert("HSV")).mean[1] for image in (weak, strong)]
    assert saturations[1] > saturations[0] + 10


@pytest.mark.parametrize("prompt", ["a fox in the snow", "a boat at night", "forest", "shapes"])
def test_a_picture_takes_little_work(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo on a small machine draws five while somebody waits: the polygons are few."""
    drawn = []
    shape = Pen.shape

    def counted(pen: Pen, points: Iterable[Point], colour: Colour, alpha: float = 1.0) -> None:
        drawn.append(colour)
        shape(pen, points, colour, alpha)

    monkeypatch.setattr(Pen, "shape", counted)
    for index in range(COUNT):
        picture(prompt, index)
    assert len(drawn) < 700 * COUNT


def test_edges_are_soft() -> None:
    """Where the arch of a window meets the paper, some pixels are a mixture of both."""
    in_a_window = 2  # with this seed
    image = picture("a cat at night", in_a_window)
    paper, steps = image.getpixel((0, 0)), []
    assert isinstance(paper, tuple)
    for y in range(80, 200):
        row = [distance(image.getpixel((x, y)), paper) for x in range(SIDE_PIXELS // 2)]
        steps.append(next(step for step in row if step))
    assert min(steps) < 0.6 * max(steps)
