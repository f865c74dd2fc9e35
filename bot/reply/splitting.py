"""Cut a long Markdown text into messages. Pure.

What holds for every text and limit, and is tested as such:

- the pieces' slices join to the text;
- what is shown of each piece is within the limit, and valid alone: a code fence that is cut is
  closed, and opened again with its language in the next piece;
- appending to a text never moves a cut that was made before. Each cut depends only on as many
  characters as fit into one message unrendered; rendering makes text shorter, or longer by less
  than `reserve`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

Measure = Callable[[str], int]

MIN_LIMIT = 256
"""A smaller message has no room for a closed and reopened fence beside some text."""

MAX_MARK, MAX_INFO = 10, 20
"""A fence of more marks is taken for text, and no language name is longer."""

_FENCE = re.compile(r"^ {0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)

_UNBREAKABLE = re.compile(
    r"""
      !?\[[^\]\n]*\]\([^)\s]*\)      # link
    | <[^<>\s]+>                     # autolink
    | https?://\S+                   # bare link
    | (?P<tick>`+)[^\n]*?(?P=tick)   # code span
    | \*\*[^*\n]+\*\* | __[^_\n]+__ | ~~[^~\n]+~~ | \*[^*\n]+\* | _[^_\n]+_
    # Begun, and perhaps ended beyond what fits:
    | !?\[[^\]\n]{0,200}(?:\](?:\([^)\s]*)?)?\Z | <[^<>\s]*\Z
    | `[^`\n]{1,200}\Z | \*\*[^*\n]{1,200}\Z
    """,
    re.VERBOSE,
)

_BOUNDARIES = tuple(
    re.compile(pattern) for pattern in (r"\n[ \t]*\n+", r"\n", r"[.!?…。][\"')\]]*\s+", r"\s+")
)
"""Ends of paragraphs, lines, sentences and words."""

_JOINER = re.compile(r"[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u0300-\u036f\u20e3]")
"""Characters that belong to the one before them: emoji joiners and variants, accents."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message's share of a text.

    Attributes:
        source: the slice of the text.
        shown: what the message says: the slice without blank edges, its fences closed.
    """

    source: str
    shown: str


def reserve(limit: int) -> int:
    """Units of a message that are kept for its fences and for longer rendering."""
    return max(2 * MAX_MARK + MAX_INFO + 8, limit // 16)


def split(text: str, limit: int, measure: Measure) -> list[Piece]:
    """Cut `text` into pieces whose `shown` measures at most `limit`.

    Cuts at the end of a paragraph if the piece stays at least half full, else of a line, a
    sentence, a word, and only then between two characters; not inside a link or a marked span
    unless that is longer than half a message.

    Args:
        text: Markdown.
        limit: in the units of `measure`, UTF-16 units or fewer; at least `MIN_LIMIT`.
        measure: length after rendering.

    Returns:
        The pieces in order; none for an empty text. Only a text of nothing but blanks has a piece
        that shows nothing.
    """
    if limit < MIN_LIMIT:
        raise ValueError(f"a limit under {MIN_LIMIT} leaves no room for a code fence")
    pieces: list[Piece] = []
    start, opened = 0, ""
    while start < len(text):
        end = _end(text, start, opened, limit, measure)
        piece = Piece(text[start:end], _show(text[start:end], opened))
        if pieces and not piece.source.strip():
            # Nothing to show: platforms refuse messages without a visible character.
            pieces[-1] = Piece(pieces[-1].source + piece.source, pieces[-1].shown)
        else:
            pieces.append(piece)
        opened = _open_fence(piece.source, opened)
        start = end
    if len(pieces) > 1 and not pieces[0].source.strip():
        blank = pieces.pop(0)
        pieces[0] = Piece(blank.source + pieces[0].source, pieces[0].shown)
    return pieces


def _end(text: str, start: int, opened: str, limit: int, measure: Measure) -> int:
    """Where the piece that begins at `start` ends."""

    def good(place: int) -> bool:
        return measure(_show(text[start:place], opened)) <= limit

    # No more than `limit` characters can fit, so only those are looked at.
    units = list(accumulate(2 if ord(char) > 0xFFFF else 1 for char in text[start : start + limit]))  # noqa: PLR2004 - the end of the basic plane
    room = bisect_right(units, limit - reserve(limit))
    if start + room >= len(text):
        if good(len(text)):
            return len(text)
        room = len(text) - start
    return _cut(text, start, start + room, good)


def _cut(text: str, start: int, end: int, good: Callable[[int], bool]) -> int:
    """The best place to cut `text[start:end]`, at most `end`."""
    window = text[start:end]
    spans = [match.span() for match in _UNBREAKABLE.finditer(window)]
    for pattern in _BOUNDARIES:
        for place in reversed([match.end() for match in pattern.finditer(window)]):
            if place < len(window) // 2:
                break
            inside = any(left < place < right for left, right in spans)
            if not inside and good(start + place):
                return start + place
    # Not one good boundary in the second half: a span or a word longer than that.
    place = len(window)
    while place > 1 and not good(start + place):
        place = place * 3 // 4
    while place > 1 and (_JOINER.match(window, place) or window[place - 1] == "\u200d"):
        place -= 1
    return start + max(1, place)


def _open_fence(source: str, opened: str) -> str:
    """The fence line that is open after `source`, if `opened` was open before it; else `""`."""
    for match in _FENCE.finditer(source):
        mark, info = match["mark"], match["info"]
        if not opened:
            # A backtick fence has no backtick in its info string (CommonMark 4.5).
            if len(mark) <= MAX_MARK and not (mark[0] == "`" and "`" in info):
                opened = mark + info.strip()[:MAX_INFO]
        elif mark[0] == opened[0] and len(mark) >= _mark_length(opened) and not info.strip():
            opened = ""
    return opened


def _mark_length(fence: str) -> int:
    return len(fence) - len(fence.lstrip(fence[0]))


def _show(source: str, opened: str) -> str:
    """What a message with this slice says."""
    after = _open_fence(source, opened)
    body = source.strip("\n") if not opened else source.rstrip("\n")
    body = body.rstrip()
    if opened:
        body = f"{opened}\n{body}"
    if after:
        body = f"{body}\n{after[0] * _mark_length(after)}"
    return body
