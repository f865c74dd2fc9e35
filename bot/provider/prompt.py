"""A conversation folded into the one question that the Space's function takes; pure.

The function knows no history and no system text: it puts its one string behind
`<|User|>: <image_placeholder>` and asks the model. So everything has to be in that string.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.errors import BadInput

Message: TypeAlias = str | Mapping[str, Any]
"""A plain string (of the user), or `{"role": …, "content": …}`.

The content is a string or a list of parts: `{"type": "text", "text": …}`, and pictures as
`{"type": "image_url", "image_url": {"url": "data:…"}}` or `{"type": "image", "image": …}`. A text
there is a data URL and nothing else: messages may come from anybody, and must name no files.
"""

BUDGET = 2800
"""Tokens that a question may have. The model was trained on 4,096, of which the picture takes 576,
the answer up to 512, and the template the rest."""

NO_PICTURE = "(There is no picture with this message: ignore the grey one and answer the text.)"
DESCRIBE = "Describe this picture."

_SHORTENED = " […] "
_SPECIAL = re.compile(
    "<(?=(?:image_placeholder|patch_placeholder|begin_of_image|end_of_image)>"
    "|[|\uff5c][^<>\n]{0,60}[|\uff5c]>)",
    re.IGNORECASE,
)
"""Where a special token of the model begins: one in people's text is interpreted by the tokenizer,
and `<image_placeholder>` even makes the function fail."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message taken apart.

    Attributes:
        role: `"user"`, `"assistant"` or `"system"`.
        text: its words, harmless.
        pictures: its pictures as they were given, unread.
    """

    role: str
    text: str
    pictures: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Folded:
    """A conversation in one question.

    Attributes:
        text: the question.
        left_out: earlier messages that did not fit.
    """

    text: str
    left_out: int = 0


def tokens(text: str) -> int:
    """About how many tokens a text has: rather too many than too few.

    A third of the bytes of UTF-8: English has four letters to a token, Chinese about one character
    (three bytes), Cyrillic two to three letters (two bytes each).
    """
    return -(-len(text.encode("utf-8", "replace")) // 3)


def harmless(text: str) -> str:
    """The text with every special token of the model broken by a space."""
    return _SPECIAL.sub("< ", text)


def spoken(messages: Iterable[Message]) -> list[Spoken]:
    """Messages taken apart, in order; those with neither words nor pictures are left out.

    A string in place of messages is one of them.

    Raises:
        BadInput: a message that is none, or a picture by its address.
    """
    each = [messages] if isinstance(messages, str) else messages
    read = [_spoken(message) for message in each]
    return [message for message in read if message.text or message.pictures]


def fold(messages: Sequence[Spoken], *, picture: bool, budget: int = BUDGET) -> Folded:
    """The question to ask.

    The last message is kept before all, then the system text, then the newest of the rest that
    fit as a whole; what is too long by itself loses its middle. A single message stays as it is.

    Args:
        messages: oldest first; the last one is what to answer.
        picture: whether there is one. If not, a sentence says so.
        budget: see `BUDGET`.
    """
    *earlier, last = messages or (Spoken("user", ""),)
    question = last.text or (DESCRIBE if picture else "")
    note = "" if picture else f"\n\n{NO_PICTURE}"
    if not earlier:
        return Folded(f"{shorten(question, budget - tokens(note))}{note}")
    system = "\n".join(message.text for message in earlier if message.role == "system")
    turns = [message for message in earlier if message.role != "system" and message.text]
    room = budget - tokens(note)
    question = shorten(question, room)
    room -= tokens(question)
    head = _system(system, min(room, budget // 3))
    history, left_out = _history(turns, room - tokens(head))
    if head or history:
        question = f"{_NOW}{question}" if history else question
    return Folded(f"{head}{history}{question}{note}", left_out)


def shorten(text: str, budget: int) -> str:
    """The text, without its middle if it has more tokens than `budget`."""
    if tokens(text) <= budget:
        return text
    room = max(0, budget * 3 - len(_SHORTENED.encode()) - 1)
    raw = text.encode("utf-8", "replace")
    begin, end = raw[: room - room // 2], raw[len(raw) - room // 2 :]
    parts = (part.decode("utf-8", "ignore") for part in (begin, end))
    return _SHORTENED.join(parts) if room else ""


_INSTRUCTIONS = "Follow these instructions:\n"
_EARLIER = "This was said before:\n"
_NOW = "\nAnswer this:\n"
_NAMES = {"user": "User", "assistant": "You"}
_FRAME = tokens(_EARLIER) + tokens(_NOW)


def _system(text: str, room: int) -> str:
    if not text:
        return ""
    text = shorten(text, room - tokens(_INSTRUCTIONS) - 1)
    return f"{_INSTRUCTIONS}{text}\n\n" if text else ""


def _history(turns: Sequence[Spoken], room: int) -> tuple[str, int]:
    """The newest turns that fit, and how many do not."""
    lines: list[str] = []
    room -= _FRAME
    for turn in reversed(turns):
        line = f"{_NAMES.get(turn.role, 'User')}: {turn.text}\n"
        room -= tokens(line)
        if room < 0:
            break
        lines.append(line)
    history = _EARLIER + "".join(reversed(lines)) if lines else ""
    return history, len(turns) - len(lines)


def _spoken(message: Message) -> Spoken:
    if isinstance(message, str):
        return Spoken("user", harmless(message.strip()))
    if not isinstance(message, Mapping):
        raise BadInput("A message is a text, or a dictionary with a role and content.")
    role = str(message.get("role", "user"))
    content = message.get("content")
    if not isinstance(content, Sequence) or isinstance(content, str):
        return Spoken(role, harmless(str(content or "").strip()))
    words: list[str] = []
    pictures: list[Any] = []
    for part in content:
        match part:
            case str(text) | {"type": "text", "text": str(text)}:
                words.append(text)
            case {"image_url": {"url": source}} | {"image_url": source} | {"image": source}:
                pictures.append(_in_message(source))
            case _:
                continue
    return Spoken(role, harmless("\n".join(words).strip()), tuple(pictures))


def _in_message(source: Any) -> Any:
    if isinstance(source, str) and not source.startswith("data:"):
        raise BadInput("A picture in a message is sent along as a data URL, not by its address.")
    return source
