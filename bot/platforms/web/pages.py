"""The files of the page, read once from the package, and the two pages made from them."""

from __future__ import annotations

import base64
import hashlib
import html
import string
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Self

from aiohttp import web

from bot.platforms.web.ports import UploadLimits

MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""What is served under `/static/`, by suffix; the HTML files are templates and are not."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served.

    Attributes:
        data: the bytes.
        media_type: with the charset.
        etag: changes with the bytes.
    """

    data: bytes
    media_type: str
    etag: str


class Pages:
    """The page, the login page and the static files; all in memory.

    Args:
        files: static files by name.
        index: template of the page.
        login: template of the login page.
        banner: a sentence to show above the chat; empty: none.
        limits: what the page tells people before it sends too much.
    """

    def __init__(
        self,
        *,
        files: Mapping[str, StaticFile],
        index: str,
        login: str,
        banner: str,
        limits: UploadLimits,
    ) -> None:
        note = f'<p class="banner" role="note">{html.escape(banner)}</p>' if banner else ""
        self._files = files
        self._index = string.Template(index).substitute(
            banner=note,
            upload_files=limits.files,
            upload_bytes=limits.file_bytes,
            text_bytes=limits.text_bytes,
        )
        self._login = string.Template(login)
        style = login.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        # Its few lines of style stand in the page: the style sheet is behind the token, too.
        self._login_policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        )

    @classmethod
    def load(cls, *, banner: str, limits: UploadLimits) -> Self:
        """Read the files from the package."""
        folder = resources.files("bot.platforms.web").joinpath("static")
        files: dict[str, StaticFile] = {}
        for entry in folder.iterdir():
            suffix = entry.name[entry.name.rfind(".") :]
            if suffix in MEDIA_TYPES:
                data = entry.read_bytes()
                etag = hashlib.sha256(data).hexdigest()[:20]
                files[entry.name] = StaticFile(data, MEDIA_TYPES[suffix], etag)
        return cls(
            files=files,
            index=folder.joinpath("index.html").read_text(encoding="utf-8"),
            login=folder.joinpath("login.html").read_text(encoding="utf-8"),
            banner=banner,
            limits=limits,
        )

    def index(self) -> web.Response:
        """The page."""
        return _page(self._index)

    def login(self, error: str = "", *, again: bool = False) -> web.Response:
        """The login page.

        Args:
            error: a sentence above the field.
            again: let the browser ask for the page once more at once.
        """
        refresh = '<meta http-equiv="refresh" content="0; url=/?again">' if again else ""
        text = self._login.substitute(error=html.escape(error), refresh=refresh)
        response = _page(text, status=401)
        response.headers["Content-Security-Policy"] = self._login_policy
        # Under no-referrer a browser sends the form with `Origin: null`.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def static(self, request: web.Request) -> web.Response:
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


def _page(text: str, status: int = 200) -> web.Response:
    return web.Response(
        text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"}
    )
