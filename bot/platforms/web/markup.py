"""Markdown of the model as HTML for the page. The model's text is untrusted.

HTML in it is escaped, pictures in it are not loaded, and links lead to the web or to a mail
program and nowhere else. Nothing here emits a `style` attribute, which the page's content security
policy would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

_LINK_SCHEMES = frozenset({"http", "https", "mailto"})
_ALIGNMENT = re.compile(r"text-align:\s*(left|center|right)")


class Markup:
    """A Markdown renderer; one is enough for everybody."""

    def __init__(self) -> None:
        self._parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
        self._parser.enable(["table", "strikethrough"]).disable("image")
        self._parser.validateLink = _is_safe_link  # type: ignore[method-assign] # its documented hook

    def html(self, text: str) -> str:
        """HTML of a Markdown text, safe to put into the page."""
        tokens = self._parser.parse(text)
        _harden(tokens)
        return str(self._parser.renderer.render(tokens, self._parser.options, {}))


def _is_safe_link(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in _LINK_SCHEMES
    except ValueError:
        return False


def _harden(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer nofollow")
            token.attrSet("target", "_blank")
        alignment = _ALIGNMENT.search(str(token.attrs.pop("style", "")))
        if alignment is not None:
            token.attrSet("class", f"align-{alignment[1]}")
        if token.children:
            _harden(token.children)
