"""What a prompt's words ask for, as far as this program can draw it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.space.drawing.pen import Colour

COLOURS: dict[str, Colour] = {
    "red": (200, 62, 45),
    "orange": (232, 126, 42),
    "yellow": (240, 192, 64),
    "golden": (226, 172, 60),
    "green": (84, 150, 92),
    "turquoise": (58, 164, 162),
    "teal": (38, 128, 132),
    "blue": (66, 112, 186),
    "purple": (124, 82, 166),
    "violet": (124, 82, 166),
    "pink": (232, 134, 162),
    "brown": (138, 88, 54),
    "grey": (132, 136, 144),
    "gray": (132, 136, 144),
    "black": (50, 50, 60),
    "white": (240, 238, 232),
}

SUBJECTS = {
    "fox": "fox foxes vixen",
    "cat": "cat cats kitten kitty",
    "tiger": "tiger tigers",
    "lion": "lion lions",
    "dog": "dog dogs puppy corgi hound shiba doge",
    "wolf": "wolf wolves husky",
    "raccoon": "raccoon racoon raccoons",
    "rabbit": "rabbit rabbits bunny hare",
    "bear": "bear bears teddy",
    "panda": "panda pandas",
    "mouse": "mouse mice rat koala hamster",
    "owl": "owl owls",
    "bird": "bird birds robin sparrow parrot",
    "penguin": "penguin penguins",
    "fish": "fish goldfish koi",
    "butterfly": "butterfly butterflies moth",
    "robot": "robot robots android",
    "lighthouse": "lighthouse",
    "house": "house cabin cottage hut home farm barn",
    "castle": "castle palace tower fortress",
    "boat": "boat ship sailboat sailing yacht",
    "balloon": "balloon balloons",
    "rocket": "rocket spaceship spacecraft shuttle",
    "tree": "tree oak willow",
    "cactus": "cactus cacti",
    "flower": "flower tulip rose sunflower daisy poppy",
}

_PLACES = {
    "snow": "snow snowy winter ice icy frozen arctic christmas",
    "sea": "sea ocean beach coast waves wave island harbour harbor lake river underwater shore",
    "desert": "desert dune dunes sahara sand",
    "city": "city town street skyline buildings skyscraper skyscrapers tokyo york london cyberpunk",
    "space": "space galaxy planet planets cosmos universe mars nebula astronaut",
    "forest": "forest woods wood jungle trees pine pines woodland",
    "mountains": "mountain mountains alps peak peaks hill hills valley",
    "garden": "garden flowers meadow field spring tulips roses sunflowers daisies poppies",
}

_TIMES = {
    "sunset": "sunset evening dusk golden-hour",
    "dawn": "sunrise dawn morning",
    "night": "night midnight moon moonlight moonlit starry stars dark nocturnal",
    "autumn": "autumn fall october",
    "day": "day noon sunny summer daylight",
}

_HOME = {
    "boat": "sea",
    "fish": "sea",
    "lighthouse": "sea",
    "penguin": "snow",
    "rocket": "space",
    "robot": "city",
    "cactus": "desert",
    "butterfly": "garden",
    "flower": "garden",
    "castle": "mountains",
    "panda": "forest",
    "owl": "forest",
    "balloon": "mountains",
}
"""Where a subject belongs when the prompt names no place."""

_RAIN = frozenset({"rain", "rainy", "raining", "storm", "stormy", "umbrella"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What to draw. `None` where the prompt leaves it open.

    Attributes:
        place: one of the places; `None` together with no subject means something abstract.
        time: one of day, dawn, sunset, night, autumn.
        subject: who or what is in it.
        colour: the first colour named.
        rain: whether it rains.
    """

    place: str | None
    time: str | None
    subject: str | None
    colour: Colour | None
    rain: bool


def read(prompt: str) -> Scene:
    """The scene that a prompt asks for; the first word of each kind decides."""
    words = re.findall(r"[a-z]+", prompt.lower())
    subject = _first(words, SUBJECTS)
    place = _first(words, _PLACES)
    if place is None and subject is not None:
        place = _HOME.get(subject, "meadow")
    time = _first(words, _TIMES)
    if place is None and time is not None:
        place = "mountains"
    colour = next((COLOURS[word] for word in words if word in COLOURS), None)
    return Scene(place, time, subject, colour, not _RAIN.isdisjoint(words))


def _first(words: list[str], kinds: dict[str, str]) -> str | None:
    meanings = {word: kind for kind, synonyms in kinds.items() for word in synonyms.split()}
    return next((meanings[word] for word in words if word in meanings), None)
