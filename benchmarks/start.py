"""How long does the bot take to start, and what does it weigh at rest?

    python benchmarks/start.py [ROUNDS] [--quick]

Beside it runs a bare script with the same two client libraries. Both log in to the same local
servers, in turn. Ready is when the gateway session is up and the first poll for updates arrived; at
rest is five seconds later, when nothing has happened since. Last come the bot's ten costliest
imports.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from _support import Figure, spread, verdict

from tests.servers.discord import TOKEN as DISCORD_TOKEN
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TOKEN as TELEGRAM_TOKEN
from tests.servers.telegram import TelegramServer

MAX_START_RATIO, MAX_MEMORY_RATIO = 1.0, 1.6
START_TIMEOUT_SECONDS = 180.0
REST_SECONDS, REST_SECONDS_QUICK = 5.0, 0.5
IMPORTS_SHOWN = 10
ROOT = Path(__file__).parents[1]
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*([\w.]+)")


@dataclass(frozen=True, slots=True)
class Run:
    """One process.

    Attributes:
        seconds: from its start until it was connected to both platforms.
        megabytes: resident at rest.
        log: what it wrote to standard error.
    """

    seconds: float
    megabytes: float
    log: str


async def run(
    telegram: TelegramServer,
    discord: DiscordServer,
    command: list[str],
    environment: Mapping[str, str],
    rest_seconds: float = 0.0,
) -> Run:
    """Start a process, let it come to rest, and kill it.

    Raises:
        RuntimeError: it ended instead, or took too long; with what it wrote.
    """
    polls = len(telegram.called("getUpdates"))

    async def ready() -> None:
        await discord.wait_for(lambda: discord.gateway.live, START_TIMEOUT_SECONDS)
        await telegram.wait_for(
            lambda: len(telegram.called("getUpdates")) > polls, START_TIMEOUT_SECONDS
        )

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
            seconds = time.perf_counter() - begun
            connected = waits[0] in done and waits[0].exception() is None
            if connected:
                await asyncio.sleep(rest_seconds)
            errors.seek(0)
            log = errors.read().decode(errors="replace")
            if not connected:
                raise RuntimeError(log or "no word in time")
            return Run(seconds, resident_megabytes(process.pid), log)
        finally:
            waits[0].cancel()
            if process.returncode is None:
                process.kill()
            await process.wait()
            await asyncio.gather(*waits, return_exceptions=True)
            await discord.wait_for(lambda: not discord.gateway.live, START_TIMEOUT_SECONDS)


def resident_megabytes(pid: int) -> float:
    """What a process keeps in memory, libraries that it shares with others included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def costliest_imports(log: str) -> list[tuple[str, float]]:
    """Top-level packages by the milliseconds of all their modules, from `python -X importtime`."""
    costs: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(log):
        costs[module.partition(".")[0]] += int(microseconds)
    return [(name, cost / 1e3) for name, cost in costs.most_common(IMPORTS_SHOWN)]


async def measure(rounds: int, rest_seconds: float) -> int:
    """Print the figures and their ratios; 1 if an aim was missed."""
    ours: list[Run] = []
    bare: list[Run] = []
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
            # The first round migrates, and fills the disk's caches.
            for number in range(-1, rounds):
                rest = rest_seconds if number >= 0 else 0.0
                ours.append(await run(telegram, discord, ["-m", "bot", "run"], own, rest))
                bare.append(await run(telegram, discord, script, shared, rest))
                print(
                    f"janus-bot {ours[-1].seconds:.2f} s, {ours[-1].megabytes:.0f} MB; "
                    f"bare {bare[-1].seconds:.2f} s, {bare[-1].megabytes:.0f} MB"
                    + (" (not counted)" if number < 0 else ""),
                    flush=True,
                )
            traced = await run(telegram, discord, ["-X", "importtime", "-m", "bot", "run"], own)
    return report(ours[1:], bare[1:], traced.log)


def report(ours: list[Run], bare: list[Run], import_log: str) -> int:
    """Print the figures; 1 if an aim was missed."""
    seconds = [[each.seconds for each in runs] for runs in (ours, bare)]
    megabytes = [[each.megabytes for each in runs] for runs in (ours, bare)]
    print(f"janus-bot: {spread(seconds[0], 's', 1)}\nbare:      {spread(seconds[1], 's', 1)}")
    figures = [
        Figure(
            "start, ratio of the medians",
            statistics.median(seconds[0]) / statistics.median(seconds[1]),
            MAX_START_RATIO,
            "",
        ),
        Figure(
            "memory at rest, ratio of the medians",
            statistics.median(megabytes[0]) / statistics.median(megabytes[1]),
            MAX_MEMORY_RATIO,
            "",
            f"{statistics.median(megabytes[0]):.0f} MB beside "
            f"{statistics.median(megabytes[1]):.0f} MB",
        ),
    ]
    print(*figures, sep="\n")
    print("\nthe costliest imports (with -X importtime, which makes all of them slower):")
    for name, milliseconds in costliest_imports(import_log):
        print(f"  {name:<28} {milliseconds:>7.1f} ms")
    return verdict(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rounds", nargs="?", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one round, and hardly any rest")
    given = parser.parse_args()
    rest = REST_SECONDS_QUICK if given.quick else REST_SECONDS
    sys.exit(asyncio.run(measure(1 if given.quick else given.rounds, rest)))
