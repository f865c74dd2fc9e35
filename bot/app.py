"""The composition root: builds every part from the configuration and runs them together."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from bot.config import Config
from bot.errors import AdapterError, ConfigError, StorageError
from bot.messages import Address, Attachment, ChannelKey
from bot.metrics import Metrics
from bot.parts import allowance, chat_adapters, database_location, has_platform, open_spaces
from bot.platforms.adapter import Adapter
from bot.platforms.web.adapter import WebAdapter
from bot.reply.gates import Gates
from bot.reply.replies import LiveReplies
from bot.reply.surface import Surface
from bot.storage import Database, Pictures, Store
from bot.turn import Turn
from bot.turns.engine import Engine
from bot.turns.ports import Tools

log = structlog.get_logger(__name__)

GRACE = 3.0
"""Seconds that running turns get on SIGTERM. With the last words of the others and the closing of
connections the process ends within 10 s."""

RESTART_PAUSE = 5.0
"""Seconds before an adapter that broke off is started again."""

NO_TOKENS = (
    "No platform is configured: set [telegram] token (from @BotFather) or [discord] token (from "
    "the application's Bot page), or switch the web chat on with [http] enabled = true."
)


class App:
    """A running bot.

    Args:
        config: everything that can be set.
        stand_in: a sentence for the web chat when no real model answers; empty: none.
        announce: called with the web chat's address when it can be opened.
    """

    def __init__(
        self,
        config: Config,
        *,
        stand_in: str = "",
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._announce = announce
        self._stand_in = stand_in
        self._metrics = Metrics()
        self._adapters: dict[str, Adapter] = {}
        self._connected: dict[str, bool] = {}
        self._refused: set[str] = set()
        self._resumed: set[str] = set()
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT.

        Returns:
            The exit code: 0, or 1 if a platform refused the bot.

        Raises:
            ConfigError: there is nothing to serve.
            StorageError: the data folder or the database cannot be used.
            AdapterError: the web chat cannot be opened.
        """
        config = self._config
        if not (has_platform(config) or config.http.enabled):
            raise ConfigError(NO_TOKENS)
        for warning in config.warnings:
            log.warning(warning)
        with _data_folder(config.bot.data_dir), self._signals():
            async with AsyncExitStack() as stack:
                database = await stack.enter_async_context(Database.open(database_location(config)))
                store = Store(database)
                pictures = Pictures(config.bot.data_dir / "images", database)
                spaces = await stack.enter_async_context(open_spaces(config))
                self._build_adapters(stack, _Archive(store, pictures))
                web = self._adapters.get("web")
                if isinstance(web, WebAdapter):
                    await web.open()  # first, because without its port there is nothing to serve
                    self._announce(web.url)
                tools = Tools(
                    store=store,
                    pictures=pictures,
                    provider=spaces,
                    replies=LiveReplies(
                        self._surface, Gates(time.monotonic), store, time.monotonic
                    ),
                    attachments=self,
                    observer=self._metrics,
                    system_prompt=config.bot.system_prompt,
                    history_messages=config.history.messages,
                )
                await self._serve(tools)
        return 1 if self._refused else 0

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        """As `bot.turns.ports.Attachments.fetch`."""
        return await self._adapters[channel.platform].fetch(channel, attachment, limit)

    def _surface(self, address: Address) -> Surface:
        return self._adapters[address.platform].surface(address)

    def _build_adapters(self, stack: AsyncExitStack, archive: _Archive) -> None:
        config = self._config
        adapters: list[Adapter] = []
        if config.http.enabled:
            adapters.append(
                WebAdapter(
                    archive=archive,
                    health=lambda: dict(self._connected),
                    metrics=self._metrics.exposition,
                    spool=config.bot.data_dir / "uploads",
                    host=config.http.host,
                    port=config.http.port,
                    access_token=config.http.access_token.get_secret_value(),
                    stand_in=self._stand_in,
                )
            )
        adapters += chat_adapters(config)
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._connected = dict.fromkeys(self._adapters, False)
        for adapter in adapters:
            stack.push_async_callback(adapter.close)

    async def _serve(self, tools: Tools) -> None:
        if not has_platform(self._config):
            log.info("web chat only; set [telegram] token or [discord] token to add a platform")
        async with asyncio.TaskGroup() as tasks:
            engine = Engine(tools, allowance(self._config), tasks)
            self._metrics.count_unfinished(lambda: engine.unfinished)
            serving = [
                tasks.create_task(self._keep_serving(adapter, engine), name=adapter.name)
                for adapter in self._adapters.values()
            ]
            await self._stop.wait()
            log.info("stopping", unfinished=engine.unfinished)
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            await engine.drain(GRACE)
        log.info("stopped")

    async def _keep_serving(self, adapter: Adapter, engine: Engine) -> None:
        """Serve one platform; the boundary between its faults and the rest of the bot."""
        with structlog.contextvars.bound_contextvars(platform=adapter.name):
            opened = adapter.name == "web"  # done before, so that its port is known
            while True:
                try:
                    if not opened:
                        await adapter.open()
                    await adapter.serve(engine, lambda up: self._ready(adapter, engine, up))
                except AdapterError as error:
                    self._give_up(adapter, error)
                    return
                except Exception:
                    log.exception("adapter broke off; it is started again", again_in=RESTART_PAUSE)
                self._ready(adapter, engine, up=False)
                await adapter.close()
                opened = False
                await asyncio.sleep(RESTART_PAUSE)

    def _ready(self, adapter: Adapter, engine: Engine, up: bool) -> None:
        if self._connected[adapter.name] != up:
            log.info("connected" if up else "disconnected")
        self._connected[adapter.name] = up
        self._metrics.connected(adapter.name, up)
        if up and adapter.name not in self._resumed:
            self._resumed.add(adapter.name)
            engine.resume_later(adapter.name)

    def _give_up(self, adapter: Adapter, error: AdapterError) -> None:
        """A platform refused the bot; the others go on if there are any but the web chat."""
        self._refused.add(adapter.name)
        self._connected[adapter.name] = False
        log.error(str(error))
        if not self._adapters.keys() - self._refused - {"web"}:
            self._stop.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self._stop.set)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)


@dataclass(frozen=True, slots=True)
class _Archive:
    """What the web page reads of the storage."""

    store: Store
    pictures: Pictures

    async def turns(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        return await self.store.turns(channel, limit)

    async def picture(self, key: str) -> tuple[bytes, str]:
        return await self.pictures.get(key)


@contextmanager
def _data_folder(folder: Path) -> Iterator[None]:
    """Create the data folder and keep other processes from working in it.

    Raises:
        StorageError: it cannot be created, or another bot uses it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StorageError(
            f"The data folder {folder} cannot be used ({error.strerror}). Check its owner and "
            "permissions, or set another [bot] data_dir."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"Another janus-bot is running on the data folder {folder}. Stop it first, or set "
                "another [bot] data_dir."
            ) from error
        yield
