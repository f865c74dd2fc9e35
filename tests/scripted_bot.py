"""A whole core for tests: real but for the provider and the surface, which are scripted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.errors import ImageUnreadable
from bot.i18n import Catalogue
from bot.image.worker import PictureWorker
from bot.metrics import Metrics
from bot.models import Address, Attachment, ChannelKey, IncomingMessage, Person, Turn, TurnState
from bot.provider.responses import JsonConversation, Response
from bot.reply.rate_limiter import RateLimiter
from bot.reply.surface import Content
from bot.storage import Database, Storage, TurnStore
from bot.turns.access import Allowance, Policy, Rules
from bot.turns.data_requests import DataRequests
from bot.turns.dispatcher import Dispatcher
from bot.turns.engine import Engine
from bot.turns.services import Services
from bot.turns.settings import ChannelSettings, Settings
from tests.scripted_surface import ScriptedSurface
from tests.servers.databases import fresh_database

NO_LIMITS = Allowance(0, 0, 0)
ANN = Person("test", "1", "Ann")
BOB = Person("test", "2", "Bob")


@dataclass
class ScriptedProvider:
    """Each call takes the next script: what to yield, and events to wait for in between.

    Attributes:
        scripts: for each call its steps; a `BaseException` is raised, an `Event` awaited.
        calls: model, messages and options of each call.
        open: generators that are not closed yet.
    """

    scripts: list[Sequence[Response | BaseException | asyncio.Event]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0

    async def create_async_generator(
        self, model: str, messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        self.calls.append({"model": model, "messages": list(messages), **options})
        self.open += 1
        try:
            for step in self.scripts.pop(0) if self.scripts else ():
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, BaseException):
                    raise step
                else:
                    yield step
        finally:
            self.open -= 1


class Ended(Metrics):
    """Counts turns that ended, and lets tests wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()
        self._news = asyncio.Event()

    def turn_ended(self, turn: Turn, state: TurnState, seconds: float) -> None:
        super().turn_ended(turn, state, seconds)
        self._counts[turn.channel.ids[0]] += 1
        self._news.set()

    async def wait_for(self, channel: str, count: int) -> None:
        async with asyncio.timeout(50):
            while self._counts[channel] < count:
                self._news.clear()
                await self._news.wait()


class NotingTurns(TurnStore):
    """Says when an answer was stored."""

    def __init__(self, database: Database, answered: asyncio.Event) -> None:
        super().__init__(database)
        self._answered = answered

    async def finish(self, turn: Turn, conversation: JsonConversation | None) -> None:
        await super().finish(turn, conversation)
        self._answered.set()


@dataclass
class ScriptedBot:
    """What a test holds in its hands."""

    dispatcher: Dispatcher
    engine: Engine
    storage: Storage
    answered: asyncio.Event
    provider: ScriptedProvider
    surfaces: dict[str, ScriptedSurface]
    files: dict[str, bytes]
    ended: Ended
    told: list[tuple[Person, str]] = field(default_factory=list)
    _numbers: int = 0

    def message(self, channel: str = "c", person: Person = ANN, **changes: Any) -> IncomingMessage:
        self._numbers += 1
        number = changes.pop("message_id", str(self._numbers))
        address = Address("test", channel, {"surface": channel})
        return IncomingMessage(
            ChannelKey("test", (channel,)), person, number, address=address, **changes
        )

    def attachment(self, data: bytes, name: str = "photo.png") -> Attachment:
        self.files[name] = data
        return Attachment(name, {"file": name})

    def surface(self, channel: str = "c") -> ScriptedSurface:
        return self.surfaces.setdefault(channel, ScriptedSurface())

    async def final(self, channel: str = "c", count: int = 1) -> list[Content]:
        """The channel's messages when `count` turns are finished."""
        await self.ended.wait_for(channel, count)
        return list(self.surface(channel).messages.values())


@dataclass
class ScriptedPlatform:
    """A platform of scripted surfaces."""

    bot: ScriptedBot

    def surface(self, address: Address) -> ScriptedSurface:
        return self.bot.surface(address.data["surface"])

    async def tell(self, person: Person, text: str) -> bool:
        self.bot.told.append((person, text))
        return True

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        data = self.bot.files.get(attachment.source["file"])
        if data is None:
            raise ImageUnreadable("The picture is not there any more. Please send it again.")
        return data


@asynccontextmanager
async def scripted_bot(
    folder: Path,
    provider: ScriptedProvider | None = None,
    surfaces: dict[str, ScriptedSurface] | None = None,
    allowance: Allowance = NO_LIMITS,
    *,
    settings: Settings | None = None,
    rules: Rules | None = None,
    resume: bool = False,
    grace: float = 5.0,
    **options: Any,
) -> AsyncIterator[ScriptedBot]:
    """A running core on the database in `folder`; drained at the end."""
    file, answered = fresh_database(folder / "test.sqlite3"), asyncio.Event()
    async with (
        Storage.open(file, folder / "images") as opened,
        PictureWorker() as worker,
        asyncio.TaskGroup() as tasks,
    ):
        storage = replace(opened, turns=NotingTurns(opened.database, answered))
        bot = ScriptedBot(
            dispatcher=None,  # type: ignore[arg-type] # needs the bot; set below
            engine=None,  # type: ignore[arg-type] # likewise
            storage=storage,
            answered=answered,
            provider=provider or ScriptedProvider(),
            surfaces={} if surfaces is None else surfaces,
            files={},
            ended=Ended(),
        )
        channel_settings = ChannelSettings(
            storage.channels, Catalogue(), settings or Settings(), "en"
        )
        services = Services(
            storage,
            worker,
            bot.provider,
            {"test": ScriptedPlatform(bot)},
            channel_settings,
            bot.ended,
            RateLimiter(time.monotonic),
            **options,
        )
        policy = Policy(allowance, rules or Rules())
        bot.engine = Engine(services, lambda: bot.dispatcher.policy, tasks)
        data_requests = DataRequests(
            storage.records, channel_settings, _examine, bot.engine.is_busy
        )
        bot.dispatcher = Dispatcher(bot.engine, services, data_requests, policy)
        if resume:
            bot.engine.resume_later("test")
        try:
            yield bot
        finally:
            await bot.engine.drain(grace)


async def _examine() -> AsyncIterator[str]:
    yield "✓ Everything: fine"
