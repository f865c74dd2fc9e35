"""How long does the bot take to start, beside a bare script with the same two client libraries?

    python benchmarks/start.py [ROUNDS] [--quick]

Both log in to the same local servers, in turn. Ready is when the gateway session stands and the
first poll for updates arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from _support import Figure, spread, verdict

from tests.servers.discord import TOKEN as DISCORD_TOKEN
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TOKEN as TELEGRAM_TOKEN
from tests.servers.telegram import TelegramServer

AIM = 1.5
LONGEST = 180.0
ROOT = Path(__file__).parents[1]


async def start(
    telegram: TelegramServer,
    discord: DiscordServer,
    command: list[str],
    environment: Mapping[str, str],
) -> float:
    """Seconds from the start of a process until it is connected to both; then it is killed.

    Raises:
        RuntimeError: it ended instead, or took too long; with what it wrote.
    """
    polls = len(telegram.called("getUpdates"))

    async def ready() -> None:
        await discord.wait_for(lambda: discord.gateway.live, LONGEST)
        await telegram.wait_for(lambda: len(telegram.called("getUpdates")) > polls, LONGEST)

    with tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment, cwd=ROOT, stderr=errors
        )
        waits: list[asyncio.Task[object]] = [
            asyncio.create_task(ready()),
            asyncio.create_task(process.wait()),
        ]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            took = time.perf_counter() - begun
            if waits[0] not in done or waits[0].exception() is not None:
                errors.seek(0)
                raise RuntimeError(errors.read().decode(errors="replace") or "no word in time")
            return took
        finally:
            waits[0].cancel()
            if process.returncode is None:
                process.kill()
            await process.wait()
            await asyncio.gather(*waits, return_exceptions=True)
            await discord.wait_for(lambda: not discord.gateway.live, LONGEST)


async def measure(rounds: int) -> int:
    """Print the times and their ratio; 1 if the aim was missed."""
    ours: list[float] = []
    bare: list[float] = []
    async with TelegramServer() as telegram, DiscordServer() as discord:
        discord.guild()
        with tempfile.TemporaryDirectory() as folder:
            script = [
                *(str(Path(__file__).with_name("_bare.py")), telegram.url, TELEGRAM_TOKEN),
                *(discord.api_url, discord.gateway_url, DISCORD_TOKEN),
            ]
            settings = {
                "BOT__DATA_DIR": folder,
                "HTTP__ENABLED": "false",
                "TELEGRAM__TOKEN": TELEGRAM_TOKEN,
                "TELEGRAM__API_URL": telegram.url,
                "DISCORD__TOKEN": DISCORD_TOKEN,
                "DISCORD__API_URL": discord.api_url,
                "DISCORD__GATEWAY_URL": discord.gateway_url,
            }
            shared = {**os.environ, "PYTHONPATH": str(ROOT)}
            own = shared | {f"JANUS_BOT_{name}": value for name, value in settings.items()}
            for number in range(-1, rounds):  # the first round fills the disk's caches
                took = await start(telegram, discord, ["-m", "bot", "run"], own)
                took_bare = await start(telegram, discord, script, shared)
                if number >= 0:
                    ours.append(took)
                    bare.append(took_bare)
                    print(f"janus-bot {took:.2f} s, bare {took_bare:.2f} s", flush=True)
    print(f"janus-bot: {spread(ours, 's', 1)}\nbare:      {spread(bare, 's', 1)}")
    figures = [
        Figure(
            "start, ratio of the medians",
            statistics.median(ours) / statistics.median(bare),
            AIM,
            "",
        ),
        Figure("start, ratio of the best", min(ours) / min(bare), AIM, ""),
    ]
    print(*figures, sep="\n")
    return verdict(figures[:1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rounds", nargs="?", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one round")
    given = parser.parse_args()
    sys.exit(asyncio.run(measure(1 if given.quick else given.rounds)))
