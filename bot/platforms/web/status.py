"""The status line of a working reply, told apart from the beginning of an answer.

On other platforms it is text; the page shows its own signs of work and a real progress bar. A line
that is not recognised is shown as it is, so nothing depends on the exact words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"(?:[\u23f3\u2615\u2699\u21bb\U0001f4e5]\ufe0f?|[\u25b0\u25b1]+)\s*")
"""What `bot.reply.wording` begins its status lines with: signs, or a bar of blocks."""
_SHARE = re.compile(r"(\d{1,3})\s?%(?:\s+·\s+|$)")


@dataclass(frozen=True, slots=True)
class Status:
    """What is being done at the moment.

    Attributes:
        text: plain text, without marks.
        progress: share done, 0.0 to 1.0, if it is known.
    """

    text: str
    progress: float | None = None


def read(text: str) -> Status | None:
    """The status that a working message shows, or `None` if it shows an answer."""
    if _MARK.match(text) is None:
        return None
    lines = []
    progress = None
    for line in text.splitlines():
        mark = _MARK.match(line)
        words = line[mark.end() :] if mark else line
        share = _SHARE.match(words) if mark else None
        if share is not None:
            progress = min(1.0, int(share[1]) / 100)
            words = words[share.end() :]
        lines.append(words.strip())
    return Status("\n".join(line for line in lines if line), progress)
