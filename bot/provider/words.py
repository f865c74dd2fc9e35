"""Text that a Space says about itself, made safe to show; pure."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

MAX_WORDS = 2000
"""Characters kept of any such text."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What moves the cursor of a terminal, or worse; lines and tabs may stay."""


def unquote(text: str) -> str:
    """Undo `repr`: up to 5.1 Gradio sends the text of an error in quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return re.sub(r"\\(['\"\\])", r"\1", text[1:-1]).replace(r"\n", "\n")
    return text


def plain(text: str) -> str:
    """Text without HTML or control characters; a link keeps its address in brackets.

    `MAX_WORDS` at most.
    """
    text = text[: 4 * MAX_WORDS]
    if "<" in text:
        reader = _PlainText()
        reader.feed(text)
        reader.close()
        text = "".join(reader.pieces)
    elif "&" in text:
        text = html.unescape(text)
    text = _CONTROL.sub("", text)
    # JSON can hold halves of characters, which could be sent nowhere.
    return text.strip()[:MAX_WORDS].encode("utf-8", "replace").decode()


class _PlainText(HTMLParser):
    """Collects the text of a fragment of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember where a link goes, and break lines where HTML does."""
        if tag == "a":
            address = dict(attrs).get("href") or ""
            self._link = address if address.startswith(("https://", "http://")) else ""
        elif tag in {"br", "p", "div"}:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Write the address after the words of the link."""
        if tag == "a" and self._link:
            self.pieces.append(f" ({self._link})")
            self._link = ""

    def handle_data(self, data: str) -> None:
        """Keep text as it is."""
        self.pieces.append(data)
