"""Text from people, models and Spaces inside the bot's own Markdown. Pure.

Within a sentence of the bot's, none of it may format, link or mention anything: it is shown as it
is, by means of backslashes, as in CommonMark (section 2.4) and on Discord.
"""

from __future__ import annotations

import re

_ANYWHERE = re.compile(r"[\\`*_~|\[\]#@&$]|:(?=//)|(?<=<)[:/]|(?<=<[at]):|(?<=<id):")
"""What Markdown interprets, and what Discord does after a `<`: `<@1>`, `<t:1>`."""
_MARKER = re.compile(r"^(\s*(?:\d{1,9}(?=[.)])|(?=[-+=>])))", re.MULTILINE)
"""Up to where a line could begin a list or underline a heading."""


def literal(text: str) -> str:
    """Markdown that shows exactly this text."""
    return _MARKER.sub(r"\1\\", _ANYWHERE.sub(r"\\\g<0>", text))


def code(text: str) -> str:
    """Markdown that shows this text as code on one line, ready to copy."""
    text = " ".join(text.split())
    runs = [len(run) for run in re.findall("`+", text)]
    fence = "`" * next(size for size in range(1, len(runs) + 2) if size not in runs)
    gap = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{gap}{text}{gap}{fence}"
