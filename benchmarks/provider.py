"""What a turn costs with the provider, beside bare aiohttp and gradio_client in the same run.

    python benchmarks/provider.py [--quick] [--side PIXELS]

Questions about a picture of 110 kB, as photographs are sent, at 1 to 100 at once: on the replayed
wire of Gradio 6.31, where they are answered at once and the server costs next to nothing, and on a
real Gradio server, where an answer takes 50 ms. With a picture of 12 kB (`--side 64`), or of hardly
any size (`--side 8`), what the provider saves on the picture weighs less.

The bare client sends the same requests as the provider, and looks only at what it needs. Called on
the class, the provider keeps the configuration, and a session for some seconds. Each
client has a process of its own, and they are asked in turns, round by round. What else a machine
does only ever adds to a round, so a quarter of the way up from the best round counts.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from _clients import MAX_AT_ONCE, PHOTO_SIDE, Cost
from _replay import READY
from _support import Figure, verdict

from tests.servers.real_gradio import real_gradio

_HERE = Path(__file__).parent
_MEGABYTE = 1e6

MAX_CPU_BESIDE_BARE = 1.15
"""Aim: CPU time of a turn, in those of the bare client."""
MAX_CPU_ON_CLASS = 1.6
"""Aim: the same where it is called on the class, which keeps a session for some seconds."""
MAX_CPU_BESIDE_GRADIO_CLIENT = 1 / 20
"""Aim: the same, in those of gradio_client."""
MAX_WAIT_BESIDE_BARE = 1.2
"""Aim: median of the wait beyond the answer's own time, in that of the bare client."""
MAX_GROWTH_MB = 2.0
"""Aim of this benchmark's own: how much the process grows with `MAX_AT_ONCE` turns at once, after
fewer at once. It holds because a picture becomes text only while it is sent (`JsonBody`)."""
MAX_IMPORT_SECONDS = 0.3
"""Aim: what the import of the provider takes after that of aiohttp."""

_HEADINGS = (
    "at once  client          turns failed CPU best  quarter   median  p50+ ms  quarter   median"
    " MB grown threads"
)
PAIR = ("provider", "bare")
SHARED = (*PAIR, "gradio_client")
ON_CLASS = ("on_class", "bare")
"""Clients that are compared: ours, the bare one, and another one that is asked less."""
START_TIMEOUT_SECONDS = 240
"""For a client to be ready: gradio_client imports for twenty seconds on a busy machine."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked of a server.

    Attributes:
        takes: seconds from a question to its answer, if nothing else took any.
        rounds: at most, with so many turns at once, in this order. With one at once a round is a
            single turn.
        seconds: in which all rounds with so many at once begin.
    """

    takes: float
    rounds: Mapping[int, int]
    seconds: int


WIRE = Load(0.0, {1: 2000, 10: 400, 50: 100, MAX_AT_ONCE: 100}, seconds=20)
REAL = Load(0.05, {1: 200, 10: 100, 50: 20, MAX_AT_ONCE: 20}, seconds=90)
ALONE = Load(0.0, {1: 2000, 10: 200, MAX_AT_ONCE: 50}, seconds=20)
QUICK = Load(0.0, {1: 20, 10: 10, MAX_AT_ONCE: 3}, seconds=5)


@dataclass(slots=True)
class Results:
    """What all rounds of one client cost, with the same number of turns at once.

    Attributes:
        takes: as in `Load`.
        costs: of each round.
    """

    takes: float
    costs: list[Cost] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(cost.failed for cost in self.costs)

    @property
    def cpu(self) -> list[float]:
        """Milliseconds of CPU time of a turn in each round, the best first."""
        return sorted(cost.cpu / cost.turns * 1e3 for cost in self.costs)

    @property
    def added(self) -> list[float]:
        """Median of the milliseconds beyond the answer's own in each round, the best first."""
        medians = (statistics.median(cost.waits or [math.inf]) for cost in self.costs)
        return sorted((median - self.takes) * 1e3 for median in medians)

    @property
    def grown(self) -> float:
        """Megabytes from before the first round to after the last one."""
        return sum(cost.grown for cost in self.costs) / _MEGABYTE

    def __str__(self) -> str:
        turns = sum(cost.turns for cost in self.costs)
        times = [
            f"{value:>8.2f}"
            for values in (self.cpu, self.added)
            for value in (values[0], quarter(values), statistics.median(values))
        ]
        return (
            f"{turns:>6} {self.failed:>6} {' '.join(times)}"
            f" {self.grown:>8.1f} {max(cost.threads for cost in self.costs):>7}"
        )


def quarter(ordered: Sequence[float]) -> float:
    """The value that a quarter of the rounds did not exceed."""
    return ordered[len(ordered) // 4]


class Client:
    """One of the clients in `_clients.py`, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def turns(self, count: int, at_once: int, seconds: int) -> Cost:
        """Let it ask, and wait until all turns have ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {at_once} {seconds}\n".encode())
        return Cost(**json.loads(await self.line(seconds + START_TIMEOUT_SECONDS)))

    async def line(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        if not line:
            raise RuntimeError("a client ended early")
        return line


@asynccontextmanager
async def started(name: str, url: str, question: str, side: int) -> AsyncIterator[Client]:
    """A client that is ready to ask."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_HERE / "_clients.py"), name, url, question, str(side)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Failures of gradio_client are counted; those of ours should be seen.
        stderr=asyncio.subprocess.DEVNULL if name == "gradio_client" else None,
        limit=2**24,
    )
    try:
        client = Client(process)
        await client.line(START_TIMEOUT_SECONDS)
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def replayed_wire() -> AsyncIterator[str]:
    """The server in `_replay.py`, which answers at once; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_HERE / "_replay.py"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_SECONDS)
        yield line.decode().removeprefix(READY).strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def compare(
    name: str,
    server: AbstractAsyncContextManager[str],
    asking: tuple[str, int],
    load: Load,
    names: Sequence[str] = SHARED,
) -> list[Figure]:
    """Ask one server with each client, print what it cost, and return the figures with aims.

    Args:
        name: of the server, for people.
        server: gives its address.
        asking: the question, and the pixels of its picture's sides.
        load: how much is asked.
        names: of the clients.
    """
    print(f"\n{name}")
    print(_HEADINGS)
    pair, others = names[:2], names[2:]
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(server)
        clients = {
            client: await stack.enter_async_context(started(client, url, *asking))
            for client in names
        }
        for at_once, rounds in load.rounds.items():
            results = {client: Results(load.takes) for client in clients}
            end = time.monotonic() + load.seconds
            for number in range(rounds):
                if number and time.monotonic() > end:
                    break
                for client in pair if number % 2 else reversed(pair):
                    cost = await clients[client].turns(at_once, at_once, load.seconds)
                    results[client].costs.append(cost)
            for client in others:
                # It takes twenty times as long; a few turns are enough to see that.
                few = max(5, at_once // 4)
                cost = await clients[client].turns(few, at_once, load.seconds)
                results[client].costs.append(cost)
            for client, result in results.items():
                print(f"{at_once:>7}  {client:<14}{result}", flush=True)
            figures += judged(name, at_once, *results.values())
    return figures


def judged(
    name: str, at_once: int, ours: Results, bare: Results, gradio: Results | None = None
) -> list[Figure]:
    at = f"{name}, {at_once} at once"
    cpu = [quarter(result.cpu) for result in (ours, bare)]
    words = f"{cpu[0]:.3g} and {cpu[1]:.3g} ms a turn, {len(ours.costs)} rounds"
    figures = [Figure(f"{at}: failed", ours.failed, 0, "")]
    if gradio is None:
        return [*figures, Figure(f"{at}: CPU / bare", cpu[0] / cpu[1], MAX_CPU_ON_CLASS, "", words)]
    aim = MAX_CPU_BESIDE_GRADIO_CLIENT
    figures += [
        Figure(f"{at}: CPU / bare", cpu[0] / cpu[1], MAX_CPU_BESIDE_BARE, "", words),
        Figure(f"{at}: CPU / gradio_client", cpu[0] / quarter(gradio.cpu), aim, ""),
    ]
    if at_once == MAX_AT_ONCE:
        later = [quarter(result.added) for result in (ours, bare)]
        words = f"{later[0]:.1f} and {later[1]:.1f} ms"
        figures.append(
            Figure(f"{at}: p50 added / bare", later[0] / later[1], MAX_WAIT_BESIDE_BARE, "", words)
        )
        words = f"bare {bare.grown:.1f} MB"
        figures.append(Figure(f"{at}: growth", max(0.0, ours.grown), MAX_GROWTH_MB, "MB", words))
    return figures


def import_time(times: int) -> Figure:
    """Seconds that the provider's import adds to aiohttp's, the best of some processes."""
    code = (
        "import aiohttp, time; begun = time.perf_counter(); import bot.provider; "
        "print(time.perf_counter() - begun)"
    )
    command = [sys.executable, "-c", code]
    seconds = [float(subprocess.check_output(command)) for _ in range(times)]  # noqa: S603 - ours
    return Figure("import beyond aiohttp's own", min(seconds), MAX_IMPORT_SECONDS, "s")


async def main(side: int, *, quick: bool) -> int:
    """Measure, print, and say whether all aims were reached."""
    figures = [import_time(1 if quick else 5)]
    asking = ("What is this?", side)
    wire = QUICK if quick else WIRE
    figures += await compare("replayed wire", replayed_wire(), asking, wire)
    alone = replace(ALONE, seconds=5) if quick else ALONE
    figures += await compare("called on the class", replayed_wire(), asking, alone, ON_CLASS)
    if not quick:
        real = real_gradio(concurrency=MAX_AT_ONCE, queue_size=4 * MAX_AT_ONCE)
        figures += await compare("real Gradio", real, ("What is this? [whole]", side), REAL)
    print()
    for figure in figures:
        print(figure)
    return verdict(figures)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a few rounds, no real Gradio server")
    parser.add_argument(
        "--side", type=int, default=PHOTO_SIDE, help="pixels of the picture's sides"
    )
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.side, quick=given.quick)))
