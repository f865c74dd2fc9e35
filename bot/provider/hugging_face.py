"""What Hugging Face knows of a Space: its address, and whether it runs.

Paths and stages are those of huggingface_hub 2.4 and of Gradio's JavaScript client, read in their
source; Hugging Face itself was not asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

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
from bot.provider.responses import Reasoning, Stage
from bot.provider.wire import Wire
from bot.provider.words import plain

HF_URL = "https://huggingface.co"

NOT_UP = (SpaceUnreachable, SpaceNotFound, SpaceBroken)
"""Errors behind which there may be a Space that only has to be woken."""

_MAX_ANSWER = 1024 * 1024
_ADDRESS = re.compile(r"https?://[\w.-]+(:\d{1,5})?/?", re.ASCII)
_ASLEEP = frozenset({"SLEEPING", "STOPPED"})
_STARTING = frozenset({"BUILDING", "APP_STARTING"})
_RUNNING = frozenset({"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"})
_BROKEN = frozenset({"NO_APP_FILE", "CONFIG_ERROR", "BUILD_ERROR", "RUNTIME_ERROR"})


def is_hugging_face(url: str) -> bool:
    """Whether an address is Hugging Face's own or a Space there, so that it may see its tokens."""
    address = URL(url)
    host = address.host or ""
    ours = host == "huggingface.co" or host.endswith(".hf.space")
    # Whoever names a user gives credentials already, which are not to be joined by others.
    return ours and address.scheme == "https" and address.is_default_port() and not address.user


def space_url(space: str) -> str:
    """The usual address of a Space, e.g. `https://me-my-space.hf.space` for `me/my_space`."""
    return f"https://{re.sub(r'[^a-z0-9]+', '-', space.lower()).strip('-')}.hf.space"


def subdomain(url: str) -> str:
    """The first part of the name of a Space's server."""
    return (URL(url).host or "").partition(".")[0]


class Hub:
    """Hugging Face's API for one Space.

    Args:
        wire: to the Hub, with the operator's token if there is one.
        space: `owner/name`, or `""` if only its address is known.
        host_label: first part of the name of its server, used in place of an unknown `space`.
    """

    def __init__(self, wire: Wire, space: str, host_label: str = "") -> None:
        self._wire = wire
        self._name = space or host_label
        self._path = (
            f"/api/spaces/{quote(space)}"
            if space
            else f"/api/spaces/by-subdomain/{quote(host_label)}"
        )

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
                return stage, plain(message) if isinstance(message, str) else ""
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
            ProviderError: paused, broken, gone, or not up within `Patience.wake`.
        """
        patience = self._wire.patience
        clock = asyncio.get_running_loop().time
        end = clock() + patience.wake
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
                await asyncio.sleep(patience.poll)
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
        answer = await self._wire.fetch("GET", self._path + path, limit=_MAX_ANSWER)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise SpaceNotFound(
                f"There is no Space {self._name}, or it is private and the token does not open it."
            )
        if answer.status != HTTPStatus.OK:
            raise SpaceUnreachable(f"{self._wire.host} answers with HTTP {answer.status}.")
        return answer.json()


_NOTES = {
    "SLEEPING": "The Space sleeps; waking it",
    "STOPPED": "The Space sleeps; waking it",
    "BUILDING": "The Space is being built",
    "APP_STARTING": "The Space is starting",
}
