"""The bot as a process of its own, as people run it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.databases import fresh_database
from tests.servers.discord import TOKEN as DISCORD_TOKEN
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TOKEN as TELEGRAM_TOKEN
from tests.servers.telegram import TelegramServer

WORKING = ("⏳", "⚙️", "▰", "▱", "📥", "↻", "☕", "⏸")
"""What a message begins with while its turn is not finished."""


@dataclass
class RunningBot:
    """A bot process and what it logged.

    Attributes:
        events: its log lines, read as JSON.
        other: what it wrote to standard error that is not JSON, and to standard output.
    """

    process: asyncio.subprocess.Process
    events: list[dict[str, Any]] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def logged(self, event: str, seconds: float = 180.0) -> dict[str, Any]:
        """The first log line with this event, waiting for it."""

        def find() -> dict[str, Any] | None:
            return next((line for line in self.events if line["event"] == event), None)

        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: find() or self.process.returncode is not None)
        found = find()
        assert found is not None, self.story()
        return found

    async def printed(self, part: str, seconds: float = 240.0) -> str:
        """The first plain line that contains `part`, waiting for it."""

        def find() -> str | None:
            return next((line for line in self.other if part in line), None)

        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: find() or self.process.returncode is not None)
        found = find()
        assert found is not None, self.story()
        return found

    async def ended(self, seconds: float = 90.0) -> int:
        """Wait for the process to end by itself."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    def end(self) -> None:
        """Ask it to stop, as a service manager does."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)

    def story(self) -> str:
        """Everything that it said, for a failing test."""
        return "\n".join([*(json.dumps(line) for line in self.events), *self.other])

    async def listen(self, stream: asyncio.StreamReader) -> None:
        async for raw in stream:
            text = raw.decode(errors="replace").rstrip()
            try:
                line = json.loads(text)
            except ValueError:
                self.other.append(text)
            else:
                self.events.append(line)
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The variables for a bot in `folder`; settings are given without their prefix."""
    return {
        **{name: value for name, value in os.environ.items() if "PROXY" not in name.upper()},
        "JANUS_BOT_BOT__DATA_DIR": str(folder / "data"),
        "JANUS_BOT_HTTP__PORT": "0",
        "JANUS_BOT_LOG__FORMAT": "json",
        "COLUMNS": "200",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **{f"JANUS_BOT_{name}": value for name, value in settings.items()},
    }


@asynccontextmanager
async def running_bot(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[RunningBot]:
    """`janus-bot run` in `folder`; settings are environment variables without their prefix."""
    if not arguments:  # the other commands are shown what a new user has: nothing
        fresh_database(folder / "data" / "janus.sqlite3")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *(arguments or ("run",))),
        cwd=folder,
        env=environment(folder, **settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    bot = RunningBot(process)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bot.listen(process.stdout))
        tasks.create_task(bot.listen(process.stderr))
        try:
            yield bot
        finally:
            bot.end()
            try:
                await bot.ended()
            except TimeoutError:
                process.kill()
                await process.wait()
                raise


def spaces(url: str) -> str:
    return json.dumps([{"url": url}])


def on_telegram(server: TelegramServer) -> dict[str, str]:
    return {"TELEGRAM__TOKEN": TELEGRAM_TOKEN, "TELEGRAM__API_URL": server.url}


def on_discord(server: DiscordServer) -> dict[str, str]:
    return {
        "DISCORD__TOKEN": DISCORD_TOKEN,
        "DISCORD__API_URL": server.api_url,
        "DISCORD__GATEWAY_URL": server.gateway_url,
    }


def finished(message: dict[str, Any]) -> bool:
    text = message.get("text") or message.get("caption") or message.get("content") or ""
    return not text.startswith(WORKING)
