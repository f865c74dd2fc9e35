"""Who may call the Space, who is calling, and who has hung up.

Gradio notices a lost connection only when a function hands out its next value; a drawing that
nobody waits for would go on until then. So the connections are watched here, in front of Gradio: a
call ends with the event stream that it was to be answered on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import TypeVar

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.space.engine import Caller

COOKIE = "janus_space"
_COOKIE_SECONDS = 30 * 24 * 3600
_TOKEN_PATH = "/token"  # noqa: S105 - where the page below sends it
_STREAM = re.compile(r".*(?:/queue/data|/call/[^/]+/(?P<event>[^/]+))")
_CONTENT_SECURITY_POLICY = (
    # Gradio's page compiles its translations and styles itself while it loads.
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
)
_POLICY_ON_HUGGING_FACE = (
    # The script of Gradio's page that tells the frame how high it is comes from cdnjs.
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: https://cdnjs.cloudflare.com "
    "https://huggingface.co; frame-ancestors 'self' https://huggingface.co"
)
_LOGIN_PAGE = """<!doctype html><meta name=viewport content="width=device-width">
<title>Janus-Pro</title><body style="font: 1rem system-ui; margin: 3rem auto; max-width: 20rem">
<form method=post action="/token"><p><label for=token>Access token</label>
<p><input id=token name=token type=password autofocus required> <button>Open</button></form>"""

Step = TypeVar("Step")


class Calls:
    """Stands in front of the Gradio app, and knows the calls that run in it.

    Args:
        access_tokens: one of them is asked for; empty: none is.
        is_local: only this machine can connect. Then the page answers to the machine's own names
            alone, so that no other page can reach it under a name that points here.
        on_hugging_face: the page is shown in a frame of huggingface.co.
    """

    def __init__(
        self,
        access_tokens: Sequence[str] = (),
        *,
        is_local: bool = True,
        on_hugging_face: bool = False,
    ) -> None:
        self._tokens = {_cookie_of(token): token for token in access_tokens}
        self._is_local = is_local
        self._policy = _POLICY_ON_HUGGING_FACE if on_hugging_face else _CONTENT_SECURITY_POLICY
        self._running: dict[str, set[asyncio.Task[object]]] = {}

    def caller(self, request: gr.Request | None) -> Caller:
        """Who is behind a call."""
        own = None if request is None else request.request  # Starlette's own, with mappings
        if own is None:
            return Caller()
        address = own.client.host if own.client else ""
        return Caller(address, self._key_of(own.headers, own.cookies) or "")

    @contextlib.asynccontextmanager
    async def running(
        self, steps: AsyncGenerator[Step, None], request: gr.Request | None
    ) -> AsyncIterator[AsyncGenerator[Step, None]]:
        """Close `steps` at the end, whose task is cancelled when whoever asked hangs up."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - Gradio calls its functions from one
        session = str(request.session_hash) if request is not None else ""
        tasks = self._running.setdefault(session, set())
        tasks.add(task)
        try:
            async with contextlib.aclosing(steps):
                yield steps
        finally:
            tasks.discard(task)
            if not tasks:
                self._running.pop(session, None)

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """The app with all of this before it."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                if scope["type"] == "lifespan" or not self._tokens:
                    await app(scope, receive, send)
                return
            refusal = await self._refusal(Request(scope, receive))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            try:
                await app(scope, receive, _with_policy(self._policy, send))
            finally:
                self._hang_up(scope)

        return guarded

    def _hang_up(self, scope: Scope) -> None:
        """A response has ended. If it was an event stream, nobody hears what would still come."""
        stream = _STREAM.fullmatch(scope["path"])
        if stream and scope["method"] == "GET":
            session = stream["event"] or Request(scope).query_params.get("session_hash", "")
            for task in self._running.get(session, ()):
                task.cancel()

    async def _refusal(self, request: Request) -> Response | None:
        if self._is_local and not _is_local_name(request.url.hostname or ""):
            return JSONResponse({"detail": "This server is not known under that name."}, 421)
        if not self._tokens or self._key_of(request.headers, request.cookies):
            return None
        given = request.query_params.get("token", "")
        if request.url.path == _TOKEN_PATH and request.method == "POST":
            given = str((await request.form()).get("token", ""))
        elif request.url.path != "/":
            given = ""
        for cookie, token in self._tokens.items():
            if hmac.compare_digest(given.encode(errors="replace"), token.encode()):
                welcome = RedirectResponse("/", 303)
                welcome.set_cookie(
                    COOKIE, cookie, _COOKIE_SECONDS, httponly=True, samesite="strict"
                )
                return welcome
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_LOGIN_PAGE, 401)
        return JSONResponse(
            {"detail": "An access token is needed: Authorization: Bearer <token>"},
            401,
            {"www-authenticate": "Bearer"},
        )

    def _key_of(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
        """What stands for the token that a request carries, if it is one of ours."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = cookies.get(COOKIE, "")
        for cookie, token in self._tokens.items():
            bearer = scheme.lower() == "bearer" and hmac.compare_digest(
                given.strip().encode(errors="replace"), token.encode()
            )
            if bearer or hmac.compare_digest(sent.encode(errors="replace"), cookie.encode()):
                return cookie
        return None


def _cookie_of(token: str) -> str:
    """What a browser keeps in place of the token; the same after a restart."""
    return hmac.new(token.encode(), b"janus space session", hashlib.sha256).hexdigest()


def _is_local_name(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _with_policy(policy: str, send: Send) -> Send:
    """Say what the page may load from other hosts: as a rule nothing."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["content-security-policy"] = policy
        await send(message)

    return guarded
