"""What is asked of the Space, worked out before anything is sent.

A question goes to a function that knows no history and no system text: it puts its one string
behind `<|User|>: <image_placeholder>` and asks the model. So a whole conversation is folded into
that string.
"""

from __future__ import annotations

import functools
import math
import re
import secrets
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from bot.errors import BadInput
from bot.files import File, Recipe
from bot.image import is_accepted_format, to_bytes
from bot.provider.gradio.config import known_function
from bot.provider.gradio.inputs import GUIDANCE as GUIDANCE_INPUT
from bot.provider.gradio.inputs import PICTURE, PROMPT, QUESTION, SEED
from bot.provider.gradio.inputs import TEMPERATURE as TEMPERATURE_INPUT
from bot.provider.gradio.inputs import TOP_P as TOP_P_INPUT
from bot.provider.responses import Reasoning, Stage

Message: TypeAlias = str | Mapping[str, Any]
"""A plain string (of the user), or `{"role": …, "content": …}`.

The content is a string or a list of parts: `{"type": "text", "text": …}`, and pictures as
`{"type": "image_url", "image_url": {"url": "data:…"}}` or `{"type": "image", "image": …}`. A text
there is a data URL and nothing else: messages may come from anybody, and must name no files.
"""

UNDERSTAND = known_function(
    "multimodal_understanding", 2, 10, PICTURE, QUESTION, SEED, TOP_P_INPUT, TEMPERATURE_INPUT
)
GENERATE = known_function("generate_image", 3, 20, PROMPT, SEED, GUIDANCE_INPUT, TEMPERATURE_INPUT)
KNOWN_FUNCTIONS = {function.name: function for function in (UNDERSTAND, GENERATE)}
"""The two functions with their numbers in the original app (the same in Gradio 4.44 to 6.31)."""

MAX_TOKENS = 2800
"""Of a question. The model was trained on 4,096, of which the picture takes 576, the answer up to
512, and the template the rest."""
MAX_SEED = 2**32 - 1
"""What `numpy.random.seed` takes."""
TOP_P, TEMPERATURE = 0.95, 0.1
GUIDANCE, IMAGE_TEMPERATURE = 5.0, 1.0
"""The sliders' own defaults, except for the second temperature's, which is the function's."""

NO_PICTURE = "(There is no picture with this message: ignore the grey one and answer the text.)"
DESCRIBE = "Describe this picture."
_INSTRUCTIONS = "Follow these instructions:\n"
_EARLIER = "This was said before:\n"
_NOW = "\nAnswer this:\n"
_NAMES = {"user": "User", "assistant": "You"}
_SHORTENED = " […] "

_SPECIAL = re.compile(
    "<(?=(?:image_placeholder|patch_placeholder|begin_of_image|end_of_image)>"
    "|[|\uff5c][^<>\n]{0,60}[|\uff5c]>)",
    re.IGNORECASE,
)
"""Where a special token of the model begins: one in people's text is interpreted by the tokenizer,
and `<image_placeholder>` even makes the function fail."""

_BLANK_SIDE = 384
"""Pixels: the size that the model sees, so that nothing is scaled or padded."""
_GREY = 127
"""The colour with which the model's own processor pads."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture; one that has only words goes with a blank one.

    Attributes:
        text: the whole conversation, folded.
        picture: sent as it is.
        seed: 0 to `MAX_SEED`.
        top_p: 0.0 to 1.0.
        temperature: 0.0 (always the likeliest token) to 1.0.
        notes: what there is to say before anything is sent.
    """

    function: ClassVar[str] = UNDERSTAND.name

    text: str
    picture: File
    seed: int
    top_p: float = TOP_P
    temperature: float = TEMPERATURE
    notes: Sequence[Reasoning] = ()

    def values(self, picture: Any) -> dict[str, Any]:
        """By name, with the picture in the form that the server takes."""
        return {
            PICTURE: picture,
            QUESTION: self.text,
            SEED: self.seed,
            TOP_P_INPUT: self.top_p,
            TEMPERATURE_INPUT: self.temperature,
        }


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures to be made.

    Attributes:
        prompt: what to draw.
        seed: 0 to `MAX_SEED`.
        guidance: 1.0 to 10.0.
        temperature: above 0.0, to 1.0.
        notes: what there is to say before anything is sent.
    """

    function: ClassVar[str] = GENERATE.name
    picture: ClassVar[None] = None

    prompt: str
    seed: int
    guidance: float = GUIDANCE
    temperature: float = IMAGE_TEMPERATURE
    notes: Sequence[Reasoning] = (Reasoning(Stage.CONNECTING),)

    def values(self, _picture: Any = None) -> dict[str, Any]:
        """By name."""
        return {
            PROMPT: self.prompt,
            SEED: self.seed,
            GUIDANCE_INPUT: self.guidance,
            TEMPERATURE_INPUT: self.temperature,
        }

    def recipe(self, space: str, index: int) -> Recipe:
        """How image number `index` was made on `space`."""
        return Recipe(self.prompt, self.seed, self.guidance, self.temperature, space, index)


Request: TypeAlias = Question | Drawing
"""What is asked of the Space."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller gave, unread; `None` leaves a value to its default.

    Attributes:
        model: one of the provider's, or `""`.
        messages: the conversation, oldest first.
        media: pictures, or pairs of a picture and its name; each as `bot.image.to_bytes` takes it,
            or a `File`.
        prompt: what to draw.
        seed: see `Question`, as are the values below. What is outside its range is moved to the
            range's end.
    """

    model: str
    messages: Sequence[Message]
    media: Sequence[Any] | None
    prompt: str | None
    seed: int | None
    guidance: float | None
    temperature: float | None
    top_p: float | None


def make_request(
    given: Options, *, draws: bool, system: bool = True, history: bool = True
) -> Request:
    """Decide what is asked.

    A prompt makes pictures; so does a model that draws, unless there is a picture to ask about.

    Args:
        given: by the caller.
        draws: whether the model is one that makes pictures.
        system: whether system messages count.
        history: whether messages before the last one count.

    Raises:
        BadInput: nothing is asked, or a value is not a number.
        ImageError: the picture cannot be read.
    """
    read = _heeded(parse_messages(given.messages), system=system, history=history)
    media = given.media or [picture for message in read for picture in message.pictures]
    try:
        seed = secrets.randbelow(MAX_SEED + 1) if given.seed is None else int(given.seed)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"The seed is a whole number from 0 to {MAX_SEED}.") from None
    seed %= MAX_SEED + 1
    if given.prompt is not None or (draws and not media):
        said = [message.text for message in read if message.text] or [""]
        words = said[-1] if given.prompt is None else harmless(given.prompt.strip())
        if not words:
            raise BadInput("Say what to draw.")
        notes = [Reasoning(Stage.CONNECTING)]
        if media:
            warning = "The Space draws from words alone; the picture given with them is not sent."
            notes.append(Reasoning(Stage.CONNECTING, note=warning, level="warning"))
        return Drawing(
            shorten(words, MAX_TOKENS),
            seed,
            _within("guidance", given.guidance, GUIDANCE, 1.0, 10.0),
            _within("temperature", given.temperature, IMAGE_TEMPERATURE, 0.01, 1.0),
            notes=notes,
        )
    if not read and not media:
        raise BadInput("There is nothing to answer.")
    text, left_out = fold(read, picture=bool(media))
    notes = [Reasoning(Stage.CONNECTING, note=f"seed {seed}", left_out=left_out)]
    if len(media) > 1:
        warning = f"The Space looks at one picture; of {len(media)}, the last is sent."
        notes.append(Reasoning(Stage.CONNECTING, note=warning, level="warning"))
    last: Any = media[-1] if media else blank_png()
    last = last[0] if isinstance(last, tuple | list) and last else last
    picture = last.data if isinstance(last, File) else to_bytes(last)
    return Question(
        text,
        File(picture, is_accepted_format(picture)),
        seed,
        _within("top_p", given.top_p, TOP_P, 0.0, 1.0),
        _within("temperature", given.temperature, TEMPERATURE, 0.0, 1.0),
        notes=notes,
    )


def _heeded(messages: list[ParsedMessage], *, system: bool, history: bool) -> list[ParsedMessage]:
    """The messages that count; the last one always does."""
    return [
        message
        for number, message in enumerate(messages, start=1)
        if number == len(messages) or (system if message.role == "system" else history)
    ]


def _within(name: str, given: Any, default: float, low: float, high: float) -> float:
    if given is None:
        return default
    try:
        value = float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if math.isnan(value):
        raise BadInput(f"The {name} is a number from {low:g} to {high:g}.")
    return min(high, max(low, value))


@functools.cache
def blank_png() -> bytes:
    """A plain grey picture for questions without one: the function fails without any."""
    row = b"\0" + bytes([_GREY] * 3 * _BLANK_SIDE)
    header = struct.pack(">IIBBBBB", _BLANK_SIDE, _BLANK_SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _BLANK_SIDE, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message taken apart.

    Attributes:
        role: `"user"`, `"assistant"` or `"system"`.
        text: its words, harmless.
        pictures: as they were given, unread.
    """

    role: str
    text: str
    pictures: tuple[Any, ...] = ()


def parse_messages(messages: Iterable[Message]) -> list[ParsedMessage]:
    """Messages taken apart, in order; those with neither words nor pictures are left out.

    A string in place of the list is taken as its only message.

    Raises:
        BadInput: something is not a message, or names a picture by its address.
    """
    read: list[ParsedMessage] = []
    for message in [messages] if isinstance(messages, str) else messages:
        role: str = "user"
        content: Any = message
        if not isinstance(message, str):
            if not isinstance(message, Mapping):
                raise BadInput("A message is a text, or a dictionary with a role and content.")
            role, content = str(message.get("role", "user")), message.get("content")
        if isinstance(content, str) or not isinstance(content, Sequence):
            content = [str(content or "")]
        words: list[str] = []
        pictures: list[Any] = []
        for part in content:
            match part:
                case str(said) | {"type": "text", "text": str(said)}:
                    words.append(said)
                case {"image_url": {"url": source}} | {"image_url": source} | {"image": source}:
                    if isinstance(source, str) and not source.startswith("data:"):
                        raise BadInput(
                            "A picture in a message is sent along as a data URL, not by its "
                            "address."
                        )
                    pictures.append(source)
                case _:
                    continue
        text = harmless("\n".join(words).strip())
        if text or pictures:
            read.append(ParsedMessage(role, text, tuple(pictures)))
    return read


def fold(
    messages: Sequence[ParsedMessage], *, picture: bool, max_tokens: int = MAX_TOKENS
) -> tuple[str, int]:
    """A conversation as one question.

    The last message comes first when room is given out, then the system text, then the newest of
    the rest that fit as a whole; what is too long by itself loses its middle. A single message
    stays as it is.

    Args:
        messages: oldest first; the last one is what to answer.
        picture: whether there is one. If not, a sentence says so.
        max_tokens: see `MAX_TOKENS`.

    Returns:
        The question, and how many earlier messages did not fit.
    """
    *earlier, last = messages or (ParsedMessage("user", ""),)
    question = last.text or (DESCRIBE if picture else "")
    note = "" if picture else f"\n\n{NO_PICTURE}"
    room = max_tokens - tokens(note)
    question = shorten(question, room)
    if not earlier:
        return f"{question}{note}", 0
    room -= tokens(question)
    system = "\n".join(message.text for message in earlier if message.role == "system")
    if system:
        within = min(room, max_tokens // 3) - tokens(_INSTRUCTIONS) - 1
        system = shorten(system, within)
        system = f"{_INSTRUCTIONS}{system}\n\n" if system else ""
    spoken = [message for message in earlier if message.role != "system" and message.text]
    room -= tokens(system) + tokens(_EARLIER) + tokens(_NOW)
    lines: list[str] = []
    for message in reversed(spoken):
        line = f"{_NAMES.get(message.role, 'User')}: {message.text}\n"
        room -= tokens(line)
        if room < 0:
            break
        lines.append(line)
    if lines:
        question = f"{_EARLIER}{''.join(reversed(lines))}{_NOW}{question}"
    return f"{system}{question}{note}", len(spoken) - len(lines)


def harmless(text: str) -> str:
    """The text with every special token of the model broken by a space."""
    return _SPECIAL.sub("< ", text)


def tokens(text: str) -> int:
    """About how many tokens a text has: rather too many than too few.

    A third of the bytes of UTF-8: English has four letters to a token, Chinese about one character
    (three bytes), Cyrillic two to three letters (two bytes each).
    """
    return -(-len(text.encode("utf-8", "replace")) // 3)


def shorten(text: str, max_tokens: int) -> str:
    """The text, without its middle if it has more tokens than `max_tokens`."""
    if tokens(text) <= max_tokens:
        return text
    room = max(0, max_tokens * 3 - len(_SHORTENED.encode()) - 1)
    raw = text.encode("utf-8", "replace")
    begin, end = raw[: room - room // 2], raw[len(raw) - room // 2 :]
    parts = (part.decode("utf-8", "ignore") for part in (begin, end))
    return _SHORTENED.join(parts) if room else ""
