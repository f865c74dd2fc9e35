"""How many instructions does a turn with the provider take, beside one with bare aiohttp?

    python benchmarks/instructions.py [TURNS] [--quick] [--side PIXELS]

The same turns as in `provider.py`, on the replayed wire, one at a time and 100 at once, counted by
valgrind's cachegrind (Debian's package `valgrind`). Counts do not change with what else the machine
does, as seconds do; work of the kernel is not in them. Each client runs twice, with few turns and
with many: the difference leaves out the start of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

from _clients import MAX_AT_ONCE, PHOTO_SIDE
from _support import Figure, verdict
from provider import MAX_CPU_BESIDE_BARE, PAIR, replayed_wire

COUNT_TIMEOUT_SECONDS = 3600
"""Valgrind runs a program some fifty times slower."""
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
_COUNTING = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of which server.

    Attributes:
        url: of the server.
        words: of the question.
        side: of its picture, in pixels.
        at_once: how many such questions.
    """

    url: str
    words: str
    side: int
    at_once: int


async def counted(client: str, asked: Question, turns: int) -> int:
    """Instructions of a whole process that asks so often.

    Raises:
        RuntimeError: it failed; with what it wrote.
    """
    script = str(Path(__file__).with_name("_clients.py"))
    process = await asyncio.create_subprocess_exec(
        *(*_COUNTING, sys.executable, script, client, asked.url, asked.words, str(asked.side)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    said, complaints = await process.communicate(
        f"{turns} {asked.at_once} {COUNT_TIMEOUT_SECONDS}\n".encode()
    )
    found = _COUNTED.search(complaints.decode())
    if process.returncode or found is None or b'"failed": 0' not in said:
        raise RuntimeError(complaints.decode())
    return int(found[1].replace(",", ""))


async def a_turn(client: str, asked: Question, turns: int) -> float:
    few = max(20, asked.at_once)
    counts = await asyncio.gather(counted(client, asked, few), counted(client, asked, few + turns))
    return (counts[1] - counts[0]) / turns


async def main(turns: int, side: int) -> int:
    """Count, print, and say whether the aims were reached."""
    if shutil.which("valgrind") is None:
        print("This needs valgrind: apt install valgrind", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    async with replayed_wire() as url:
        for at_once in (1, MAX_AT_ONCE):
            asked = Question(url, "What is this?", side, at_once)
            ours, bare = [await a_turn(client, asked, turns) for client in PAIR]
            beside = f"{ours / 1e6:.3g} and {bare / 1e6:.3g} million"
            name = f"instructions / bare, {at_once} at once"
            figures.append(Figure(name, ours / bare, MAX_CPU_BESIDE_BARE, "", beside))
            print(figures[-1], flush=True)
    return verdict(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("turns", nargs="?", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="10 turns")
    parser.add_argument(
        "--side", type=int, default=PHOTO_SIDE, help="pixels of the picture's sides"
    )
    given = parser.parse_args()
    sys.exit(asyncio.run(main(10 if given.quick else given.turns, given.side)))
