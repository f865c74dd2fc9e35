"""HTTP to Spaces and to Hugging Face.

Nothing read here is unbounded, in size or in time, and no redirect is followed.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError
from typing import Any

import aiohttp
from yarl import URL

from bot.errors import ConfigError, SpaceUnreachable
from bot.provider import json_text
from bot.provider.faults import foreign, translate


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, in seconds.

    Attributes:
        connect: opening a connection.
        answer: a short request, from sending it to the last byte of the answer; joining a queue
            and opening its event stream count as one.
        transfer: an upload or a download of a picture.
        silence: no byte on an event stream. Gradio sends a heartbeat every 15 s.
        generation: from the moment the function starts; time in the queue does not count.
        cancel: telling the Space that nobody waits any more.
        wake: until a sleeping Space has to answer.
        poll: between two looks at a Space that wakes.
    """

    connect: float = 15.0
    answer: float = 30.0
    transfer: float = 120.0
    silence: float = 60.0
    generation: float = 300.0
    cancel: float = 2.0
    wake: float = 300.0
    poll: float = 2.0

    def within(self, seconds: float | None) -> aiohttp.ClientTimeout:
        """Limits of one request: on connecting, and on all of it; `None` for no limit on that."""
        return _limits(seconds, self.connect)


IDLE = 4.0
"""Seconds until a connection without a request is closed. Gradio's server, uvicorn, does it after
five; a request sent on one that it is closing would be lost."""


@functools.lru_cache(maxsize=64)
def _limits(total: float | None, connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=connect)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON, or `None` if it is not JSON."""
        try:
            return json_text.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Wire:
    """Requests to one server.

    Attributes:
        session: whose connections are used; stays open.
        base: the server's root without a slash at the end.
        proxy: HTTP proxy, or `None`.
        headers: sent with every request, so credentials that this server may have.
        patience: time limits.
    """

    session: aiohttp.ClientSession
    base: str
    proxy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: Patience = field(default_factory=Patience)

    @property
    def host(self) -> str:
        """Name and port of the server, for people; never a user name or password in it."""
        address = URL(self.base)
        port = "" if address.is_default_port() else f":{address.port}"
        return f"{address.host}{port}"

    async def start(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own limits
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> aiohttp.ClientResponse:
        """Send a request and return when the answer's headers are there.

        The caller closes the response; `path` begins with a slash.

        Raises:
            ProviderError: there is no answer.
            ConfigError: something is not in a form that can be sent.
        """
        if self.session.closed:
            raise SpaceUnreachable("The bot has closed its connections.")
        try:
            return await self.session.request(
                method,
                URL(self.base + path, encoded=True),
                headers={**self.headers, **(headers or {})},
                proxy=_dialled(self.proxy),
                timeout=timeout or self.patience.within(self.patience.answer),
                allow_redirects=False,
                **options,
            )
        except foreign() as error:
            raise translate(error, self.host) from error
        except (ValueError, CookieError):
            # aiohttp's words for what it cannot send; the values may be secrets.
            raise ConfigError(
                f"{self.host} cannot be asked: the address, the proxy, a token or a cookie is not "
                "written as one."
            ) from None

    async def listen(self, path: str) -> aiohttp.ClientResponse:
        """Ask for an event stream and return when it begins.

        There is no time limit but on connecting: aiohttp would count all of the stream. The caller
        sets one, and ends the stream with `finish`.

        Raises:
            ProviderError: there is no answer.
        """
        accept, endless = {"Accept": "text/event-stream"}, self.patience.within(None)
        return await self.start("GET", path, headers=accept, timeout=endless)

    def finish(self, response: aiohttp.ClientResponse) -> None:
        """Give the connection of `response` back, or close it.

        It is closed if something of the answer was left, and after a 5xx: uvicorn closes it then,
        and a request sent on it meanwhile would be lost.
        """
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or not response.content.at_eof():
            response.close()
        else:
            response.release()

    async def read(self, response: aiohttp.ClientResponse, *, limit: int) -> Answer:
        """The whole answer; `response` is closed then.

        Args:
            response: from `start`.
            limit: bytes that the answer may have.

        Raises:
            ProviderError: the connection broke, or there are more than `limit` bytes.
        """
        body = bytearray()
        try:
            while chunk := await response.content.readany():
                body += chunk
                if len(body) > limit:
                    raise SpaceUnreachable(f"{self.host} sends more than anything needs.")
        except foreign() as error:
            raise translate(error, self.host) from error
        finally:
            self.finish(response)
        return Answer(response.status, response.headers, bytes(body))

    async def fetch(self, method: str, path: str, *, limit: int, **options: Any) -> Answer:
        """`start` and `read`: the whole answer, whatever its status is."""
        return await self.read(await self.start(method, path, **options), limit=limit)


@asynccontextmanager
async def open_session(proxy: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for Spaces: no cookies are kept, and a SOCKS proxy is dialled if one is given.

    One session serves any number of providers. HTTP proxies are given to each request instead.

    Args:
        proxy: `socks4://`, `socks5://` or `socks5h://`; anything else is ignored here.

    Raises:
        ConfigError: it begins like a SOCKS proxy and is not an address.
    """
    # The number of turns at once is limited elsewhere, and each holds one stream open.
    pool: dict[str, Any] = {"limit": 0, "keepalive_timeout": IDLE}
    connector: aiohttp.BaseConnector | None = None
    if is_socks(proxy):
        from aiohttp_socks import ProxyConnector  # noqa: PLC0415 - most people have no proxy

        try:
            # The proxy resolves names in any case (rdns), which is what socks5h means.
            address = str(proxy).replace("socks5h:", "socks5:", 1)
            connector = ProxyConnector.from_url(address, **pool)
        except ValueError:
            raise ConfigError("provider.proxy is not the address of a SOCKS proxy.") from None
    else:
        connector = aiohttp.TCPConnector(**pool)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        yield session


def is_socks(proxy: str | None) -> bool:
    """Whether a proxy has to be dialled by the session, because aiohttp speaks only HTTP ones."""
    return proxy is not None and proxy.lower().startswith("socks")


def _dialled(proxy: str | None) -> URL | None:
    """The proxy's address; aiohttp would go past one without a host, with no word of it."""
    if proxy is None:
        return None
    address = URL(proxy)
    if not address.host:
        raise ValueError("a proxy without a host")
    return address


class PendingResponse:
    """A response on its way: `await` it and close it yourself, or use `async with`."""

    def __init__(self, request: Coroutine[Any, Any, aiohttp.ClientResponse]) -> None:
        self._request = request
        self._response: aiohttp.ClientResponse | None = None

    def __await__(self) -> Generator[Any, None, aiohttp.ClientResponse]:
        return self._request.__await__()

    async def __aenter__(self) -> aiohttp.ClientResponse:
        self._response = await self._request
        return self._response

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            self._response.close()
