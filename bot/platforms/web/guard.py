"""Who may talk to the web chat: the right host name, the right page, the right token.

A browser runs other people's pages on the same machine. Three checks keep them out: the Host header
must be a name of this server, so that a foreign name that suddenly points here (DNS rebinding) is
refused; Origin and Sec-Fetch-Site must be this page's, so that no other page can send a message or
listen; and where others can connect, an access token is asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bot.errors import AdapterError
from bot.hosts import is_loopback
from bot.platforms.web.pages import NO_STORE, Pages
from bot.platforms.web.parsing import Languages

COOKIE = "janus_bot"
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Never ask for the token: whoever restarts the bot when it hangs has none."""

_COOKIE_SECONDS = 30 * 24 * 3600
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = structlog.get_logger(__name__)


class Guard:
    """Lets requests through or answers them itself.

    Args:
        host: the address that the server is bound to.
        access_token: asked for if it is not empty.
        names: further host names, under which a proxy on this machine publishes the chat.
        exempt: handlers that check by themselves who asks.

    Raises:
        AdapterError: others can connect, and there is no token.
    """

    def __init__(
        self,
        *,
        host: str,
        access_token: str,
        names: Collection[str],
        pages: Pages,
        languages: Languages,
        exempt: Collection[Handler] = (),
    ) -> None:
        if not is_loopback(host) and not access_token:
            raise AdapterError(
                f"Everybody who reaches {host} could use the web chat. Set [http] access_token, "
                "or [http] host to 127.0.0.1."
            )
        self._only_loopback = is_loopback(host)
        self._names = {name.lower() for name in names}
        self._token = access_token.encode()
        # The browser keeps this instead. Made from the token, so that no restart logs out.
        self._session = hmac.new(self._token, b"janus-bot web session", hashlib.sha256).hexdigest()
        self._pages = pages
        self._languages = languages
        self._exempt = exempt

    async def add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Put the security headers on every response; a signal handler."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["Server"] = "janus-bot"  # aiohttp's own names every version

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A middleware that answers in the handler's place where a request is refused."""
        is_exempt = request.match_info.handler in self._exempt
        refusal = None if is_exempt else self._refusal(request)
        return await handler(request) if refusal is None else refusal

    async def login(self, request: web.Request) -> web.Response:
        """`POST /login`: the token from the login page; a cookie in return."""
        form = await request.post()
        if self._is_token(str(form.get("token", ""))):
            return self._welcome(request)
        log.warning("wrong access token", remote=request.remote)
        words = self._languages.words(request)
        return self._pages.login(words, words("web-token-wrong"))

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._is_our_host(request.headers.get("Host", "")):
            return self._refused(request, 421, "web-name-refused")
        sensitive = request.method not in ("GET", "HEAD") or request.path.startswith("/api/")
        if sensitive and not _is_our_page(request):
            return self._refused(request, 403, "web-page-refused")
        if not self._token or request.path in OPEN_PATHS:
            return None
        if request.path == "/" and self._is_token(request.query.get("token", "")):
            return self._welcome(request)
        if self._is_known(request) or (request.path == "/login" and request.method == "POST"):
            return None
        return self._ask_for_token(request)

    def _refused(self, request: web.Request, status: int, key: str) -> web.Response:
        return web.Response(status=status, text=self._languages.words(request)(key) + "\n")

    def _is_our_host(self, header: str) -> bool:
        match = _HOST.fullmatch(header)
        if match is None:
            return False
        name = match[1].lower()
        return not self._only_loopback or is_loopback(name) or name in self._names

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self._token)

    def _is_known(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        cookie = request.cookies.get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(errors="replace"), self._session.encode())

    def _welcome(self, request: web.Request) -> web.Response:
        # Always to the page itself: a target taken from the request could lead elsewhere.
        response = web.Response(status=303, headers={"Location": "/", **NO_STORE})
        secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        response.set_cookie(
            COOKIE,
            self._session,
            max_age=_COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=secure,
        )
        return response

    def _ask_for_token(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if request.path != "/":
            body = {"error": words("web-token-needed")}
            return web.json_response(body, status=401, headers={"WWW-Authenticate": "Bearer"})
        # A browser withholds a strict cookie from a visit that another site led to. The same page
        # asked for again by itself brings it.
        from_elsewhere = request.headers.get("Sec-Fetch-Site") == "cross-site"
        wrong = words("web-token-wrong") if "token" in request.query else ""
        return self._pages.login(words, wrong, again=from_elsewhere and not request.query)


def _is_our_page(request: web.Request) -> bool:
    # Same-site is not enough: every port of localhost is the same site.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True  # No browser leaves it out where it matters: this is a program.
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and host.lower() == request.headers["Host"].lower()
