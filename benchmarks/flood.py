"""Do streams in many chats at once keep within the platforms' limits, and end on time?

    python benchmarks/flood.py [--quick]

50 Telegram chats, 20 groups and 20 Discord channels stream for 14 seconds against local servers
that enforce the limits; then again with a penalty of 30 seconds in one chat of each kind.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
from dataclasses import replace

import structlog
from _support import spread

from tests.e2e.flood import Flood, Plan, flood

ON_TIME = 3.0
"""Seconds. 90 streams that end within 5 s need about this long at 25 requests a second."""
WHOLE = Plan(privates=50, groups=20, channels=20, seconds=14.0, spread=5.0)
QUICK = Plan(privates=5, groups=3, channels=3, seconds=4.0, spread=1.0)


async def stream(plan: Plan) -> Flood:
    """Carry a plan out and print what came of it."""
    async with flood(plan) as run:
        await run.run()
        print(f"{plan}\n{report(run)}", flush=True)
        return run


def report(run: Flood) -> str:
    """A table for people."""
    telegram, discord = len(run.telegram.refused), len(run.discord.refused)
    lines = [f"429s: {telegram} and {discord}; this process woke up late by: {spread(run.lags)}"]
    for kind in ("private", "group", "channel"):
        streams = [one for one in run.streams if one.kind == kind]
        shown = statistics.median(run.updates(one) for one in streams)
        wrong = sum(run.shown_text(one) != one.text for one in streams)
        lines.append(
            f"{kind:>8}: {len(streams):>3} streams, shown {shown:g} times each (median), "
            f"wrong final texts: {wrong}; final late by "
            + spread([one.overdue for one in streams], "s", 1)
        )
    return "\n".join(lines)


def on_time(run: Flood) -> bool:
    """Whether every final text is there, once, and came in time."""
    return all(
        run.shown_text(one) == one.text and one.overdue <= ON_TIME and one.failure is None
        for one in run.streams
    )


async def main(*, quick: bool) -> int:
    """Both runs; 1 if an aim was missed."""
    plan = QUICK if quick else WHOLE
    steady = await stream(plan)
    penalty = await stream(replace(plan, penalty=6.0 if quick else 30.0))
    good = not steady.refused and on_time(steady) and on_time(penalty)
    print(f"aim: no 429 without a penalty, finals within {ON_TIME:g} s: {'yes' if good else 'NO'}")
    return 0 if good else 1


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer chats, for less long")
    sys.exit(asyncio.run(main(quick=parser.parse_args().quick)))
