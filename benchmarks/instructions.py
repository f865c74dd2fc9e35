"""How many instructions does a turn with the provider take, beside bare aiohttp and gradio_client?

    python benchmarks/instructions.py [TURNS] [--quick] [--small]

The same turns as in `provider.py`, on the replayed wire, one at a time, counted by valgrind's
cachegrind (Debian's package `valgrind`). Counts do not change with what else the machine does, as
seconds do; work of the kernel is not in them. Each client runs twice, with few turns and with many:
the difference leaves out the start of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from subprocess import PIPE

from _clients import PHOTO, SMALL
from _support import Figure, verdict
from provider import BESIDE_BARE, BESIDE_GRADIO, replayed_wire

FEW = 20
LONGEST = 3600
"""Seconds: valgrind runs a program some fifty times slower."""
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
_COUNTING = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


async def counted(client: str, url: str, turns: int, side: int) -> int:
    """Instructions of a whole process that asks so often.

    Raises:
        RuntimeError: it failed; with what it wrote.
    """
    script = str(Path(__file__).with_name("_clients.py"))
    process = await asyncio.create_subprocess_exec(
        *(*_COUNTING, sys.executable, script, client, url, "What is this?", str(side)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    said, complaints = await process.communicate(f"{turns} 1 {LONGEST}\n".encode())
    found = _COUNTED.search(complaints.decode())
    if process.returncode or found is None or b'"failed": 0' not in said:
        raise RuntimeError(complaints.decode())
    return int(found[1].replace(",", ""))


async def a_turn(client: str, url: str, turns: int, side: int) -> float:
    """Instructions of one turn."""
    few, many = await asyncio.gather(
        counted(client, url, FEW, side), counted(client, url, FEW + turns, side)
    )
    count = (many - few) / turns
    print(f"{client:<14} {count / 1e3:>9,.0f} thousand instructions a turn", flush=True)
    return count


async def main(turns: int, side: int) -> int:
    """Count, print, and say whether the aims were reached."""
    if shutil.which("valgrind") is None:
        print("This needs valgrind: apt install valgrind", file=sys.stderr)
        return 2
    async with replayed_wire() as url:
        ours = await a_turn("provider", url, turns, side)
        bare = await a_turn("bare", url, turns, side)
        gradio = await a_turn("gradio_client", url, max(5, turns // 5), side)
    figures = [
        Figure("instructions / bare", ours / bare, BESIDE_BARE, ""),
        Figure("instructions / gradio_client", ours / gradio, BESIDE_GRADIO, ""),
    ]
    print(*figures, sep="\n")
    return verdict(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("turns", nargs="?", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="10 turns")
    parser.add_argument("--small", action="store_true", help="a picture of 12 kB, not of 110")
    given = parser.parse_args()
    picture = SMALL if given.small else PHOTO
    sys.exit(asyncio.run(main(10 if given.quick else given.turns, picture)))
