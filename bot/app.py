"""The composition root: builds every part from the configuration and runs them together."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path

import structlog

from bot.builders import (
    chat_adapters,
    defaults,
    has_platform,
    open_spaces,
    open_storage,
    policy,
)
from bot.config import Config
from bot.errors import ConfigError, StorageError
from bot.housekeeping import follow, keep_house
from bot.i18n import Catalogue
from bot.image.worker import PictureWorker
from bot.metrics import Metrics
from bot.own_space import OwnSpace
from bot.platforms.adapter import Adapter, Served
from bot.provider import Spaces
from bot.provider.quota import described
from bot.reply.rate_limiter import RateLimiter
from bot.supervisor import Supervisor
from bot.turns.data_requests import DataRequests
from bot.turns.dispatcher import Dispatcher
from bot.turns.engine import Engine
from bot.turns.services import Services
from bot.turns.settings import ChannelSettings
from bot.turns.transcripts import Transcripts

log = structlog.get_logger(__name__)

_MB = 1_000_000
_LOOK_SECONDS = 120.0
"""Between two looks at how much GPU time the accounts have left."""
_GRACE_SECONDS = 3.0
"""What running turns get on SIGTERM. With the last words of the others and the closing of
connections the process ends within 10 s."""

_NO_PLATFORM = (
    "No platform is configured: set [telegram] token (from @BotFather) or [discord] token (from "
    "the application's Bot page), or switch the web chat on with [http] enabled = true."
)


class App:
    """A running bot.

    Args:
        config: everything that can be set.
        follow: the configuration file, and how to load it anew; `None` if it is not followed.
        stand_in: a sentence for the web chat when no real model answers; empty: none.
        announce: called with the web chat's address when it can be opened.
        own_space: makes the Space that is started for a model of `[[spaces]]`.
    """

    def __init__(
        self,
        config: Config,
        *,
        follow: tuple[Path, Callable[[], Config]] | None = None,
        stand_in: str = "",
        announce: Callable[[str], None] = lambda _: None,
        own_space: Callable[[str], OwnSpace] = OwnSpace.of_model,
    ) -> None:
        self._config = config
        self._follow = follow
        self._announce = announce
        self._own_space = own_space
        self._stand_in = stand_in
        self._metrics = Metrics()
        self._adapters: dict[str, Adapter] = {}
        self._connected: dict[str, bool] = {}
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
            raise ConfigError(_NO_PLATFORM)
        for warning in config.warnings:
            log.warning(warning)
        with _data_folder(config.bot.data_dir), self._signals():
            async with AsyncExitStack() as stack:
                storage = await stack.enter_async_context(open_storage(config))
                worker = await stack.enter_async_context(PictureWorker())
                spaces = await stack.enter_async_context(
                    open_spaces(config, self._own_space, shows_addresses=False)
                )
                catalogue = Catalogue()
                await self._build_adapters(stack, Transcripts(storage), catalogue)
                services = Services(
                    storage=storage,
                    picture_worker=worker,
                    provider=spaces,
                    platforms=self._adapters,
                    settings=ChannelSettings(
                        storage.channels, catalogue, defaults(config), config.bot.language
                    ),
                    metrics=self._metrics,
                    rate_limiter=RateLimiter(time.monotonic),
                    slots=lambda: spaces.slots,
                    quota_wait=config.provider.quota_wait,
                    drawings_left=lambda: spaces.calls_left,
                )
                refused = await self._serve(services, spaces)
        return 1 if refused else 0

    async def _build_adapters(
        self, stack: AsyncExitStack, transcripts: Transcripts, catalogue: Catalogue
    ) -> None:
        adapters = list(chat_adapters(self._config, catalogue))
        for adapter in adapters:
            stack.push_async_callback(adapter.close)
        if self._config.http.enabled:
            adapters.insert(0, await self._open_web(stack, transcripts, catalogue, adapters))
        self._adapters = {adapter.name: adapter for adapter in adapters}

    async def _open_web(
        self,
        stack: AsyncExitStack,
        transcripts: Transcripts,
        catalogue: Catalogue,
        others: Sequence[Adapter],
    ) -> Adapter:
        """The web chat, open already: without its port there is nothing to serve."""
        from bot.platforms.web.adapter import WebAdapter  # noqa: PLC0415 - not all bots serve HTTP

        config = self._config
        web = WebAdapter(
            transcripts=transcripts,
            health=lambda: dict(self._connected),
            metrics=self._metrics.exposition,
            folder=config.bot.data_dir / "uploads",
            host=config.http.host,
            port=config.http.port,
            access_token=config.http.access_token.get_secret_value(),
            stand_in=self._stand_in,
            catalogue=catalogue,
            language=config.bot.language,
            extra=[
                route
                for adapter in others
                if isinstance(adapter, Served)
                for route in adapter.routes()
            ],
        )
        stack.push_async_callback(web.close)
        await web.open()
        self._announce(web.url)
        return web

    async def _serve(self, services: Services, spaces: Spaces) -> bool:
        """Serve until asked to stop; returns whether a platform refused the bot."""
        if not has_platform(self._config):
            log.info("web chat only; set [telegram] token or [discord] token to add a platform")
        async with asyncio.TaskGroup() as tasks:
            engine = Engine(services, lambda: dispatcher.policy, tasks)
            dispatcher = self._dispatcher(engine, services, spaces)
            supervisor = Supervisor(
                self._adapters, self._metrics, engine.resume_later, self._stop.set
            )
            self._connected = supervisor.connected
            self._metrics.count_unfinished(lambda: engine.unfinished)
            self._metrics.watch_gpu_time(lambda: spaces.gpu_time)
            beside = [
                tasks.create_task(_watch_gpu_time(spaces), name="GPU time"),
                tasks.create_task(supervisor.run(dispatcher), name="supervisor"),
                tasks.create_task(
                    keep_house(
                        services.storage.records,
                        services.settings,
                        self._config.storage.max_pictures_mb * _MB,
                    ),
                    name="housekeeping",
                ),
            ]
            if self._follow is not None:
                following = follow(*self._follow, partial(_apply, dispatcher, services.settings))
                beside.append(tasks.create_task(following, name="configuration"))
            await self._stop.wait()
            log.info("stopping", unfinished=engine.unfinished)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await engine.drain(_GRACE_SECONDS)
        log.info("stopped")
        return bool(supervisor.refused)

    def _dispatcher(self, engine: Engine, services: Services, spaces: Spaces) -> Dispatcher:
        async def examine() -> AsyncIterator[str]:
            from bot.commands.doctor import look_around  # noqa: PLC0415 - few ever ask

            async for finding in look_around(self._adapters, self._connected, spaces, self._config):
                yield finding

        data_requests = DataRequests(
            services.storage.records,
            services.settings,
            examine,
            engine.is_busy,
            spaces.ask_gpu_time,
        )
        return Dispatcher(engine, services, data_requests, policy(self._config))

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


async def _watch_gpu_time(spaces: Spaces) -> None:
    """Say first what the Spaces lend, and then keep up with it for those who look."""
    for known in await spaces.ask_gpu_time():
        log.info("GPU time", space=known.space, known=described(known))
    while any(known.limited and not known.anonymous for known in spaces.gpu_time):
        await asyncio.sleep(_LOOK_SECONDS)
        await spaces.ask_gpu_time()


def _apply(dispatcher: Dispatcher, settings: ChannelSettings, config: Config) -> None:
    """Take over what can change while the bot runs."""
    dispatcher.policy = policy(config)
    settings.defaults = defaults(config)
    settings.language = config.bot.language


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
