"""The files of the page, the two pages made from templates, and Markdown as HTML.

What people read on them comes from the catalogue: `${key}` in a template, and `say("key")` in the
scripts, which find their sentences as JSON in the page.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from bot.i18n import Words
from bot.platforms.web.files import UploadLimits
from bot.turns.commands import WORDS

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""What is served under `/static/`, by suffix; the HTML files are templates and are not."""

SAID = (
    "again answer-there change close copied copied copy done download failed hint-again "
    "hint-delete hint-edit hint-full hint-less hint-more hint-retry hint-stop not-a-picture "
    "not-sent note open picture picture-too-large pictures-ready progress reconnecting remove "
    "removed send send-again sending sent status-error stop stopped too-long too-many "
    "try-again unreachable working"
)
"""What the scripts say, without `web-`."""

NO_STORE = {"Cache-Control": "no-store"}
"""For what is another thing each time, or not for everybody."""

_LINK_SCHEMES = frozenset({"http", "https", "mailto"})
_ALIGNMENT = re.compile(r"text-align:\s*(left|center|right)")

_FILLED_IN = {name: f"{{{name}}}" for name in ("name", "number", "what")}
"""Values that only the page knows; it puts them in place of these marks."""

_TAKING = frozenset({"imagine", "ask", "settings"})
"""Commands that something may follow."""


@dataclass(frozen=True, slots=True)
class _StaticFile:
    data: bytes
    media_type: str
    etag: str


class Pages:
    """The page, the login page and the static files; all in memory.

    Args:
        banner: a sentence to show above the chat, or its key in the catalogue; empty: none.
        limits: what the page tells people before it sends too much.
    """

    def __init__(self, *, banner: str, limits: UploadLimits) -> None:
        self._banner = banner
        self._limits = limits
        self._made: dict[str, str] = {}
        self._files: dict[str, _StaticFile] = {}
        folder = resources.files("bot.platforms.web").joinpath("static")
        for entry in folder.iterdir():
            media_type = _MEDIA_TYPES.get(entry.name[entry.name.rfind(".") :])
            if media_type is not None:
                data = entry.read_bytes()
                etag = hashlib.sha256(data).hexdigest()[:20]
                self._files[entry.name] = _StaticFile(data, media_type, etag)
        self._index = _Template(folder.joinpath("index.html").read_text(encoding="utf-8"))
        login = folder.joinpath("login.html").read_text(encoding="utf-8")
        self._login = _Template(login)
        style = login.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        # Its few lines of style stand in the page: the style sheet is behind the token, too.
        self._login_policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        )

    def index(self, words: Words) -> web.Response:
        """The page in a language."""
        if words.language not in self._made:
            self._made[words.language] = self._index.substitute(self._index_values(words))
        return _page(self._made[words.language])

    def login(self, words: Words, error: str = "", *, again: bool = False) -> web.Response:
        """The login page in a language.

        Args:
            words: the language.
            error: a sentence above the field.
            again: let the browser ask for the page once more at once.
        """
        refresh = '<meta http-equiv="refresh" content="0; url=/?again">' if again else ""
        values = _Values(words, {"error": html.escape(error), "refresh": refresh})
        response = _page(self._login.substitute(values), status=401)
        response.headers["Content-Security-Policy"] = self._login_policy
        # Under no-referrer a browser sends the form with `Origin: null`.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def static(self, request: web.Request) -> web.Response:
        """A static file, or 404; asked about again at every visit, answered from its ETag."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "no-cache", "ETag": f'"{file.etag}"'}
        if request.if_none_match and any(tag.value == file.etag for tag in request.if_none_match):
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=file.data, content_type=file.media_type, charset="utf-8", headers=headers
        )

    def _index_values(self, words: Words) -> _Values:
        banner = words(self._banner) if words.has(self._banner) else self._banner
        limits = self._limits
        said = {
            "words": spoken(words, limits),
            "commands": [
                {"word": word, "about": words(f"command-{word}"), "takes": word in _TAKING}
                for word in WORDS
            ],
            "limits": {
                "files": limits.files,
                "bytes": limits.file_bytes,
                "text": limits.text_bytes,
            },
        }
        note = f'<p class="banner" role="note">{html.escape(banner)}</p>' if banner else ""
        # A closing tag in it would end the script element.
        written = json.dumps(said, ensure_ascii=False).replace("<", "\\u003c")
        return _Values(words, {"banner": note, "said": written})


def spoken(words: Words, limits: UploadLimits) -> dict[str, str]:
    """What the scripts say, by key without `web-`."""
    most = {"picture-too-large": limits.file_bytes // 1024**2, "too-many": limits.files}
    return {key: words(f"web-{key}", **_FILLED_IN, most=most.get(key, 0)) for key in SAID.split()}


class _Template(string.Template):
    """A template whose placeholders are keys of the catalogue in braces."""

    idpattern = r"(?!)"
    braceidpattern = r"[a-z][a-z0-9-]*"


class _Values(dict[str, str]):
    """What stands for the placeholders of a page: some values, and sentences for all others."""

    def __init__(self, words: Words, values: Mapping[str, str]) -> None:
        super().__init__(values, language=words.language)
        self._words = words

    def __missing__(self, key: str) -> str:
        return html.escape(self._words(key))


def _page(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=NO_STORE)


def markdown_html(text: str) -> str:
    """HTML of a Markdown text, safe to put into the page."""
    return _render(_markdown().parse(text)) if text else ""


def inline_html(text: str) -> str:
    """HTML of one line of Markdown: no paragraph around it, no blocks in it; safe as well."""
    return _render(_markdown().parseInline(text)) if text else ""


@cache
def _markdown() -> MarkdownIt:
    """A parser for the model's text, which is untrusted.

    HTML in it is escaped, pictures in it are not loaded, and links lead to the web or to a mail
    program and nowhere else. Nothing emits a `style` attribute, which the page's content security
    policy would refuse.
    """
    from markdown_it import MarkdownIt  # noqa: PLC0415 - 40 ms, and only the page needs it

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = _is_safe_link  # type: ignore[method-assign] # its documented hook
    return parser


def _render(tokens: Sequence[Token]) -> str:
    _harden(tokens)
    parser = _markdown()
    return str(parser.renderer.render(tokens, parser.options, {}))


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
