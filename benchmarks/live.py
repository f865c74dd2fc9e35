"""How soon do people see something, how fresh is it, and when does the final text stand?

    python benchmarks/live.py [--quick] [--decided]

First signs of life over sockets beside bare clients; freshness, final texts and 500 channels at
once against surfaces with a round trip of 30 ms and the limits of the platforms. The latter twice:
with a clock that jumps, which shows what was decided, and with the real one, which adds what this
machine takes for the work.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import time

import structlog
from _life import first_signs
from _streams import TRIP, JumpingLoop, Platform, Stream, lag, open_replies
from _support import Figure, one_core, p95, resident, spread, verdict

from bot.platforms.discord.surface import LIMITS as DISCORD
from bot.platforms.telegram.client import TelegramTarget, make_bot
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.surface import TelegramSurface
from bot.reply.surface import Limits

BEYOND_TRIP = 0.05
SLACK = 1.2
MEMORY = 150.0
PIECE = 0.1


def telegram_limits(*, private: bool) -> Limits:
    """Those of a Telegram chat."""
    bot = make_bot("1:none", "http://127.0.0.1:9")
    return TelegramSurface(bot, TelegramTarget(1, private=private), ServerState()).limits


def now() -> float:
    """Seconds on the clock of the running loop."""
    return asyncio.get_running_loop().time()


async def freshness(chats: int, seconds: float) -> list[Figure]:
    """Staleness and final texts in a few chats of each kind."""
    kinds = {
        "Telegram, private": telegram_limits(private=True),
        "Telegram, group": telegram_limits(private=False),
        "Discord, channel": DISCORD,
    }
    streams = {
        kind: [Stream(kind, f"{kind} {number}", limits) for number in range(chats)]
        for kind, limits in kinds.items()
    }
    replies, late = open_replies(), list[float]()
    async with asyncio.TaskGroup() as tasks:
        watch = asyncio.create_task(lag(late))
        running = [
            # Ends at any point of the interval.
            tasks.create_task(stream.run(replies, seconds + number * 0.31, PIECE))
            for several in streams.values()
            for number, stream in enumerate(several)
        ]
        await asyncio.wait(running)
        watch.cancel()
    print(f"this process woke up late by: {spread(late)}", flush=True)
    figures = []
    for kind, several in streams.items():
        interval = kinds[kind].interval
        stale = [age for stream in several for _, age in stream.stale]
        final = [stream.final - TRIP for stream in several]
        beside = f"interval {interval:g} s, median {statistics.median(stale):.2f} s"
        figures += [
            Figure(f"staleness, {kind}, p95", p95(stale), SLACK * interval, "s", beside),
            Figure(
                f"final text beyond round trip, {kind}, p95",
                p95(final) * 1e3,
                BEYOND_TRIP * 1e3,
                "ms",
                f"{spread(final)}; process late by {p95(late) * 1e3:.0f} ms",
            ),
        ]
    return figures


async def scale(channels: int, seconds: float) -> list[Figure]:
    """Many channels at once, on a platform that enforces its limits; some end before the others."""
    platform = Platform(most=50, per_chat=(5, 5.0))
    streams = [Stream("discord", str(number), DISCORD, platform) for number in range(channels)]
    share = channels / DISCORD.rate
    begun = now()
    warm = begun + 1.2 * share  # until all were shown once
    replies, late = open_replies(), list[float]()
    used = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        watch = asyncio.create_task(lag(late))
        for number, stream in enumerate(streams):
            early = number / channels * seconds / 3 if number % 10 == 0 else 0.0
            tasks.create_task(stream.run(replies, seconds - early, 5 * PIECE))
        await asyncio.sleep(seconds - 1.0)
        memory = resident()
        load = (time.process_time() - used) / (now() - begun)
        ended = now() + 1.0
        watch.cancel()
    stale = [age for stream in streams for at, age in stream.stale if warm < at < ended]
    early_finals = [stream.final - TRIP for stream in streams[10::10]]
    allowed = max(DISCORD.interval, share)
    beside = f"each channel may be shown every {allowed:.1f} s"
    print(
        f"{channels} channels: {load:.0%} of a core, woke up late by {spread(late)}; "
        f"first shown after {spread([stream.first for stream in streams], 's', 1)}; "
        f"all finals within {max(stream.final for stream in streams):.1f} s",
        flush=True,
    )
    return [
        Figure(f"staleness, {channels} channels, p95", p95(stale), SLACK * allowed, "s", beside),
        Figure(
            f"final text beyond round trip, {channels} channels",
            statistics.median(early_finals) * 1e3,
            BEYOND_TRIP * 1e3,
            "ms",
            f"median of those that end while others stream, p95 {p95(early_finals):.2f} s",
        ),
        Figure(f"429s, {channels} channels", platform.refused, 0, ""),
        Figure(f"memory, {channels} channels", memory, MEMORY, "MB"),
    ]


async def streaming(*, quick: bool) -> list[Figure]:
    """What is shown how late."""
    figures = await freshness(2 if quick else 10, 4.0 if quick else 14.0)
    return figures + await scale(50 if quick else 500, 6.0 if quick else 45.0)


def main(*, quick: bool, only_decided: bool) -> int:
    """All figures; 1 if an aim was missed."""
    before = resident()
    print("with a clock that jumps", flush=True)
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        decided = runner.run(streaming(quick=quick))
    print(*decided, sep="\n", flush=True)
    if only_decided:
        return verdict(decided)
    print("with the real clock", flush=True)
    figures = asyncio.run(streaming(quick=quick))
    figures += asyncio.run(first_signs(3 if quick else 50))
    print(*figures, f"memory at the start: {before:.0f} MB", sep="\n")
    return verdict([*decided, *figures])


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer chats, for less long")
    parser.add_argument("--decided", action="store_true", help="only with the clock that jumps")
    given = parser.parse_args()
    one_core()
    sys.exit(main(quick=given.quick, only_decided=given.decided))
