"""The signs in the bot's texts, read so that the page can show its own.

Everywhere else a status line is text. Here only what all languages have in common is read: the sign
at the beginning of a line, the bar, the share. A line that is not recognised is shown as it is, so
nothing depends on the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.reply.surface import Mood

_SIGNS = "\u23f3\u2615\u2699\u21bb\u23f8\U0001f4e5"
"""What status lines of `bot.i18n` begin with: hourglass, cup, gear, arrow, pause, tray."""

_MARK = re.compile(rf"(?:(?P<sign>[{_SIGNS}])\ufe0f?|(?P<bar>[\u25b0\u25b1]+))\s*")
_SHARE = re.compile(r"(?:(\d{1,3})\s?%|%\s?(\d{1,3}))(?:\s+·\s+|$)")
_PAUSE = "\u23f8"
_ENDS = {Mood.FAILED: "\u26a0\ufe0f ", Mood.STOPPED: "\u25a0 "}


@dataclass(frozen=True, slots=True)
class Status:
    """What is being done at the moment.

    Attributes:
        text: plain text, without signs.
        progress: share done, 0.0 to 1.0, if it is known.
        paused: nothing is being done, but waited for.
    """

    text: str
    progress: float | None = None
    paused: bool = False


def read(text: str) -> Status | None:
    """The status that a working message shows, or `None` if it shows an answer."""
    if _MARK.match(text) is None:
        return None
    lines = []
    progress = None
    paused = False
    for line in text.splitlines():
        mark = _MARK.match(line)
        words = line
        if mark is not None:
            paused = paused or mark["sign"] == _PAUSE
            words = line[mark.end() :]
            share = _SHARE.match(words)
            if mark["bar"]:
                progress = mark["bar"].count("\u25b0") / len(mark["bar"])
            if share is not None:
                progress = min(1.0, int(share[1] or share[2]) / 100)
                words = words[share.end() :]
        lines.append(words.strip())
    return Status("\n".join(line for line in lines if line), progress, paused)


def unmarked(text: str, mood: Mood) -> str:
    """An answer without the sign of how it ended, which the page shows in its own way."""
    sign = _ENDS.get(mood, "")
    before, found, after = text.rpartition(sign) if sign else (text, "", "")
    if found and (not before or before.endswith("\n\n")):
        return before + after
    return text
