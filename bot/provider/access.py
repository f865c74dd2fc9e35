"""The way to one Space: its address, sessions, credentials, and who may see which of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import aiohttp
from yarl import URL

from bot.errors import ConfigError, ProviderError, SpaceUnreachable
from bot.hosts import is_hugging_face
from bot.provider.cookies import Cookies
from bot.provider.gradio.client import ConfigCache, GradioClient
from bot.provider.http import KEEP_ALIVE_SECONDS, HttpClient, Timeouts, is_socks, open_session
from bot.provider.huggingface import HF_URL, Hub, get_zerogpu_token, space_url, token_expires
from bot.provider.prompt import KNOWN_FUNCTIONS
from bot.provider.quota import PUBLIC_SPACE_ASKS, Asks, account
from bot.provider.responses import GpuTime, JsonConversation
from bot.redaction import Redactor, secret_parts


@dataclass(frozen=True, slots=True)
class Caller:
    """What one caller brings along in place of the provider's own settings.

    Attributes:
        proxy: HTTP or SOCKS proxy.
        cookies: of huggingface.co.
        hf_token: token of a Hugging Face account.
    """

    proxy: str | None = None
    cookies: Mapping[str, str] | None = field(default=None, repr=False)
    hf_token: str = field(default="", repr=False)


ANYBODY = Caller()
"""A caller who brings nothing along."""

PUBLIC_SPACE = "deepseek-ai/Janus-Pro-7B"

_API_KEY = "the api_key of this call"
_HF_TOKEN_KEY = "hf_token of this Space, under [[spaces]]"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class SpaceTarget:
    """A Space as one caller reaches it.

    Attributes:
        client: of its Gradio server.
        hub: what Hugging Face knows of it; `None` for a server elsewhere.
    """

    client: GradioClient
    hub: Hub | None

    def for_call(self) -> SpaceTarget:
        """The same, with cookies of one call."""
        http = self.client.http.for_call()
        return SpaceTarget(GradioClient(http, self.client.cache), self.hub)


class SpaceAccess:
    """The way to one Space.

    Args:
        space: `owner/name`, or `""` if only the address is known.
        api_url: root of the Gradio server; `""` to ask the Hub for it.
        referer: sent with every request to the Space; `""` for its own page.
        hf_url: root of the Hub. One other than Hugging Face's is believed about where its own
            Spaces are.
        hf_token: sent to the Hub and to Spaces there, and nowhere else.
        access_token: sent to `api_url` and nowhere else, unless it is a Space of the Hub that is
            known by its id, or there is an `hf_token` for it.
        session: used and left open; `None` to open one, and to close it soon after the last call.
        proxy: HTTP or SOCKS proxy.
        timeouts: see there.
        ca_file: of an authority to trust beside the usual ones, in sessions that are opened here.
        name: what people are told in place of the id or the address.
        shows_address: errors tell the address of a server that has no id; without it, its name.

    Raises:
        ConfigError: `api_url`, `hf_url` or `proxy` is not an address.

    Attributes:
        name: what recipes and reports call this Space: as given, its id, or its address.
        api_url: without a user or a password.
        redact: takes its credentials out of what it says.
        asks: what a call of it asks for.
    """

    def __init__(  # noqa: PLR0913 - all of it is one Space's
        self,
        *,
        space: str,
        api_url: str,
        referer: str = "",
        hf_url: str = HF_URL,
        hf_token: str = "",
        access_token: str = "",
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        timeouts: Timeouts,
        ca_file: str | Path | None = None,
        name: str = "",
        shows_address: bool = True,
    ) -> None:
        self.space = space
        self.hf_url = _root(hf_url)
        # An address may hold a user and a password, which are for its server and for nobody else.
        self._base = _root(api_url or space_url(space))
        self.api_url = str(URL(self._base).with_user(None)).rstrip("/")
        self.name = name or space or self.api_url
        self._label = "" if shows_address else self.name
        self._referer = referer
        self._ask_hub = not api_url
        self._on_hub = is_hugging_face(self._base)
        self._hf_token = hf_token.strip()
        self._access_token = "" if self._on_hub and space else access_token.strip()
        self._session = session
        self._proxy = proxy or None
        self._timeouts = timeouts
        self._cache = ConfigCache(KNOWN_FUNCTIONS)
        public = space == PUBLIC_SPACE
        self.asks = Asks(PUBLIC_SPACE_ASKS if public else None)
        self._account = account(self.hf_url, self._hf_token)
        self._cookies = Cookies()
        self._open_session = partial(open_session, ca_file=ca_file)
        self._own = _SharedSession(partial(self._open_session, self._proxy))
        self._secrets = (self._hf_token, self._access_token, self._base, proxy or "")
        self.redact = self._redactor(ANYBODY)
        # The way that nearly all calls take; there is none before the Hub has told the address.
        self._usual: SpaceTarget | None = None
        # The way with the session that was used last, for calls without a session of their own.
        self._last: tuple[aiohttp.ClientSession, SpaceTarget] | None = None
        if session is not None and not self._ask_hub:
            self._usual = self._target(ANYBODY, session)

    def reach(
        self, caller: Caller, session: aiohttp.ClientSession | None = None
    ) -> AbstractAsyncContextManager[SpaceTarget]:
        """The Space as this caller reaches it, for one call.

        Args:
            caller: see there.
            session: used and left open, in place of the shared one. With neither, a session is
                opened, which calls share, and closed soon after the last.

        Raises:
            SpaceNotFound: on entering; there is no such Space.
        """
        if self._usual and caller is ANYBODY and session in {None, self._session}:
            return nullcontext(self._usual.for_call())
        return self._reached(caller, session)

    @asynccontextmanager
    async def _reached(
        self, caller: Caller, session: aiohttp.ClientSession | None
    ) -> AsyncIterator[SpaceTarget]:
        # Only the session that was made for a SOCKS proxy dials it, and it dials no other.
        other = caller.proxy is not None and (is_socks(caller.proxy) or is_socks(self._proxy))
        shared = session or (None if other else self._session)
        opened: AbstractAsyncContextManager[aiohttp.ClientSession]
        if shared is not None:
            opened = nullcontext(shared)
        elif other:
            opened = self._open_session(caller.proxy)
        else:
            opened = self._own.use()
        async with opened as used:
            if caller is ANYBODY and self._last is not None and self._last[0] is used:
                yield self._last[1].for_call()
                return
            target = self._target(caller, used)
            if self._ask_hub and target.hub is not None:
                await self._ask(target.hub)
                target = self._target(caller, used)
            if caller is ANYBODY and not self._ask_hub:
                if used is self._session:
                    self._usual = target
                self._last = used, target
            yield target.for_call()

    def _target(self, caller: Caller, session: aiohttp.ClientSession) -> SpaceTarget:
        proxy = caller.proxy or self._proxy
        proxy = None if is_socks(proxy) else proxy
        token = caller.hf_token or self._hf_token
        to_hub = _bearer(token) if self._on_hub else {}
        connect = partial(HttpClient, session, proxy=proxy, timeouts=self._timeouts)
        hub: Hub | None = None
        if self._on_hub:
            http = connect(self.hf_url, headers=to_hub)
            key = _API_KEY if caller.hf_token else (_HF_TOKEN_KEY if token else "")
            hub = Hub(http, self.space, URL(self.api_url).host or "", key)
        credentials = to_hub or _bearer(self._access_token)
        referer = self._referer or f"{self.api_url}?__theme=light"
        space = connect(
            self._cache.base or self._base,
            headers={**credentials, "Referer": referer},
            name=self._label,
            # Another caller's would tell the server that it is this one.
            cookies=self._cookies if caller is ANYBODY else Cookies(),
        )
        return SpaceTarget(GradioClient(space, self._cache), hub)

    async def _ask(self, hub: Hub) -> None:
        """Ask the Hub where the Space is; once it has answered, never again."""
        try:
            address = await hub.address()
        except SpaceUnreachable:
            return  # the usual address, for now
        self._ask_hub = False
        self._take(hub, address)

    def _take(self, hub: Hub, address: str) -> bool:
        """Use what the Hub says of the Space; whether it has moved."""
        self.space = hub.space
        moved = address != self._base
        if not moved or not (is_hugging_face(address) or self.hf_url != HF_URL):
            return False
        self._base = self.api_url = address
        self._on_hub = True
        self._cache.base = ""
        self._usual = self._last = None
        return True

    async def found_again(self, target: SpaceTarget) -> bool:
        """Ask the Hub for a Space that does not answer; whether it has another address by now.

        Args:
            target: asks there from then on.
        """
        if target.hub is None or not self.space:
            return False
        try:
            address = await target.hub.address()
        except ProviderError:
            return False
        if moved := self._take(target.hub, address):
            target.client.cache.forget()
            target.client.http.move(address)
        return moved

    @property
    def gpu_time(self) -> GpuTime:
        """What is known of it, without asking anybody."""
        if not (self._on_hub or (self._ask_hub and self.space)):
            return GpuTime(self.name, limited=False)
        known = self._account.newest if self._hf_token else GpuTime("")
        return replace(known, space=self.name, asks=self.asks.seconds, anonymous=not self._hf_token)

    async def ask_gpu_time(self) -> GpuTime:
        """The same, after the Hub was asked, if there is a token for that; see `Account.left`."""
        if self._hf_token and self.gpu_time.limited:
            session = nullcontext(self._session) if self._session else self._own.use()
            proxy = None if is_socks(self._proxy) else self._proxy
            async with session as used:
                headers = _bearer(self._hf_token)
                http = HttpClient(
                    used, self.hf_url, proxy=proxy, headers=headers, timeouts=self._timeouts
                )
                await self._account.left(http)
        return self.gpu_time

    def redactor(self, caller: Caller) -> Redactor:
        """Takes this Space's credentials, and the caller's, out of what the Space says."""
        return self.redact if caller is ANYBODY else self._redactor(caller)

    def _redactor(self, caller: Caller) -> Redactor:
        cookies = (caller.cookies or {}).values()
        given = (caller.hf_token, caller.proxy or "", *cookies)
        return Redactor(part for each in (*self._secrets, *given) for part in secret_parts(each))

    async def conversation(
        self, target: SpaceTarget, caller: Caller, before: JsonConversation | None
    ) -> JsonConversation:
        """The conversation for a new request, with tokens if the Space is one that knows them.

        Args:
            target: from `reach`.
            caller: the same as there.
            before: of an earlier call, if there was one.
        """
        session_hash = secrets.token_hex(8)
        if target.hub is None or not self.space or caller.hf_token or self._hf_token:
            # No ZeroGPU there, or the account of the token is known by the token.
            if before is None:
                return JsonConversation(session_hash)
            return replace(before, session_hash=session_hash)
        http = target.client.http
        uuid, token = await get_zerogpu_token(
            self.space,
            http.session,
            before,
            caller.cookies,
            proxy=http.proxy,
            hf_url=self.hf_url,
        )
        if before and token == before.zerogpu_token:
            expires = before.token_expires
        else:
            expires = token_expires(token)
        return JsonConversation(session_hash, uuid, token, expires, self.space)

    def join_headers(self, target: SpaceTarget, conversation: JsonConversation) -> dict[str, str]:
        """The ZeroGPU tokens, which belong to joining the queue, of the Space that they are for.

        They go to Hugging Face's hosts and to a server that was given as that Space; a conversation
        that names no Space is of the one that is asked.
        """
        if target.hub is None and not self.space:
            return {}
        if conversation.space not in {"", self.space} and not self._is_at(conversation.space):
            return {}
        headers = {}
        if token := conversation.token_at():
            headers["x-zerogpu-token"] = token
        if conversation.zerogpu_uuid:
            headers["x-zerogpu-uuid"] = conversation.zerogpu_uuid
        return headers

    def _is_at(self, space: str) -> bool:
        """Whether the address of this Space is the usual one of `space`."""
        return not self.space and self.api_url == space_url(space)


class _SharedSession:
    """A session for calls that have none: opened by the first, closed some seconds after the last.

    It is held by an asynchronous generator, which `asyncio.run` closes at its end. So none is left
    open in an event loop that is over.
    """

    def __init__(
        self, opens: Callable[[], AbstractAsyncContextManager[aiohttp.ClientSession]]
    ) -> None:
        self._opens = opens
        self._open: dict[asyncio.AbstractEventLoop, _Opened] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The session, for one call."""
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is None or opened.session.closed:
            self._open = {each: kept for each, kept in self._open.items() if not each.is_closed()}
            holder = self._hold()
            opened = self._open[loop] = _Opened(holder, await anext(holder))
        if opened.timer is not None:
            opened.timer.cancel()
        opened.users += 1
        try:
            yield opened.session
        finally:
            opened.users -= 1
            if not opened.users:
                opened.timer = loop.call_later(KEEP_ALIVE_SECONDS, self._close, loop, opened)

    async def _hold(self) -> AsyncGenerator[aiohttp.ClientSession, None]:
        async with self._opens() as session:
            yield session

    def _close(self, loop: asyncio.AbstractEventLoop, opened: _Opened) -> None:
        if self._open.get(loop) is opened:
            del self._open[loop]
        task = loop.create_task(opened.holder.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


@dataclass(slots=True)
class _Opened:
    holder: AsyncGenerator[aiohttp.ClientSession, None]
    session: aiohttp.ClientSession
    users: int = 0
    timer: asyncio.TimerHandle | None = None


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _root(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigError: it is not the address of a web server.
    """
    shown = url.rpartition("@")[2]  # there may be a password before it
    try:
        address = URL(url)
    except ValueError:
        raise ConfigError(f"{shown!r} is not an address.") from None
    if address.scheme not in {"http", "https"} or not address.host:
        raise ConfigError(f"{shown!r} does not begin with http:// or https:// and a name.")
    return str(address).rstrip("/")
