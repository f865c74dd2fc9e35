"""One Gradio server: how to reach it, and what it says about itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus

from bot.errors import SpaceUnreachable
from bot.provider.failures import refusal
from bot.provider.gradio_config import Function, SpaceConfig, read_config
from bot.provider.wire import Answer, Wire

MAX_CONFIG = 8 * 1024 * 1024
"""Bytes of `/config`; the original app's has 31 kB."""
MAX_ANSWER = 256 * 1024
"""Bytes of a short answer."""
CONFIG_LIFETIME = 600.0
"""Seconds until `/config` is read again, lest a redeployed Space runs another function."""


class ConfigCache:
    """What is known of one server, shared by all calls to it.

    Args:
        known: see `read_config`.
    """

    def __init__(self, known: Mapping[str, Function]) -> None:
        self.known = known
        self.config: SpaceConfig | None = None
        self.reading = asyncio.Lock()
        self._good_until = 0.0

    def fresh(self) -> SpaceConfig | None:
        """The configuration, if it was read lately."""
        return self.config if time.monotonic() < self._good_until else None

    def keep(self, config: SpaceConfig) -> None:
        """Take a configuration that was read just now."""
        self.config = config
        self._good_until = time.monotonic() + CONFIG_LIFETIME

    def forget(self) -> None:
        """Make the next call read it again."""
        self._good_until = 0.0


class GradioServer:
    """A Gradio server as one call sees it.

    Args:
        wire: its address, and the session that is used.
        cache: what earlier calls learnt of it.
    """

    def __init__(self, wire: Wire, cache: ConfigCache) -> None:
        self.wire = wire
        self.cache = cache

    async def config(self) -> SpaceConfig:
        """What the server says about itself; read once and then kept for `CONFIG_LIFETIME`.

        Raises:
            SpaceUnreachable: no answer, or not one of Gradio.
            ProviderError: the server refuses to say.
        """
        if config := self.cache.fresh():
            return config
        async with self.cache.reading:
            if config := self.cache.fresh():
                return config
            # Not under the prefix: this is where one learns of it.
            answer = await self.wire.fetch("GET", "/config", limit=MAX_CONFIG)
            self.expect_ok(answer)
            read = read_config(answer.json(), self.cache.known)
            if read is None:
                raise self.not_gradio()
            self.cache.keep(read)
            return read

    def expect_ok(self, answer: Answer) -> None:
        """Raise the error for any status but 200, which is Gradio's only one for success."""
        if answer.status != HTTPStatus.OK:
            raise refusal(answer.status, answer.body, answer.headers, self.wire.host)

    def not_gradio(self) -> SpaceUnreachable:
        """The error for an answer that Gradio would not give."""
        return SpaceUnreachable(f"{self.wire.host} answers, but it is not a Gradio server.")
