"""Keeps the adapters serving: each on its own, so that one's trouble is not another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from bot.errors import AdapterError
from bot.metrics import Metrics
from bot.platforms.adapter import Adapter
from bot.turns.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

RESTART_PAUSE_SECONDS = 5.0
"""Before an adapter that broke off is started again."""


class Supervisor:
    """Runs all adapters.

    Args:
        adapters: by name. One named `"web"` is opened already, so that its port is known.
        metrics: told of connections.
        up: called the first time that a platform is connected.
        nobody_left: called when every platform but the web chat has refused the bot.

    Attributes:
        connected: whether each adapter is.
        refused: platforms that do not let the bot in.
    """

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        metrics: Metrics,
        up: Callable[[str], None],
        nobody_left: Callable[[], None],
    ) -> None:
        self._adapters = adapters
        self._metrics = metrics
        self._up = up
        self._nobody_left = nobody_left
        self._been_up: set[str] = set()
        self.connected = dict.fromkeys(adapters, False)
        self.refused: set[str] = set()

    async def run(self, dispatcher: Dispatcher) -> None:
        """Serve until cancelled, or until every platform has refused the bot.

        Cancelling: adapters stop taking messages in; their surfaces go on working until closed.
        """
        await asyncio.gather(
            *(self._keep(adapter, dispatcher) for adapter in self._adapters.values())
        )

    async def _keep(self, adapter: Adapter, dispatcher: Dispatcher) -> None:
        """Serve one platform; the boundary between its faults and the rest of the bot."""
        with structlog.contextvars.bound_contextvars(platform=adapter.name):
            opened = adapter.name == "web"
            while True:
                try:
                    if not opened:
                        await adapter.open()
                    await adapter.serve(dispatcher, lambda up: self._ready(adapter.name, up=up))
                except AdapterError as error:
                    self._give_up(adapter.name, error)
                    return
                except Exception:
                    log.exception(
                        "adapter broke off; it is started again", next_try=RESTART_PAUSE_SECONDS
                    )
                self._ready(adapter.name, up=False)
                await adapter.close()
                opened = False
                await asyncio.sleep(RESTART_PAUSE_SECONDS)

    def _ready(self, name: str, *, up: bool) -> None:
        if self.connected[name] != up:
            log.info("connected" if up else "disconnected")
        self.connected[name] = up
        self._metrics.connected(name, up)
        if up and name not in self._been_up:
            self._been_up.add(name)
            self._up(name)

    def _give_up(self, name: str, error: AdapterError) -> None:
        """A platform refused the bot; the others go on if there are any but the web chat."""
        self.refused.add(name)
        self.connected[name] = False
        log.error(str(error))
        if not self._adapters.keys() - self.refused - {"web"}:
            self._nobody_left()
