"""One Space and the way to it: address, session, credentials, and who may see them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace

import aiohttp
from yarl import URL

from bot.errors import ConfigError, SpaceUnreachable
from bot.provider.gradio_server import ConfigCache, GradioServer
from bot.provider.hugging_face import HF_URL, Hub, is_hugging_face, space_url, subdomain
from bot.provider.job import KNOWN
from bot.provider.responses import JsonConversation
from bot.provider.wire import Patience, Wire, is_socks, open_session
from bot.provider.zerogpu import get_zerogpu_token, token_expires


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in one call, where that differs from the provider's own settings.

    Attributes:
        proxy: HTTP or SOCKS proxy.
        cookies: of huggingface.co.
        hf_token: token of a Hugging Face account.
    """

    proxy: str | None = None
    cookies: Mapping[str, str] | None = field(default=None, repr=False)
    hf_token: str = field(default="", repr=False)


ANYBODY = Caller()
"""Everybody who brings nothing along."""


@dataclass(frozen=True, slots=True)
class Place:
    """A Space as one call sees it.

    Attributes:
        server: the Gradio server.
        hub: what Hugging Face knows of it; `None` for a server elsewhere.
        name: its id, or its address if it is a server elsewhere.
    """

    server: GradioServer
    hub: Hub | None
    name: str


class Access:
    """Finds a Space for calls.

    Args:
        space: `owner/name`, or `""` if only the address is known.
        api_url: root of the Gradio server; `""` to ask the Hub for it.
        hf_url: root of the Hub.
        hf_token: sent to the Hub and to Spaces there, and nowhere else.
        session: used and left open; `None` to open one for each call.
        proxy: HTTP or SOCKS proxy.
        patience: time limits.

    Raises:
        ConfigError: an address that is none.
    """

    def __init__(  # noqa: PLR0913 - all of it is one place's
        self,
        *,
        space: str,
        api_url: str,
        hf_url: str = HF_URL,
        hf_token: str = "",
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        patience: Patience,
    ) -> None:
        self.space = space
        self.hf_url = _root(hf_url)
        # An address may hold a user and a password, which are for its server and for nobody else.
        self._base = _root(api_url or space_url(space))
        self.api_url = str(URL(self._base).with_user(None)).rstrip("/")
        self._ask_hub = not api_url
        self._on_hub = is_hugging_face(self._base)
        self._hf_token = hf_token.strip()
        self._session = session
        self._proxy = proxy or None
        self._patience = patience
        self._cache = ConfigCache(KNOWN)
        self._usual: Place | None = None

    @property
    def name(self) -> str:
        """What recipes and reports call this Space: its id, or its address."""
        return self.space or self.api_url

    def shared_session(self, caller: Caller) -> aiohttp.ClientSession | None:
        """The session that all calls share, if there is one and this caller can use it."""
        # Only the session that was made for a SOCKS proxy dials it, and it dials no other.
        other = caller.proxy is not None and (is_socks(caller.proxy) or is_socks(self._proxy))
        return None if other else self._session

    def session(self, caller: Caller) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """The session for one call: the shared one, which stays open, or one of its own."""
        if shared := self.shared_session(caller):
            return nullcontext(shared)
        return open_session(caller.proxy or self._proxy)

    async def find(self, caller: Caller, session: aiohttp.ClientSession) -> Place:
        """The Space as this caller sees it.

        Raises:
            SpaceNotFound: there is no such Space.
        """
        usual = caller is ANYBODY and session is self._session
        if usual and self._usual is not None:
            return self._usual
        proxy = caller.proxy or self._proxy
        proxy = None if is_socks(proxy) else proxy
        token = caller.hf_token or self._hf_token
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        hub: Hub | None = None
        if self._ask_hub or self._on_hub:
            wire = Wire(session, self.hf_url, proxy, bearer, self._patience)
            hub = Hub(wire, self.space, subdomain(self.api_url))
            if self._ask_hub:
                await self._ask(hub)
        if not self._on_hub:
            hub, bearer = None, {}
        wire = Wire(session, self._base, proxy, bearer, self._patience)
        place = Place(GradioServer(wire, self._cache), hub, self.name)
        if usual and not self._ask_hub:
            self._usual = place
        return place

    async def _ask(self, hub: Hub) -> None:
        """Ask the Hub where the Space is; once it has answered, never again."""
        try:
            address = await hub.address()
        except SpaceUnreachable:
            return  # the usual address, for now
        self._ask_hub = False
        # Another Hub than Hugging Face's is trusted about its Spaces as that is about its own.
        if is_hugging_face(address) or self.hf_url != HF_URL:
            self._base = self.api_url = address
            self._on_hub = True

    async def conversation(
        self, place: Place, caller: Caller, before: JsonConversation
    ) -> JsonConversation:
        """The conversation for a new request, with tokens if the Space is one that knows them.

        Args:
            place: from `find`.
            caller: the same as there.
            before: of an earlier call, or an empty one.
        """
        session_hash = secrets.token_hex(8)
        if place.hub is None or not self.space or caller.hf_token or self._hf_token:
            # No ZeroGPU there, or the account of the token is known by the token.
            return replace(before, session_hash=session_hash)
        wire = place.server.wire
        uuid, token = await get_zerogpu_token(
            self.space,
            wire.session,
            before,
            caller.cookies,
            proxy=wire.proxy,
            hf_url=self.hf_url,
        )
        kept = token == before.zerogpu_token
        expires = before.token_expires if kept else token_expires(token)
        return JsonConversation(session_hash, uuid, token, expires, self.space)

    def join_headers(self, place: Place, conversation: JsonConversation) -> dict[str, str]:
        """Headers that belong to joining the queue; tokens only where the Space is their own."""
        headers = {"Referer": f"{self.api_url}?__theme=light"}
        if place.hub is not None and conversation.space == self.space:
            if token := conversation.token_at():
                headers["x-zerogpu-token"] = token
            if conversation.zerogpu_uuid:
                headers["x-zerogpu-uuid"] = conversation.zerogpu_uuid
        return headers


def _root(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigError: it is not the address of a web server.
    """
    try:
        address = URL(url)
    except ValueError:
        raise ConfigError(f"{url!r} is not an address.") from None
    if address.scheme not in {"http", "https"} or not address.host:
        raise ConfigError(f"{url!r} does not begin with http:// or https:// and a name.")
    return str(address).rstrip("/")
