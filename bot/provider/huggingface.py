"""Spaces on Hugging Face: where they are, whether they run, and who may see which token.

Paths and stages are those of huggingface_hub 2.4 and of Gradio's JavaScript client, read in their
source; Hugging Face itself was not asked.
"""

from __future__ import annotations

import asyncio
import base64
import html
import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from bot.errors import (
    ConfigError,
    ProviderError,
    SpaceAsleep,
    SpaceBroken,
    SpaceBuilding,
    SpaceNotFound,
    SpacePaused,
    SpaceUnreachable,
)
from bot.hosts import is_hugging_face
from bot.provider.errors import plain_text
from bot.provider.gradio.client import ConfigCache, GradioClient
from bot.provider.http import HttpClient, Timeouts, is_socks, open_session
from bot.provider.json import parse_json
from bot.provider.prompt import KNOWN_FUNCTIONS
from bot.provider.responses import JsonConversation, Reasoning, Stage

HF_URL = "https://huggingface.co"

NOT_UP = (SpaceUnreachable, SpaceNotFound, SpaceBroken)
"""Errors behind which there may be a Space that only has to be woken."""

TOKEN_SECONDS = 600.0
"""That a ZeroGPU token is asked for, and assumed to last if it does not say."""
UNKNOWN_UUID = "[object Object]"
"""What some clients send for a uuid that they do not have; the same as none."""
_TOKEN_MARGIN_SECONDS = 30.0
"""By which a token counts as over too early, rather than on its way to the Space."""
_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_PAGE_BYTES = 8 * 1024 * 1024

_JWT = re.compile(r"[\w.~+/=-]+", re.ASCII)
_TOKEN_ON_PAGE = re.compile(rf'"token":"({_JWT.pattern})"', re.ASCII)
_UUID_ON_PAGE = re.compile(r'"sessionUuid":"([\w-]+)"', re.ASCII)
_ADDRESS = re.compile(r"https?://[\w.-]+(:\d{1,5})?/?", re.ASCII)

_ASLEEP = frozenset({"SLEEPING", "STOPPED"})
_STARTING = frozenset({"BUILDING", "APP_STARTING"})
_RUNNING = frozenset({"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"})
_BROKEN = frozenset({"NO_APP_FILE", "CONFIG_ERROR", "BUILD_ERROR", "RUNTIME_ERROR"})
_NOTES = {
    "SLEEPING": "The Space sleeps; waking it",
    "STOPPED": "The Space sleeps; waking it",
    "BUILDING": "The Space is being built",
    "APP_STARTING": "The Space is starting",
}

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class SpaceTarget:
    """A Space as one caller reaches it.

    Attributes:
        client: of its Gradio server.
        hub: what Hugging Face knows of it; `None` for a server elsewhere.
    """

    client: GradioClient
    hub: Hub | None


class SpaceAccess:
    """The way to one Space: its address, a session, credentials, and who may see them.

    Args:
        space: `owner/name`, or `""` if only the address is known.
        api_url: root of the Gradio server; `""` to ask the Hub for it.
        hf_url: root of the Hub. One other than Hugging Face's is believed about where its own
            Spaces are.
        hf_token: sent to the Hub and to Spaces there, and nowhere else.
        access_token: sent to `api_url` and nowhere else, unless it is a Space of the Hub that is
            known by its id, or there is an `hf_token` for it.
        session: used and left open; `None` to open one for each call.
        proxy: HTTP or SOCKS proxy.
        timeouts: see there.

    Raises:
        ConfigError: `api_url`, `hf_url` or `proxy` is not an address.

    Attributes:
        name: what recipes and reports call this Space: its id, or its address.
        api_url: without a user or a password.
    """

    def __init__(  # noqa: PLR0913 - all of it is one Space's
        self,
        *,
        space: str,
        api_url: str,
        hf_url: str = HF_URL,
        hf_token: str = "",
        access_token: str = "",
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        timeouts: Timeouts,
    ) -> None:
        self.space = space
        self.hf_url = _root(hf_url)
        # An address may hold a user and a password, which are for its server and for nobody else.
        self._base = _root(api_url or space_url(space))
        self.api_url = str(URL(self._base).with_user(None)).rstrip("/")
        self.name = space or self.api_url
        self._ask_hub = not api_url
        self._on_hub = is_hugging_face(self._base)
        self._hf_token = hf_token.strip()
        self._access_token = "" if self._on_hub and space else access_token.strip()
        self._session = session
        self._proxy = proxy or None
        self._timeouts = timeouts
        self._cache = ConfigCache(KNOWN_FUNCTIONS)
        # The way that nearly all calls take; there is none before the Hub has told the address.
        self._usual: SpaceTarget | None = None
        if session is not None and not self._ask_hub:
            self._usual = self._target(ANYBODY, session)

    def reach(
        self, caller: Caller, session: aiohttp.ClientSession | None = None
    ) -> AbstractAsyncContextManager[SpaceTarget]:
        """The Space as this caller reaches it, for one call.

        Args:
            caller: see there.
            session: used and left open, in place of the shared one. With neither, a session is
                opened for this call.

        Raises:
            SpaceNotFound: on entering; there is no such Space.
        """
        if self._usual and caller is ANYBODY and session in {None, self._session}:
            return nullcontext(self._usual)
        return self._reached(caller, session)

    @asynccontextmanager
    async def _reached(
        self, caller: Caller, session: aiohttp.ClientSession | None
    ) -> AsyncIterator[SpaceTarget]:
        # Only the session that was made for a SOCKS proxy dials it, and it dials no other.
        other = caller.proxy is not None and (is_socks(caller.proxy) or is_socks(self._proxy))
        shared = session or (None if other else self._session)
        opened = nullcontext(shared) if shared else open_session(caller.proxy or self._proxy)
        async with opened as used:
            target = self._target(caller, used)
            if self._ask_hub and target.hub is not None:
                await self._ask(target.hub)
                target = self._target(caller, used)
            if caller is ANYBODY and used is self._session and not self._ask_hub:
                self._usual = target
            yield target

    def _target(self, caller: Caller, session: aiohttp.ClientSession) -> SpaceTarget:
        proxy = caller.proxy or self._proxy
        proxy = None if is_socks(proxy) else proxy
        token = caller.hf_token or self._hf_token
        to_hub = _bearer(token) if self._on_hub else {}
        connect = partial(HttpClient, session, proxy=proxy, timeouts=self._timeouts)
        hub: Hub | None = None
        if self._on_hub:
            http = connect(self.hf_url, headers=to_hub)
            hub = Hub(http, self.space, URL(self.api_url).host or "")
        space = connect(self._base, headers=to_hub or _bearer(self._access_token))
        return SpaceTarget(GradioClient(space, self._cache), hub)

    async def _ask(self, hub: Hub) -> None:
        """Ask the Hub where the Space is; once it has answered, never again."""
        try:
            address = await hub.address()
        except SpaceUnreachable:
            return  # the usual address, for now
        self._ask_hub = False
        if is_hugging_face(address) or self.hf_url != HF_URL:
            self._base = self.api_url = address
            self._on_hub = True

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
        """Headers that belong to joining the queue; tokens only where the Space is their own."""
        headers = {"Referer": f"{self.api_url}?__theme=light"}
        if target.hub is not None and conversation.space == self.space:
            if token := conversation.token_at():
                headers["x-zerogpu-token"] = token
            if conversation.zerogpu_uuid:
                headers["x-zerogpu-uuid"] = conversation.zerogpu_uuid
        return headers


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


def space_url(space: str) -> str:
    """The usual address of a Space, e.g. `https://me-my-space.hf.space` for `me/my_space`."""
    return f"https://{re.sub(r'[^a-z0-9]+', '-', space.lower()).strip('-')}.hf.space"


class Hub:
    """Hugging Face's API for one Space.

    Args:
        http: to the Hub, with the operator's token if there is one.
        space: `owner/name`, or `""` if only its address is known.
        host: name of its server, whose first part stands for an unknown `space`.
    """

    def __init__(self, http: HttpClient, space: str, host: str = "") -> None:
        self._http = http
        label = host.partition(".")[0]
        self._name = space or label
        by = f"/{quote(space)}" if space else f"/by-subdomain/{quote(label)}"
        self._path = f"/api/spaces{by}"

    async def address(self) -> str:
        """The root of the Space's server.

        Raises:
            SpaceNotFound: no such Space, or it is private and the token does not open it.
            SpaceUnreachable: the Hub does not answer.
        """
        match await self._get("/host"):
            case {"host": str(host)} if _ADDRESS.fullmatch(host):
                return host.rstrip("/")
            case _:
                return space_url(self._name)

    async def stage(self) -> tuple[str, str]:
        """The stage of the Space, e.g. `"RUNNING"`, and its error message, `""` if none.

        Raises:
            SpaceNotFound: as in `address`.
            SpaceUnreachable: the Hub does not answer, or does not tell.
        """
        match await self._get(""):
            case {"runtime": {"stage": str(stage), **rest}}:
                message = rest.get("errorMessage")
                return stage, plain_text(message) if isinstance(message, str) else ""
            case _:
                raise SpaceUnreachable(f"Hugging Face does not tell whether {self._name} runs.")

    async def wake(
        self, probe: Callable[[], Awaitable[object]], reason: ProviderError
    ) -> AsyncGenerator[Reasoning, None]:
        """Wait for a Space that gave no answer, as long as waiting can help.

        Args:
            probe: asks the Space anything, which is also what wakes it; raises one of `NOT_UP`.
            reason: why it is thought not to be up; raised if the Hub knows nothing better.

        Yields:
            The stage each time that it is looked at.

        Raises:
            ProviderError: paused, broken, gone, or not up within `Timeouts.wake`.
        """
        timeouts = self._http.timeouts
        clock = asyncio.get_running_loop().time
        end = clock() + timeouts.wake
        waited = False
        while True:
            try:
                stage, message = await self.stage()
            except SpaceUnreachable:
                raise reason from None
            # Just after the start the stage is ahead of the proxy in front of the Space.
            waits = stage in _ASLEEP | _STARTING or (waited and stage in _RUNNING)
            if not waits or clock() >= end:
                raise self._error(stage, message, reason) from reason
            yield Reasoning(Stage.WAKING, note=_NOTES.get(stage, ""))
            waited = True
            try:
                await probe()
            except NOT_UP:
                await asyncio.sleep(timeouts.poll)
            else:
                return

    async def explain(self, reason: ProviderError) -> ProviderError:
        """The better error for a Space that gave no answer, if the Hub knows why."""
        try:
            stage, message = await self.stage()
        except SpaceUnreachable:
            return reason
        return self._error(stage, message, reason)

    def _error(self, stage: str, message: str, reason: ProviderError) -> ProviderError:
        name = f"The Space {self._name}"
        if stage in _ASLEEP:
            return SpaceAsleep(f"{name} sleeps and did not wake in time.", retry_after=60)
        if stage in _STARTING:
            return SpaceBuilding(f"{name} is being built or started.", retry_after=60)
        if stage == "PAUSED":
            return SpacePaused(f"{name} was paused by its author.")
        if stage in _BROKEN:
            return SpaceBroken(f"{name} is broken ({stage.lower()}). {message}".rstrip())
        if stage == "DELETING":
            return SpaceNotFound(f"{name} is being deleted.")
        return reason

    async def _get(self, path: str) -> Any:
        answer = await self._http.fetch("GET", self._path + path, max_bytes=_MAX_ANSWER_BYTES)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise SpaceNotFound(
                f"There is no Space {self._name}, or it is private and the token does not open it."
            )
        if answer.status != HTTPStatus.OK:
            raise SpaceUnreachable(f"{answer.host} answers with HTTP {answer.status}.")
        return answer.json()


async def get_zerogpu_token(
    space: str,
    session: aiohttp.ClientSession,
    conversation: JsonConversation | None = None,
    cookies: Mapping[str, str] | None = None,
    *,
    proxy: str | None = None,
    hf_url: str = HF_URL,
) -> tuple[str, str]:
    """Ask Hugging Face for the tokens by which a ZeroGPU Space tells its visitors apart.

    A browser gets them from the page that the Space is embedded in, and sends them only when it
    joins the queue (Gradio's JavaScript client, `x-zerogpu-token` and `x-zerogpu-uuid`). Not
    getting one is not an error: the call then goes on anonymously, and counts against the quota of
    the network address.

    Args:
        space: `owner/name`.
        session: used for the requests and left open.
        conversation: its uuid is kept, and its token while that is good for this Space.
        cookies: of huggingface.co, for the quota of an account there. Sent to `hf_url` only.
        proxy: HTTP proxy.
        hf_url: the Hub.

    Returns:
        `zerogpu_uuid` and `zerogpu_token`, each `""` if unknown.
    """
    uuid = conversation.zerogpu_uuid if conversation else ""
    token = conversation.token_at() if conversation and conversation.space == space else ""
    if token:
        return uuid, token
    http, path = HttpClient(session, hf_url, proxy=proxy), quote(space)
    try:
        page = await http.fetch(
            "GET", f"/spaces/{path}", max_bytes=_MAX_PAGE_BYTES, cookies=cookies
        )
        text = html.unescape(page.body.decode("utf-8", "replace"))
        if not uuid and (match := _UUID_ON_PAGE.search(text)):
            uuid = match[1]
        if match := _TOKEN_ON_PAGE.search(text):
            token = match[1]
        if cookies:
            until = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)
            wanted = quote(until.isoformat(timespec="milliseconds"), safe="")
            query = f"expiration={wanted}&include_pro_status=true"
            answer = await http.fetch("GET", f"/api/spaces/{path}/jwt?{query}", cookies=cookies)
            match answer.json():
                case {"token": str(own)} if _JWT.fullmatch(own):
                    token = own
                case _:
                    pass
    except ProviderError as error:
        _log.debug("no ZeroGPU token for %s: %s", space, error)
    return uuid, token


def token_expires(token: str) -> float:
    """Unix time until which a token should be used: the `exp` of the JWT, less a margin."""
    if not token:
        return 0.0
    now = time.time()
    try:
        part = token.split(".")[1]
        claims = parse_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return float(claims["exp"]) - _TOKEN_MARGIN_SECONDS
    except (ValueError, LookupError, TypeError, OverflowError):
        return now + TOKEN_SECONDS - _TOKEN_MARGIN_SECONDS
