"""Spaces on Hugging Face: where they are, whether they run, and the tokens of their visitors.

Paths and stages are those of huggingface_hub 2.4 and of Gradio's JavaScript client, read in their
source; Hugging Face itself was not asked.
"""

from __future__ import annotations

import asyncio
import base64
import html
import logging
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
from yarl import URL

from bot.errors import (
    ProviderError,
    SpaceAsleep,
    SpaceBroken,
    SpaceBuilding,
    SpaceNotFound,
    SpacePaused,
    SpaceUnreachable,
)
from bot.provider.errors import credentials_refused, plain_text, redirected
from bot.provider.http import REDIRECTS, Answer, HttpClient
from bot.provider.json import parse_json
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
_SPACE_PATH = re.compile(r"/api/spaces/([\w.%-]+/[\w.%-]+)", re.ASCII)
_MAX_REDIRECTS = 3
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


def space_url(space: str) -> str:
    """The usual address of a Space, e.g. `https://me-my-space.hf.space` for `me/my_space`."""
    return f"https://{re.sub(r'[^a-z0-9]+', '-', space.lower()).strip('-')}.hf.space"


class Hub:
    """Hugging Face's API for one Space.

    Args:
        http: to the Hub, with the operator's token if there is one.
        space: `owner/name`, or `""` if only its address is known.
        host: name of its server, whose first part stands for an unknown `space`.
        key: where the token comes from, for people; `""` if there is none.

    Attributes:
        space: as given, or what the Hub says that it is called now.
    """

    def __init__(self, http: HttpClient, space: str, host: str = "", key: str = "") -> None:
        self._http = http
        self._key = key
        label = host.partition(".")[0]
        self.space = space
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
        for _ in range(_MAX_REDIRECTS):
            if answer.status not in REDIRECTS:
                break
            self._rename(answer.headers.get("Location", ""), path)
            answer = await self._http.fetch("GET", self._path + path, max_bytes=_MAX_ANSWER_BYTES)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise self._refusal(answer)
        if answer.status != HTTPStatus.OK:
            raise SpaceUnreachable(f"{answer.host} answers with HTTP {answer.status}.")
        return answer.json()

    def _rename(self, location: str, path: str) -> None:
        """Go on under the name to which the Hub redirects.

        Raises:
            SpaceUnreachable: it leads to something else.
        """
        there = same_origin_path(self._http, location)
        found = _SPACE_PATH.fullmatch(there.removesuffix(path)) if there.endswith(path) else None
        if found is None:
            raise redirected(self._http.host, location)
        new = unquote(found[1])
        _log.warning(
            "the Space %s is now called %s; please name that in the configuration", self._name, new
        )
        self.space = self._name = new
        self._path = f"/api/spaces/{quote(new)}"

    def _refusal(self, answer: Answer) -> ProviderError:
        """A token that is no good is told apart from a Space that it does not open."""
        said = parse_json(answer.body)
        error = said.get("error") if isinstance(said, dict) else None
        code = answer.headers.get("X-Error-Code", "")
        unknown = not isinstance(error, str) or "not found" in error.lower()
        if answer.status == HTTPStatus.UNAUTHORIZED and self._key and not code and not unknown:
            return credentials_refused(f"Hugging Face ({plain_text(str(error))})", self._key)
        if not self._key:
            return SpaceNotFound(
                f"There is no Space {self._name}, or it is private: then it needs an hf_token, "
                "under [[spaces]]."
            )
        return SpaceNotFound(
            f"There is no Space {self._name}, or it is private and the token does not open it: "
            f"look at {self._key}."
        )


def same_origin_path(http: HttpClient, location: str) -> str:
    """The path to which a redirect leads; `""` if that is another server."""
    try:
        there = URL(f"{http.base}/", encoded=True).join(URL(location, encoded=True))
        same = bool(location) and there.origin() == URL(http.base).origin()
    except ValueError:
        return ""
    return there.raw_path if same else ""


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
            With none given, those that the page sets go with the request for a token.
        proxy: HTTP proxy.
        hf_url: the Hub.

    Returns:
        `zerogpu_uuid` and `zerogpu_token`, each `""` if unknown.
    """
    uuid = token = ""
    if conversation is not None:
        uuid = conversation.zerogpu_uuid if conversation.zerogpu_uuid != UNKNOWN_UUID else ""
        token = conversation.token_at() if conversation.space in {"", space} else ""
    if token:
        return uuid, token
    http, path = HttpClient(session, hf_url, proxy=proxy), quote(space)
    try:
        response = await http.request("GET", f"/spaces/{path}", cookies=cookies)
        if response.status in REDIRECTS:
            response.release()
            there = same_origin_path(http, response.headers.get("Location", ""))
            if match := re.fullmatch(r"/spaces/([\w.%-]+/[\w.%-]+)", there, re.ASCII):
                path = match[1]  # the Space was renamed
                response = await http.request("GET", there, cookies=cookies)
        cookies = cookies or {name: each.value for name, each in response.cookies.items()}
        page = await http.read(response, _MAX_PAGE_BYTES)
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
