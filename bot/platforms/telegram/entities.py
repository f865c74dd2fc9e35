"""Markdown to Telegram's text and entities.

A parse mode is never used: a message with entities cannot fail to parse, whatever the model wrote.
Offsets and lengths are UTF-16 code units (Bot API, `MessageEntity`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from telegram import MessageEntity

if TYPE_CHECKING:
    from telegramify_markdown.entity import MessageEntity as Rendering

MAX_TEXT_UNITS: Final = 4096
MAX_CAPTION_UNITS: Final = 1024
"""Of a message, and of the text below a picture or file, after rendering (Bot API)."""

_LITERAL: Final = frozenset({"code", "pre"})
"""Entities in which Telegram finds no mentions."""
_QUOTES: Final = frozenset({"blockquote", "expandable_blockquote"})
"""Quotes cannot be nested (Bot API, "Formatting options")."""
_STYLES: Final = frozenset({"bold", "italic", "spoiler", "strikethrough", "text_link", "underline"})
_SHOWN: Final = _LITERAL | _QUOTES | _STYLES
"""Entities that only change how text looks. The others address people or load things."""

_LESS_THAN: Final = "\ufdd0"
"""Stands for `<` while rendering; a noncharacter of one UTF-16 unit that no text contains."""

_MIN_LONG_UNITS: Final = 1000
_MIN_LONG_LINES: Final = 14
"""A text that reaches either fills a phone's screen; units are UTF-16 code units."""
MAX_RENDERED: Final = 4
"""Messages of one reply that stay rendered, to be measured and shown while others grow."""

_MENTION: Final = re.compile(r"(?<!\w)@(?=[a-z0-9_]{2})", re.IGNORECASE | re.ASCII)
_WORD_JOINER: Final = "\u2060"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a message shows.

    Attributes:
        text: plain text, blank only if the Markdown was.
        entities: how parts of it look, within the text, by offset.
    """

    text: str
    entities: tuple[MessageEntity, ...] = ()


def utf16_length(text: str) -> int:
    """Length of `text` in UTF-16 code units; a lone surrogate is one."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def render(markdown: str, *, quiet: bool = False) -> Rendered:
    """Render untrusted Markdown; unfinished Markdown shows its characters as they are.

    HTML stays as it is written, so that `vector<int>` keeps its brackets. Links lead to web
    addresses only: `tg://user` would notify somebody.

    Args:
        markdown: what the model or the bot wrote.
        quiet: take the effect out of `@name`, which Telegram would make a mention by itself.
    """
    # Surrogate pairs that arrived in two pieces are joined, and halves without a partner replaced.
    source = markdown.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text, found = _convert(source.replace("<", _LESS_THAN))
    text = text.replace(_LESS_THAN, "<").rstrip()
    if not text.strip():
        # A comment, a bare link target: rendered to nothing, but it was not nothing.
        text, found = source.strip(), []
    entities = [entity for entity in found if entity.type in _SHOWN and _leads_to_web(entity)]
    if quiet:
        text, entities = _without_mentions(text, entities)
    length = utf16_length(text)
    return Rendered(
        text,
        tuple(
            MessageEntity(
                entity.type,
                entity.offset,
                min(entity.length, length - entity.offset),  # none reaches beyond the text
                url=entity.url,
                language=entity.language,
            )
            for entity in entities
            if min(entity.length, length - entity.offset) > 0
        ),
    )


def folded(shown: Rendered) -> Rendered:
    """A long text as one quote that shows its first lines until somebody opens it."""
    length = utf16_length(shown.text)
    if length < _MIN_LONG_UNITS and shown.text.count("\n") < _MIN_LONG_LINES:
        return shown
    inner = tuple(entity for entity in shown.entities if entity.type not in _QUOTES)
    quote = MessageEntity(MessageEntity.EXPANDABLE_BLOCKQUOTE, 0, length)
    return Rendered(shown.text, (quote, *inner))


def _convert(markdown: str) -> tuple[str, list[Rendering]]:
    import telegramify_markdown  # noqa: PLC0415 - two megabytes that an idle bot does without

    config = telegramify_markdown.RenderConfig.isolated()
    symbols = config.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = ""
    symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.image = ""
    symbols.unordered_list_item = "\N{BULLET}"
    # LaTeX stays as it was written: what looks like it may be escaped brackets, and a formula that
    # was asked for is to be copied.
    return telegramify_markdown.convert(markdown, latex_escape=False, config=config)


def _leads_to_web(entity: Rendering) -> bool:
    if entity.type != "text_link":
        return True
    try:
        parts = urlsplit(entity.url or "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and "." in parts.netloc


def _without_mentions(text: str, entities: Sequence[Rendering]) -> tuple[str, list[Rendering]]:
    """Put a word joiner after each `@` that would start a mention."""
    literal = [(e.offset, e.offset + e.length) for e in entities if e.type in _LITERAL]
    pieces: list[str] = []
    joints: list[int] = []
    done = 0
    for match in _MENTION.finditer(text):
        offset = utf16_length(text[: match.end()])
        if not any(start < offset <= end for start, end in literal):
            pieces += (text[done : match.end()], _WORD_JOINER)
            joints.append(offset)
            done = match.end()
    if not joints:
        return text, list(entities)
    moved = [
        replace(
            entity,
            offset=entity.offset + sum(joint <= entity.offset for joint in joints),
            length=entity.length
            + sum(entity.offset < joint < entity.offset + entity.length for joint in joints),
        )
        for entity in entities
    ]
    return "".join((*pieces, text[done:])), moved
