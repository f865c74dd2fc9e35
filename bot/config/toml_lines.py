"""Where in a TOML text a value stands, so that an error can name the line.

`tomllib` gives values without positions. This looks positions up afterwards, in text that
`tomllib` has accepted: it may trust the syntax, and a wrong guess costs a line number only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""Keys and array positions from the top, as in `("spaces", 0, "url")`."""

_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\#[^\n]*',
    re.DOTALL,
)
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_ASSIGNMENT = re.compile(rf"[ \t]*({_KEY_PART}(?:[ \t]*\.[ \t]*{_KEY_PART})*)[ \t]*=")
_AFTER_KEY = re.compile(r"[ \t]*[=.\]]")


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line of a value, counted from 1.

    Args:
        text: what `tomllib` has parsed without complaint.
        place: keys and array positions from the top. Where the value itself is not written, such
            as a key that is missing, the innermost table around it that is written counts.

    Returns:
        The line, or `None` if nothing of `place` is written in `text`.
    """
    plain = _STRING_OR_COMMENT.sub(_blank, text)
    found = _statements(plain)
    for length in range(len(place), 0, -1):
        offset = found.get(tuple(place[:length]))
        if offset is not None:
            offset = _inside(plain, offset, place[length:])
            return plain.count("\n", 0, offset) + 1
    return None


def _blank(match: re.Match[str]) -> str:
    """Spaces in place of a string or comment; quoted keys and line breaks stay."""
    text = match[0]
    multiline = text.startswith(('"""', "'''"))
    if not multiline and text[0] in "\"'" and _AFTER_KEY.match(match.string, match.end()):
        return text
    return re.sub(r"[^\n]", " ", text)


def _statements(plain: str) -> dict[Place, int]:
    """Offsets of all table headers and of all assignments that begin a line."""
    found: dict[Place, int] = {}
    table: Place = ()
    entries: dict[Place, int] = {}
    depth = offset = 0
    for line in plain.splitlines(keepends=True):
        # Inside an array that spans lines nothing is a header, however much it looks like one.
        if depth == 0 and (header := _HEADER.match(line)):
            table = _keys(header[2])
            if header[1] == "[[":
                entries[table] = entries.get(table, -1) + 1
                found.setdefault(table, offset)
                table = (*table, entries[table])
            found.setdefault(table, offset)
        else:
            if depth == 0 and (assignment := _ASSIGNMENT.match(line)):
                found.setdefault(table + _keys(assignment[1]), offset)
            depth += sum(map(line.count, "[{")) - sum(map(line.count, "]}"))
        offset += len(line)
    return found


def _keys(dotted: str) -> Place:
    return tuple(part.strip(" \t\"'") for part in re.findall(_KEY_PART, dotted))


def _inside(plain: str, offset: int, rest: Sequence[str | int]) -> int:
    """Go on inside an inline value, for example `[{ id = "a" }, { url = "b" }]`."""
    for step in rest:
        if isinstance(step, int):
            braces = [match.start() for match in re.finditer(r"\{", plain[offset:])]
            if step < len(braces):
                offset += braces[step]
        else:
            key = re.compile(rf"(?<![\w-])[\"']?{re.escape(step)}[\"']?[ \t]*=")
            end = plain.find("}", offset)
            match = key.search(plain, offset, end) if end > 0 else None
            offset = match.start() if match else offset
    return offset
