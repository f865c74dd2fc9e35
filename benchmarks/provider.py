"""What a turn costs with the provider, beside bare aiohttp and gradio_client in the same run.

    python benchmarks/provider.py [--quick] [--small]

Questions about a picture of 110 kB, as photographs are sent, answered 50 ms later, at 1 to 100 at
once: on the replayed wire of Gradio 6.31, where the server costs next to nothing, and on a real
Gradio server. Each client is a process of its own; they take turns round by round, and each round
is compared with the other's beside it, because what else the machine does meanwhile hits both. The
median of that counts.
The bare client sends the same requests as the provider, and looks only at what it needs. With a
picture of 12 kB (`--small`) the provider's care for the answers weighs more, and what it saves on
the picture less.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from _clients import MOST, PHOTO, SMALL, Cost
from _replay import MODEL, READY
from _support import Figure, p95, verdict

from tests.servers.real_gradio import real_gradio

HERE = Path(__file__).parent
MEGABYTE = 1e6

BESIDE_BARE = 1.15
"""Aim: CPU time of a turn, in those of the bare client."""
BESIDE_GRADIO = 1 / 20
"""Aim: the same, in those of gradio_client."""
LATER = 1.2
"""Aim: median of what is waited beyond the answer's own 50 ms, in that of the bare client."""
GROWTH = 2.0
"""Aim: megabytes by which the process grows with `MOST` turns at once, once that many were open."""
IMPORT = 0.3
"""Aim: seconds that the import of the provider takes after that of aiohttp."""

HEADINGS = (
    "at once  client          turns failed CPU best   median   p50+ ms   p95+ ms MB first    later"
    " threads"
)
START = 240
"""Seconds until a client has to be ready: gradio_client imports for twenty on a busy machine."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked.

    Attributes:
        turns: by how many at once, per round; the most at once first, while the process is fresh.
        rounds: of the provider and the bare client, at most; gradio_client has one.
        seconds: in which the turns of a round, and all rounds with so many at once, begin.
    """

    turns: Mapping[int, int]
    rounds: int
    seconds: int


# Rounds are short, so that some of them fall between two moments in which the machine is busy.
WIRE = Load({MOST: 100, 50: 50, 10: 20, 1: 3}, rounds=60, seconds=20)
REAL = Load({MOST: 100, 50: 50, 10: 20, 1: 3}, rounds=20, seconds=20)
QUICK = Load({MOST: 100, 10: 20, 1: 3}, rounds=1, seconds=5)


@dataclass(slots=True)
class Results:
    """What all rounds of one client with so many turns at once cost."""

    costs: list[Cost] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Turns without an answer."""
        return sum(cost.failed for cost in self.costs)

    @property
    def cpu(self) -> list[float]:
        """Seconds of CPU time of a turn, in each round."""
        return [cost.cpu / cost.turns for cost in self.costs]

    @property
    def added(self) -> list[float]:
        """Median of the seconds beyond the answer's own, in each round."""
        return [statistics.median(cost.waits or [math.nan]) - MODEL for cost in self.costs]

    @property
    def first(self) -> float:
        """Megabytes in the first round: connections, and what asking needs at the same time."""
        return self.costs[0].grown / MEGABYTE

    @property
    def grown(self) -> float:
        """Megabytes in all further rounds: what was not given back."""
        return sum(cost.grown for cost in self.costs[1:]) / MEGABYTE

    def __str__(self) -> str:
        turns, best = sum(cost.turns for cost in self.costs), min(self.cpu) * 1e3
        waits = [wait - MODEL for cost in self.costs for wait in cost.waits] or [math.nan]
        return (
            f"{turns:>6} {self.failed:>6} {best:>8.2f} {statistics.median(self.cpu) * 1e3:>8.2f}"
            f" {statistics.median(waits) * 1e3:>9.1f} {p95(waits) * 1e3:>9.1f}"
            f" {self.first:>8.1f} {self.grown:>8.1f} {max(cost.threads for cost in self.costs):>7}"
        )


class Client:
    """One of the clients in `_clients.py`, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def turns(self, count: int, at_once: int, seconds: int) -> Cost:
        """Let it ask, and wait until all turns have ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {at_once} {seconds}\n".encode())
        return Cost(**json.loads(await self.line(seconds + START)))

    async def line(self, seconds: float) -> bytes:
        """What it says next."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        if not line:
            raise RuntimeError("a client ended early")
        return line


@asynccontextmanager
async def started(name: str, url: str, question: str, side: int) -> AsyncIterator[Client]:
    """A client that is ready to ask."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "_clients.py"), name, url, question, str(side)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Failures of gradio_client are counted; those of ours should be seen.
        stderr=asyncio.subprocess.DEVNULL if name == "gradio_client" else None,
        limit=2**24,
    )
    try:
        client = Client(process)
        await client.line(START)
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def replayed_wire() -> AsyncIterator[str]:
    """The server in `_replay.py`; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "_replay.py"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START)
        yield line.decode().removeprefix(READY).strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def compare(
    name: str, server: AbstractAsyncContextManager[str], question: str, side: int, load: Load
) -> list[Figure]:
    """Ask one server with each client, print what it cost, and return the figures with aims."""
    print(f"\n{name}")
    print(HEADINGS)
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(server)
        clients = {
            client: await stack.enter_async_context(started(client, url, question, side))
            for client in ("provider", "bare", "gradio_client")
        }
        for at_once, turns in load.turns.items():
            results = {client: Results() for client in clients}
            end = time.monotonic() + load.seconds
            for number in range(load.rounds):
                if number and time.monotonic() > end:
                    break
                for client in ("provider", "bare") if number % 2 else ("bare", "provider"):
                    cost = await clients[client].turns(turns, at_once, load.seconds)
                    results[client].costs.append(cost)
            # It takes twenty times as long; a few turns are enough to see that.
            cost = await clients["gradio_client"].turns(max(5, turns // 4), at_once, load.seconds)
            results["gradio_client"].costs.append(cost)
            for client, result in results.items():
                print(f"{at_once:>7}  {client:<14}{result}", flush=True)
            figures += judged(name, at_once, results)
    return figures


def beside(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median ratio of rounds that were run side by side."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def judged(name: str, at_once: int, results: Mapping[str, Results]) -> list[Figure]:
    """The figures that have an aim."""
    ours, bare, gradio = (results[client] for client in ("provider", "bare", "gradio_client"))
    at = f"{name}, {at_once} at once"
    cpu = [statistics.median(result.cpu) * 1e3 for result in (ours, bare, gradio)]
    words = f"{cpu[0]:.2f} and {cpu[1]:.2f} ms a turn, {len(ours.costs)} rounds"
    figures = [
        Figure(f"{at}: failed", ours.failed, 0, ""),
        Figure(f"{at}: CPU / bare", beside(ours.cpu, bare.cpu), BESIDE_BARE, "", words),
        Figure(f"{at}: CPU / gradio_client", cpu[0] / cpu[2], BESIDE_GRADIO, ""),
    ]
    if at_once == MOST:
        later = beside(ours.added, bare.added)
        medians = [statistics.median(result.added) * 1e3 for result in (ours, bare)]
        words = f"{medians[0]:.1f} and {medians[1]:.1f} ms"
        figures.append(Figure(f"{at}: p50 added / bare", later, LATER, "", words))
        words = f"bare {bare.grown:.1f}; the first round {ours.first:.1f} and {bare.first:.1f}"
        figures.append(Figure(f"{at}: growth", max(0.0, ours.grown), GROWTH, "MB", words))
    return figures


def import_time(times: int) -> Figure:
    """Seconds that the provider's import adds to aiohttp's, the best of some processes."""
    code = (
        "import aiohttp, time; begun = time.perf_counter(); import bot.provider; "
        "print(time.perf_counter() - begun)"
    )
    command = [sys.executable, "-c", code]
    seconds = [float(subprocess.check_output(command)) for _ in range(times)]  # noqa: S603 - ours
    return Figure("import beyond aiohttp's own", min(seconds), IMPORT, "s")


async def main(arguments: Sequence[str]) -> int:
    """Measure, print, and say whether all aims were reached."""
    quick, side = "--quick" in arguments, SMALL if "--small" in arguments else PHOTO
    figures = [import_time(1 if quick else 5)]
    wire = QUICK if quick else WIRE
    figures += await compare("replayed wire", replayed_wire(), "What is this?", side, wire)
    if not quick:
        real = real_gradio(concurrency=MOST, queue_size=4 * MOST)
        figures += await compare("real Gradio", real, "What is this? [whole]", side, REAL)
    print()
    for figure in figures:
        print(figure)
    return verdict(figures)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
