"""Kills the bot, a platform or the Space at random moments under load, and counts the answers.

The local platforms and the load live in the calling process and survive; the bot and the Space are
processes of their own. Run by `benchmarks/crash.py` for long and by `test_crash.py` for a moment.
"""

from __future__ import annotations

import asyncio
import enum
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.crash_load import Load, make_rooms
from tests.e2e.crash_report import Report, began, evaluate, resumed, started
from tests.e2e.running_bot import RunningBot, running_bot
from tests.servers.discord import TOKEN as DISCORD_TOKEN
from tests.servers.discord import DiscordServer
from tests.servers.space import SpaceProcess, space_process
from tests.servers.telegram import TOKEN as TELEGRAM_TOKEN
from tests.servers.telegram import TelegramServer

PLATFORMS = ("telegram", "discord")
CREATES = frozenset({"sendmessage", "sendmediagroup"})
IN_A_START = 0.1
"""Share of the kills that hit a bot that is not connected yet."""
AFTERMATH = 3.0
"""Seconds after the last answer in which a second one would still be seen."""


class Victim(enum.StrEnum):
    """What is killed."""

    BOT = "bot"
    PLATFORM = "platform"
    SPACE = "space"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        victim: what is killed.
        kills: how often.
        turns: requests at least; asking goes on until both are reached.
        seed: of the moments.
        rooms: a third each of private chats, groups and Discord channels.
        up: seconds between two kills on average, starts not counted.
        aimed: share of the kills that wait until a new message is stored and its answer is due.
        delay: seconds by which answers to new messages are late, which makes that window wide.
        patience: seconds after which a request counts as lost.
    """

    victim: Victim = Victim.BOT
    kills: int = 3
    turns: int = 15
    seed: int = 1
    rooms: int = 12
    up: float = 2.0
    aimed: float = 0.5
    delay: float = 0.15
    patience: float = 240.0


async def crash(plan: Plan, folder: Path, say: Callable[[str], None] = lambda _: None) -> Report:
    """Carry a plan out; `folder` keeps the bot's data.

    Raises:
        AssertionError: the bot ended although nobody killed it; with its log.
    """
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(TelegramServer())
        discord = await stack.enter_async_context(DiscordServer())
        space = await stack.enter_async_context(_Space.started())
        run = _Run(plan, folder, telegram, discord, space, say)
        return await run.run()


class _Space:
    """A Space that comes back on its port."""

    def __init__(self, stack: AsyncExitStack, process: SpaceProcess) -> None:
        self._stack = stack
        self._process = process
        self.url = process.url

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[_Space]:
        async with AsyncExitStack() as stack:
            space = cls(stack, await stack.enter_async_context(space_process(concurrency=4)))
            yield space

    async def kill(self) -> None:
        self._process.process.kill()
        await self._stack.aclose()

    async def start(self) -> None:
        port = int(self.url.rpartition(":")[2])
        again = space_process(concurrency=4, port=port)
        self._process = await self._stack.enter_async_context(again)


@dataclass
class _Run:
    plan: Plan
    folder: Path
    telegram: TelegramServer
    discord: DiscordServer
    space: _Space
    say: Callable[[str], None]
    kills: int = 0
    starts: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.plan.seed)  # noqa: S311 - chooses moments, no secrets
        self.answered = asyncio.Event()
        delay = self.plan.delay
        self.telegram.delays = dict.fromkeys(CREATES, delay)
        self.discord.create_delay = delay
        self.load = Load(
            make_rooms(self.telegram, self.discord, self.plan.rooms),
            self.folder / "data" / "janus.sqlite3",
            self.plan.patience,
            lambda asked: asked < self.plan.turns or self.kills < self.plan.kills,
            self.say,
        )

    async def run(self) -> Report:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lives())
            await self.load.run()
            self.answered.set()
        report = evaluate(self.load.asked, self.load.missed, self.load.rooms)
        report.kills, report.seconds = self.kills, time.monotonic() - begun
        report.starts, report.resumes = self.starts, self.resumes
        return report

    # The bot and its troubles

    async def _lives(self) -> None:
        while True:
            born = time.time()
            async with running_bot(self.folder, **self._settings()) as bot:
                mortal = self.plan.victim is Victim.BOT and self.kills < self.plan.kills
                if mortal:
                    await self._until_the_moment(bot)
                    self._must_live(bot)
                    bot.process.kill()
                    await bot.ended()
                    self.kills += 1
                else:
                    await self._connected(bot)
                    if self.plan.victim is not Victim.BOT:
                        await self._outages(bot)
                    while not self.answered.is_set():
                        self._must_live(bot)
                        await asyncio.sleep(0.1)
                    await asyncio.sleep(AFTERMATH)
            self._note(bot, born)
            if not mortal:
                return

    async def _until_the_moment(self, bot: RunningBot) -> None:
        chance = self.random.random()
        if chance < IN_A_START:
            usual = self.starts[-1] if self.starts else 5.0
            await asyncio.sleep(self.random.uniform(0.0, usual))
            return
        await self._connected(bot)
        await asyncio.sleep(self.random.uniform(0.0, 2 * self.plan.up))
        if self.random.random() < self.plan.aimed:
            await self._create_stored()
            await asyncio.sleep(self.random.uniform(0.0, self.plan.delay))

    async def _create_stored(self) -> None:
        before = self._creates()
        limit = time.monotonic() + 10.0
        while self._creates() == before and time.monotonic() < limit:  # noqa: ASYNC110 - two servers
            await asyncio.sleep(0.005)

    def _creates(self) -> int:
        return sum(call.method.lower() in CREATES for call in self.telegram.calls) + sum(
            call.method == "POST" and call.path.endswith("/messages")
            for call in self.discord.requests
        )

    async def _outages(self, bot: RunningBot) -> None:
        for number in range(self.plan.kills):
            await asyncio.sleep(self.random.uniform(0.0, 2 * self.plan.up))
            if self.random.random() < self.plan.aimed:
                await self._create_stored()
            self._must_live(bot)
            away = self.random.uniform(0.0, 3.0)
            if self.plan.victim is Victim.SPACE:
                await self.space.kill()
                await asyncio.sleep(away)
                await self.space.start()
            else:
                server = (self.telegram, self.discord)[number % 2]
                await server.stop()
                await asyncio.sleep(away)
                await server.start()
            self.kills += 1
            self.say(f"kill {self.kills}: {len(self.load.asked)} requests so far")

    async def _connected(self, bot: RunningBot) -> None:
        """Wait until both platforms are."""
        for platform in PLATFORMS:
            async with asyncio.timeout(180):
                while began(bot, platform) is None:
                    self._must_live(bot)
                    await asyncio.sleep(0.02)
        self.load.listening.append(time.monotonic())

    def _must_live(self, bot: RunningBot) -> None:
        assert bot.process.returncode is None, bot.story()

    def _note(self, bot: RunningBot, born: float) -> None:
        ready = started(bot, born, PLATFORMS)
        if ready is not None:
            self.starts.append(ready)
        self.resumes += resumed(bot, self.telegram, self.discord)
        count = f"{len(self.load.asked)} requests so far"
        self.say(f"life {self.kills}: ready after {ready and round(ready, 1)} s, {count}")

    def _settings(self) -> dict[str, str]:
        unlimited = ("TURNS_PER_MINUTE", "IMAGES_PER_DAY", "QUEUED_TURNS")
        return {
            "TELEGRAM__TOKEN": TELEGRAM_TOKEN,
            "TELEGRAM__API_URL": self.telegram.url,
            "DISCORD__TOKEN": DISCORD_TOKEN,
            "DISCORD__API_URL": self.discord.api_url,
            "DISCORD__GATEWAY_URL": self.discord.gateway_url,
            "SPACES": json.dumps([{"url": self.space.url, "concurrency": 4}]),
            "HTTP__ENABLED": "false",
            **{f"LIMITS__{key}": "0" for key in unlimited},
        }
