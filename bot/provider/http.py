"""HTTP to Spaces and to Hugging Face.

Nothing read here is unbounded, in size or in time, and no redirect is followed.
"""

from __future__ import annotations

import json
import secrets
import select
import ssl
from binascii import b2a_base64
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from yarl import URL

from bot.errors import ConfigError, ProviderError, SpaceUnreachable
from bot.files import File
from bot.hosts import same_site
from bot.provider.cookies import Cookies
from bot.provider.errors import http_error, network_error, network_exceptions
from bot.provider.json import parse_json
from bot.support import TooManyBytes, read_bounded

MAX_ANSWER_BYTES = 256 * 1024
"""Of a short answer, where a caller allows no more."""
KEEP_ALIVE_SECONDS = 4.0
"""Until a connection without a request is closed. Gradio's server, uvicorn, does it after five; a
request sent on a connection that it is closing would be lost."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_PIECE_BYTES = 48 * 1024
"""Of a file, encoded at a time: a multiple of three, so that the texts join. Each is 64 kB of text,
which is what aiohttp and asyncio buffer before they wait for the server."""
_RDHUP: int | None = getattr(select, "POLLRDHUP", None)
"""Only Linux has it."""
_FILE_MARK = secrets.token_hex(16)
"""Stands for a file; no text of people can hold it, because it never leaves the process."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each step may take, in seconds.

    Attributes:
        connect: opening a connection.
        answer: a short request, from sending it to the last byte of the answer; joining a queue
            and opening its event stream count as one.
        transfer: an upload or a download of a picture.
        silence: without a byte on an event stream. Gradio sends a heartbeat every 15 s.
        generation: from the moment the function starts; time in the queue does not count, whether
            Gradio or the function itself says that it waits, nor time to load the model.
        cancel: telling the Space that nobody waits any more.
        wake: until a sleeping Space has to answer.
        poll: a pause rather than a limit: between two looks at a Space that wakes.
    """

    connect: float = 15.0
    answer: float = 30.0
    transfer: float = 120.0
    silence: float = 60.0
    generation: float = 300.0
    cancel: float = 2.0
    wake: float = 300.0
    poll: float = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer.

    Attributes:
        host: who gave it, for people.
    """

    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON, or `None` if it is not JSON.

        Raises:
            ProviderError: for any status but 200, which is Gradio's only one for success.
        """
        if self.status != HTTPStatus.OK:
            raise self.error()
        return parse_json(self.body)

    def error(self) -> ProviderError:
        """The error that the status stands for; see `http_error`."""
        return http_error(self.status, self.body, self.headers, self.host)


class HttpClient:
    """Requests to one server.

    Args:
        session: whose connections are used; stays open.
        base: the server's root without a slash at the end.
        proxy: HTTP proxy, or `None`.
        headers: sent with every request, so credentials that this server may see.
        timeouts: see there.
        name: of the server for people, where they should not be told its address.
        cookies: kept for this server; `None` to keep none.

    Raises:
        ConfigError: `proxy` is not an address.

    Attributes:
        host: name and port of the server, or `name`, for people; never a user or a password.
        limits: of a short request: `Timeouts.answer` in all.
        slow: of a picture on its way: `Timeouts.transfer` in all.
        endless: of a request whose caller counts the time; limits connecting only.
    """

    def __init__(  # noqa: PLR0913 - all of it is one server's
        self,
        session: aiohttp.ClientSession,
        base: str,
        *,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        name: str = "",
        cookies: Cookies | None = None,
    ) -> None:
        self.cookies = cookies
        self.session = session
        self.base = base
        self.proxy = proxy
        self.timeouts = timeouts = timeouts or Timeouts()
        address = URL(base)
        port = "" if address.is_default_port() else f":{address.port}"
        self.host = name or f"{address.host_subcomponent}{port}"
        self.limits, self.slow, self.endless = (
            aiohttp.ClientTimeout(total=total, sock_connect=timeouts.connect)
            for total in (timeouts.answer, timeouts.transfer, None)
        )
        self._headers = dict(headers or {})
        try:
            self._proxy = None if proxy is None else URL(proxy)
        except ValueError:
            raise self._unsendable() from None
        if self._proxy is not None and not self._proxy.host:
            raise self._unsendable()  # aiohttp would go past such a proxy without a word

    def for_call(self) -> HttpClient:
        """The same for one call, whose cookies those beside it do not change."""
        client = object.__new__(HttpClient)
        client.__dict__.update(self.__dict__)
        client.cookies = self.cookies and self.cookies.for_call()
        return client

    def move(self, base: str) -> None:
        """Ask at another address of the same server from now on."""
        self.base = base

    def redirected_base(self, path: str, location: str) -> str:
        """The root of the server to which a redirect of `path` leads; `""` if it is not followed.

        Within one site it is. Credentials go to the same host only, and there to another port only
        from http to https as usual.

        Args:
            path: that was asked for, with a slash in front.
            location: as the server names it.
        """
        here = URL(self.base)
        try:
            there = URL(self.base + path, encoded=True).join(URL(location, encoded=True))
            known = (
                there.scheme in {"http", "https"} and there.host and there.raw_path.endswith(path)
            )
            safer = here.scheme == "http" or there.scheme == "https"
            origin = there.origin()
        except ValueError:
            return ""
        if not location or not known or not safer:
            return ""
        usual = there.scheme == "https" and here.is_default_port() and there.is_default_port()
        secret = "Authorization" in self._headers or here.raw_user is not None
        close = origin == here.origin() or (there.host == here.host and usual)
        if not close and (secret or not same_site(here.host or "", there.host or "")):
            return ""
        own = there.with_query(None).with_fragment(None).with_user(here.user)
        own = own.with_password(here.password)
        return str(own).removesuffix(path).rstrip("/")

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        limits: aiohttp.ClientTimeout | None = None,
        **options: Any,
    ) -> aiohttp.ClientResponse:
        """Send a request and return when the answer's headers are there.

        The caller ends the response, with `read` for instance.

        Args:
            method: of HTTP.
            path: begins with a slash, and is encoded.
            headers: beside those of every request.
            limits: in time; `self.limits` if not given.
            options: as `aiohttp.ClientSession.request` takes them.

        Raises:
            ProviderError: there is no answer.
            ConfigError: something is not in a form that can be sent.
        """
        if self.session.closed:
            raise SpaceUnreachable("The bot has closed its connections.")
        sent = {**self._headers, **(headers or {})}
        try:
            url = URL(self.base + path, encoded=True)
            if self.cookies is not None and (cookie := self.cookies.header(url.raw_path)):
                sent["Cookie"] = cookie
            response = await self.session.request(
                method,
                url,
                headers=sent,
                proxy=self._proxy,
                timeout=limits or self.limits,
                allow_redirects=False,
                **options,
            )
        except network_exceptions() as error:
            raise network_error(error, self.host) from error
        except (ValueError, CookieError):
            raise self._unsendable() from None
        if self.cookies is not None and "Set-Cookie" in response.headers:
            self.cookies.remember(response.cookies)
        return response

    async def read(
        self, response: aiohttp.ClientResponse, max_bytes: int = MAX_ANSWER_BYTES
    ) -> Answer:
        """The whole answer, whatever its status; `response` is ended.

        Raises:
            ProviderError: the connection broke, or there are more than `max_bytes`.
        """
        try:
            body = await read_bounded(response.content.iter_any(), max_bytes)
        except TooManyBytes:
            raise SpaceUnreachable(f"{self.host} sends more than anything needs.") from None
        except network_exceptions() as error:
            raise network_error(error, self.host) from error
        finally:
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                # uvicorn hangs up after it, and would lose a request sent meanwhile.
                response.close()
            else:
                response.release()  # or closed, if something of the answer is left
        return Answer(self.host, response.status, response.headers, body)

    async def fetch(
        self, method: str, path: str, *, max_bytes: int = MAX_ANSWER_BYTES, **options: Any
    ) -> Answer:
        """`request` and `read` in one."""
        return await self.read(await self.request(method, path, **options), max_bytes)

    def _unsendable(self) -> ConfigError:
        # aiohttp's own words for it are not used: the values may be secrets.
        return ConfigError(
            f"{self.host} cannot be asked: the address, the proxy, a token or a cookie is not "
            "written as one."
        )


@asynccontextmanager
async def open_session(
    proxy: str | None = None, *, ca_file: str | Path | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for any number of providers, which keeps no cookies; it is closed at the end.

    Args:
        proxy: a SOCKS proxy to dial (`socks4://`, `socks5://` or `socks5h://`). Any other is
            ignored here: an HTTP proxy is given to the provider.
        ca_file: certificates (PEM) of an authority that is trusted beside the usual ones.

    Raises:
        ConfigError: `proxy` begins like a SOCKS proxy and is not an address, or there are no
            certificates in `ca_file`.
    """
    # The number of turns at once is limited elsewhere, and each holds one stream open.
    pool: dict[str, Any] = {"limit": 0, "keepalive_timeout": KEEP_ALIVE_SECONDS}
    if ca_file:
        pool["ssl"] = _trusting(ca_file)
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


def _trusting(ca_file: str | Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(Path(ca_file).expanduser())
    except (OSError, ValueError) as error:  # an `SSLError` is an `OSError`
        why = "no certificates in PEM are in it"
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            why = str(error.strerror)
        raise ConfigError(f"[provider] ca_file {ca_file} cannot be used: {why}.") from None
    return context


def is_socks(proxy: str | None) -> bool:
    """Whether a proxy has to be dialled by the session, because aiohttp speaks only HTTP ones."""
    return proxy is not None and proxy.lower().startswith("socks")


class JsonBody(Payload):
    """A body of JSON in which one `File` may stand, as a data URL that is made while it is sent.

    So a request on its way holds the file, which its sender has anyway, and not its text as well
    until it is answered. With 100 questions at once about photographs of 110 kB the process grows
    by 3 MB, and a turn takes 0.65 of bare aiohttp's CPU time; with the text made beforehand it was
    50 to 80 MB, and 0.84 (`python benchmarks/provider.py`, the lines with 100 at once).

    It can be sent again.

    Args:
        value: anything that JSON can hold, and one `File` at most.

    Raises:
        TypeError: JSON cannot hold something in `value`.
    """

    _autoclose = True  # there is nothing to close

    def __init__(self, value: Any) -> None:
        super().__init__(value, content_type="application/json")
        self._file = b""

        def stand_in(found: object) -> str:
            if not isinstance(found, File):
                raise TypeError(f"{type(found).__name__} cannot be sent as JSON")
            self._file = found.data
            return f"data:{found.media_type};base64,{_FILE_MARK}"

        try:
            text = orjson.dumps(value, stand_in, orjson.OPT_PASSTHROUGH_DATACLASS)
        except orjson.JSONEncodeError:  # it takes no halves of surrogate pairs, for example
            text = json.dumps(value, default=stand_in).encode()
        self._before, _, self._after = text.partition(_FILE_MARK.encode())
        self._size = len(self._before) + -(-len(self._file) // 3) * 4 + len(self._after)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """All of it as text; aiohttp asks for it where it cannot send pieces."""
        file = b2a_base64(self._file, newline=False)
        return (self._before + file + self._after).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it, no faster than the server takes it.

        Raises:
            ConnectionResetError: the server has hung up, so that nothing of it was sent.
        """
        if _hung_up(writer):
            raise ConnectionResetError("the server closed the connection before the request")
        text, rest = self._before, memoryview(self._file)
        while len(rest) > _PIECE_BYTES:
            await writer.write(text + b2a_base64(rest[:_PIECE_BYTES], newline=False))
            text, rest = b"", rest[_PIECE_BYTES:]
        await writer.write(text + b2a_base64(rest, newline=False) + self._after)


def _hung_up(writer: AbstractStreamWriter) -> bool:
    """Whether the other side has closed the connection; the event loop may not have seen it yet."""
    transport = getattr(writer, "transport", None)
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or _RDHUP is None:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _RDHUP)
    return bool(poll.poll(0))


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
