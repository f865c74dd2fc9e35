"""How long a person waits for the first sign of life, beside bare client libraries.

The whole bot as a process, without a Space: only the way to the first request counts. It is
measured at the servers, from the moment at which somebody writes until that request arrives.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from _support import Figure, p95, spread

from tests.e2e.running_bot import running_bot
from tests.servers.discord import TOKEN as DISCORD_TOKEN
from tests.servers.discord import DiscordServer
from tests.servers.discord_world import Channel, User
from tests.servers.telegram import TOKEN as TELEGRAM_TOKEN
from tests.servers.telegram import TelegramServer

AIM = 0.010
PAUSE = 0.5
"""Seconds between two samples, in which the answer is finished and the next poll goes out."""
START_TIMEOUT_SECONDS = 180.0
SHOWING = frozenset({"sendmessage", "sendmessagedraft"})
NOWHERE = "http://127.0.0.1:9"


@dataclass(slots=True)
class _Servers:
    """Both platforms, and what was measured on them."""

    telegram: TelegramServer
    discord: DiscordServer
    user: User
    channels: list[Channel]
    took: dict[str, list[float]] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """Of the bare bot."""
        discord = [self.discord.api_url, self.discord.gateway_url, DISCORD_TOKEN]
        return [self.telegram.url, TELEGRAM_TOKEN, *discord]

    @property
    def settings(self) -> dict[str, str]:
        """Of ours."""
        unlimited = ("TURNS_PER_MINUTE", "IMAGES_PER_DAY", "QUEUED_TURNS")
        return {
            "TELEGRAM__TOKEN": TELEGRAM_TOKEN,
            "TELEGRAM__API_URL": self.telegram.url,
            "DISCORD__TOKEN": DISCORD_TOKEN,
            "DISCORD__API_URL": self.discord.api_url,
            "DISCORD__GATEWAY_URL": self.discord.gateway_url,
            "HTTP__ENABLED": "false",
            "SPACES": json.dumps([{"url": NOWHERE}]),
            **{f"LIMITS__{key}": "0" for key in unlimited},
        }

    async def connected(self) -> None:
        """Wait until a bot is."""
        await self.discord.wait_for(lambda: self.discord.gateway.live, START_TIMEOUT_SECONDS)
        await self.telegram.wait_for(
            lambda: self.telegram.called("getUpdates"), START_TIMEOUT_SECONDS
        )

    async def sample(self) -> None:
        """Write once in each kind of place."""
        for where, seconds in (
            ("Telegram, private", await self._telegram(group=False)),
            ("Telegram, group", await self._telegram(group=True)),
            ("Discord, channel", await self._discord()),
        ):
            self.took.setdefault(where, []).append(seconds)

    async def _telegram(self, *, group: bool) -> float:
        await asyncio.sleep(PAUSE)
        server = self.telegram
        person = server.person("Ann")
        chat = server.group() if group else server.private(person)
        before = len(server.calls)

        def first() -> float | None:
            for call in server.calls[before:]:
                if (
                    str(call.params.get("chat_id")) == str(chat.id)
                    and call.method.lower() in SHOWING
                ):
                    return call.at
            return None

        begun = time.monotonic()
        server.say(chat, person, "@janus_bot hello")
        return (await server.wait_for(first, START_TIMEOUT_SECONDS) or begun) - begun

    async def _discord(self) -> float:
        await asyncio.sleep(PAUSE)
        server, channel = self.discord, self.channels.pop()
        where = f"/channels/{channel.id}/messages$"
        begun = time.monotonic()
        await server.says(self.user, channel, f"<@{server.bot.id}> hello")
        await server.wait_for(lambda: server.calls("POST", where), START_TIMEOUT_SECONDS)
        return server.calls("POST", where)[0].at - begun


async def first_signs(samples: int) -> list[Figure]:
    """Measure the bot and the bare clients by turns, each on servers of its own."""
    rounds = samples + 1  # the first one warms up
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(_servers(rounds))
        bare = await stack.enter_async_context(_servers(rounds))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        await stack.enter_async_context(_bare(bare.arguments))
        await stack.enter_async_context(running_bot(Path(folder), **ours.settings))
        for each in (ours, bare):
            await each.connected()
        for _ in range(rounds):
            await ours.sample()
            await bare.sample()
    return [_figure(where, ours.took[where][1:], bare.took[where][1:]) for where in ours.took]


@asynccontextmanager
async def _bare(arguments: Sequence[str]) -> AsyncIterator[None]:
    script = str(Path(__file__).with_name("_bare.py"))
    process = await asyncio.create_subprocess_exec(sys.executable, script, *arguments)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _servers(channels: int) -> AsyncIterator[_Servers]:
    async with TelegramServer() as telegram, DiscordServer() as discord:
        # Clients learn of channels when they connect.
        guild = discord.guild()
        made = [discord.channel(guild, f"channel-{number}") for number in range(channels)]
        yield _Servers(telegram, discord, discord.person("Ann"), made)


def _figure(where: str, ours: Sequence[float], bare: Sequence[float]) -> Figure:
    print(f"first sign of life, {where}: {spread(ours)}; bare client {spread(bare)}", flush=True)
    ratio = statistics.median(ours) / statistics.median(bare)
    return Figure(
        f"first sign beyond bare, {where}, p95",
        (p95(ours) - p95(bare)) * 1e3,
        AIM * 1e3,
        "ms",
        f"{p95(ours) * 1e3:.1f} beside {p95(bare) * 1e3:.1f} ms; ratio of medians {ratio:.2f}",
    )
