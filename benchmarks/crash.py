"""Is every accepted request answered exactly once, whatever is killed and whenever?

    python benchmarks/crash.py [--victim bot|platform|space] [--kills 200] [--turns 1000] [--quick]

A real bot serves private chats, groups and channels on local platforms, with the stand-in Space
behind it, while one of the three is killed again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.e2e.crash import Plan, Victim, crash


def main() -> int:
    """Run as the command line says; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--victim", choices=[*Victim], default=Victim.BOT, type=Victim)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--rooms", type=int, default=12)
    parser.add_argument("--up", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311 - no secret
    parser.add_argument("--quick", action="store_true", help="3 kills and 15 turns")
    given = parser.parse_args()
    kills, turns = (3, 15) if given.quick else (given.kills, given.turns)
    plan = Plan(given.victim, kills, turns, given.seed, given.rooms, given.up)
    print(plan, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(crash(plan, Path(folder), lambda line: print(line, flush=True)))
    print(report)
    return 0 if report.exactly_once and report.resumed_in_time else 1


if __name__ == "__main__":
    sys.exit(main())
