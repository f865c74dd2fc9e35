"""The web chat as a platform, and the pages for operators on the same port."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from bot.errors import AdapterError
from bot.i18n import Catalogue
from bot.models import Address, Attachment, ChannelKey, Person
from bot.platforms.web.files import Downloads, UploadLimits, UploadStore
from bot.platforms.web.guard import Guard
from bot.platforms.web.handlers import Chat
from bot.platforms.web.pages import NO_STORE, Pages
from bot.platforms.web.parsing import Languages
from bot.platforms.web.surface import PLATFORM, LiveRooms, WebSurface, WebTarget

if TYPE_CHECKING:
    # They are handed in; importing them here would load the database.
    from bot.turns.dispatcher import Dispatcher
    from bot.turns.transcripts import Transcripts

_SHUTDOWN_TIMEOUT_SECONDS = 2.0
"""For requests under way at the end; event streams end at once."""
_SWEEP_SECONDS = 3600.0

log = structlog.get_logger(__name__)


class WebAdapter:
    """A `bot.platforms.adapter.Adapter` that serves the chat page, health checks and metrics.

    Args:
        host: address to bind.
        port: 0 for any free one.
        access_token: asked for everywhere but at `/healthz` and `/readyz`; empty: never.
        transcripts: what was said before, and pictures.
        health: adapter name → connected, for every enabled adapter.
        metrics: Prometheus' text format.
        folder: for uploads and downloads.
        stand_in: shown above the chat when no real model answers: a sentence, or the key of one in
            the catalogue; empty: none.
        names: further host names, under which a proxy on this machine publishes the chat.
        uploads: how much one message may carry.
        catalogue: what the bot says, in all its languages.
        language: tag of the one for visitors whose own the bot does not speak.
        extra: routes of others on the same port, which check by themselves who asks.

    Raises:
        AdapterError: others could connect to `host`, and there is no access token.
    """

    name: Final = PLATFORM

    def __init__(  # noqa: PLR0913 - one keyword per setting; each has its own default
        self,
        *,
        transcripts: Transcripts,
        health: Callable[[], Mapping[str, bool]],
        metrics: Callable[[], bytes],
        folder: Path,
        host: str = "127.0.0.1",
        port: int = 8080,
        access_token: str = "",
        stand_in: str = "",
        names: Collection[str] = (),
        uploads: UploadLimits | None = None,
        catalogue: Catalogue | None = None,
        language: str = "en",
        extra: Sequence[web.RouteDef] = (),
    ) -> None:
        limits = uploads or UploadLimits()
        self._host = host
        self._port = port
        self._health = health
        self._metrics = metrics
        self._extra = extra
        self._rooms = LiveRooms()
        self._uploads = UploadStore(folder, limits)
        self._downloads = Downloads(folder / "downloads")
        pages = Pages(banner=stand_in, limits=limits)
        languages = Languages(catalogue or Catalogue(), language)
        self._guard = Guard(
            host=host,
            access_token=access_token,
            names=names,
            pages=pages,
            languages=languages,
            exempt=[route.handler for route in extra],
        )
        self._chat = Chat(
            transcripts, self._uploads, self._downloads, self._rooms, pages, languages
        )
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the page is, e.g. `http://127.0.0.1:8080/`; after `open`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    async def open(self) -> None:
        """Bind the port: pages and health checks are answered from here on.

        Raises:
            AdapterError: the address cannot be bound.

        Cancelling: `close` cleans up.
        """
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_TIMEOUT_SECONDS,
        )
        self._runner = runner
        await asyncio.to_thread(self._downloads.clear)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await self.close()
            raise AdapterError(self._why(error)) from error
        self._port = int(runner.addresses[0][1])
        log.info("web chat open", url=self.url)

    async def serve(self, dispatcher: Dispatcher, ready: Callable[[bool], None]) -> None:
        """Take messages in until cancelled, and remove old files once an hour.

        Cancelling: messages are answered with 503 from here on; streams and surfaces go on.
        """
        self._chat.dispatcher = dispatcher
        ready(True)
        try:
            while True:
                removed = await asyncio.to_thread(self._uploads.sweep)
                self._downloads.sweep()
                log.debug("old uploads removed", removed=removed)
                await asyncio.sleep(_SWEEP_SECONDS)
        finally:
            self._chat.dispatcher = None
            ready(False)

    async def advice(self) -> Sequence[str]:
        return ()

    async def close(self) -> None:
        """End every stream and free the port. Idempotent; also after a failed `open`."""
        self._rooms.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def surface(self, address: Address) -> WebSurface:
        """The surface of a reply, in whichever process its address was made."""
        return WebSurface(self._rooms, WebTarget.from_address(address))

    async def tell(self, person: Person, text: str) -> bool:  # noqa: ARG002 - the port's signature
        """Never: a visitor is nowhere but in the rooms of the web chat."""
        return False

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:  # noqa: ARG002 - the port's signature
        """The bytes of an upload.

        Raises:
            ImageTooLarge: more than `limit` bytes; not read.
            ImageUnreadable: it is not there any more.
        """
        return await self._uploads.fetch(attachment, limit)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard.check])
        application.on_response_prepare.append(self._guard.add_headers)
        application.add_routes(self._chat.routes())
        application.add_routes(
            [
                web.post("/login", self._guard.login),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics_page),
                *self._extra,
            ]
        )
        return application

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"alive": True}, headers=NO_STORE)

    async def _readyz(self, _request: web.Request) -> web.Response:
        connected = dict(self._health())
        ready = bool(connected) and all(connected.values())
        body = {"ready": ready, "adapters": connected}
        return web.json_response(body, status=200 if ready else 503, headers=NO_STORE)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - few look

        headers = {"Content-Type": CONTENT_TYPE_LATEST, **NO_STORE}
        return web.Response(body=self._metrics(), headers=headers)

    def _why(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return (
                f"Port {self._port} on {self._host} is taken by another program. Stop it, "
                "or set another [http] port."
            )
        return f"The web chat cannot use {self._host} port {self._port}: {error.strerror}."
