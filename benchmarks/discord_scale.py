"""What does it take to be in many servers, beside a bare discord.py client with the same intents?

    python benchmarks/discord_scale.py [--servers 2500] [--channels 20] [--rounds 3] [--quick]

Both join the same servers of a local Discord, in turn, each in a process of its own: the bot's side
of Discord, and discord.py as it sets itself up. A start has ended when all servers were taken in;
memory is what the process occupies then. The whole bot joins once as well: what its other parts
take does not grow with the servers, so there is no aim for it here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from _support import Figure, spread, verdict

from tests.servers.discord import TOKEN, DiscordServer

AIM = 1.3
START_TIMEOUT_SECONDS = 900.0
HEARTBEAT = 1
"""Gateway: the client shall answer at once, which it does when it has read all that came before."""
ADAPTER, BARE, WHOLE = "adapter", "bare", "whole bot"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one start took.

    Attributes:
        connected: seconds until the session stood.
        joined: seconds until all servers were taken in.
        empty: MB when the session stood, before most of the servers came.
        memory: MB at the end.
        cpu: seconds of the process at the end.
    """

    connected: float
    joined: float
    empty: float
    memory: float
    cpu: float


def occupied(process_id: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def spent(process_id: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{process_id}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def start(server: DiscordServer, command: list[str], environment: Mapping[str, str]) -> Cost:
    """Run a client until it is in all servers, then kill it.

    Raises:
        RuntimeError: it ended instead, or took too long; with what it wrote.
    """
    with tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment, cwd=ROOT, stdout=errors, stderr=errors
        )
        joining = asyncio.create_task(_joined(server, process.pid, begun))
        ending = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({joining, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not joining.done() or joining.exception() is not None:
                errors.seek(0)
                raise RuntimeError(errors.read().decode(errors="replace") or "no word in time")
            return joining.result()
        finally:
            joining.cancel()
            if process.returncode is None:
                process.kill()
            await asyncio.gather(joining, ending, return_exceptions=True)
            await server.wait_for(lambda: not server.gateway.live, START_TIMEOUT_SECONDS)
            server.gateway.forget()


async def _joined(server: DiscordServer, process_id: int, begun: float) -> Cost:
    gateway = server.gateway
    await server.wait_for(lambda: gateway.live, START_TIMEOUT_SECONDS)
    connected, empty = time.perf_counter() - begun, occupied(process_id)
    (session,) = gateway.live
    # READY is the first event.
    await server.wait_for(lambda: len(session.sent) > len(server.guilds), START_TIMEOUT_SECONDS)
    answers = gateway.heartbeats
    if session.socket is None:
        raise RuntimeError("the client hung up")
    await session.socket.send_json({"op": HEARTBEAT, "d": None})
    await server.wait_for(lambda: gateway.heartbeats > answers, START_TIMEOUT_SECONDS)
    joined = time.perf_counter() - begun
    return Cost(connected, joined, empty, occupied(process_id), spent(process_id))


async def measure(servers: int, channels: int, rounds: int) -> int:
    """Print times, memory and their ratios; 1 if an aim was missed."""
    costs: dict[str, list[Cost]] = {}
    async with DiscordServer() as server:
        for number in range(servers):
            guild = server.guild(f"Server {number}")
            for each in range(channels):
                server.channel(guild, f"channel-{each}")
        with tempfile.TemporaryDirectory() as folder:
            shared = {**os.environ, "PYTHONPATH": str(ROOT)}
            own = shared | {f"JANUS_BOT_{key}": value for key, value in _bot(server, folder)}
            for _ in range(rounds):
                for name in (ADAPTER, BARE):
                    cost = await start(server, _client(server, name), shared)
                    costs.setdefault(name, []).append(cost)
                    print(name, cost, flush=True)
            costs[WHOLE] = [await start(server, ["-m", "bot", "run"], own)]
            print(WHOLE, costs[WHOLE][0], flush=True)
    return report(costs)


def _client(server: DiscordServer, name: str) -> list[str]:
    script = str(Path(__file__).with_name("_scale_client.py"))
    return [script, name, server.api_url, server.gateway_url, TOKEN]


def _bot(server: DiscordServer, folder: str) -> list[tuple[str, str]]:
    """What the whole bot is told by its environment."""
    return [
        ("BOT__DATA_DIR", folder),
        ("HTTP__ENABLED", "false"),
        ("DISCORD__TOKEN", TOKEN),
        ("DISCORD__API_URL", server.api_url),
        ("DISCORD__GATEWAY_URL", server.gateway_url),
    ]


def report(costs: Mapping[str, Sequence[Cost]]) -> int:
    """Print what was measured; the exit code."""
    for name, each in costs.items():
        print(f"{name:<9} all joined after {spread([one.joined for one in each], 's', 1)}")
        print(f"{name:<9} processor {spread([one.cpu for one in each], 's', 1)}")
        print(f"{name:<9} memory {spread([one.memory for one in each], 'MB', 1)}")
    (whole,) = costs[WHOLE]
    print(f"{WHOLE:<9} {whole.memory - whole.empty:.3g} MB of it came with the servers")

    def ratio(name: str) -> float:
        ours, bare = ([float(getattr(one, name)) for one in costs[who]] for who in (ADAPTER, BARE))
        return statistics.median(ours) / statistics.median(bare)

    figures = [
        Figure("start until all servers are in, ratio", ratio("joined"), AIM, ""),
        Figure("processor time of that, ratio", ratio("cpu"), AIM, ""),
        Figure("memory, ratio", ratio("memory"), AIM, ""),
    ]
    print(*figures, sep="\n")
    return verdict(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--servers", type=int, default=2500)
    parser.add_argument("--channels", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with 100 servers")
    given = parser.parse_args()
    few = (100, given.channels, 1)
    many = (given.servers, given.channels, given.rounds)
    sys.exit(asyncio.run(measure(*(few if given.quick else many))))
