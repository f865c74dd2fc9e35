"""What opening a session teaches malloc."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

READS = 300
FAULTS = f"""
import resource, socket

here, there = socket.socketpair()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({READS}):
        here.send(b"x")
        there.recv(256 * 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

# Imports free blocks, too: how large, depends on what of them is compiled already.
untaught = faults()

import asyncio
from bot.provider import open_session

async def main():
    async with open_session():
        print(untaught, faults())

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries do without")
def test_blocks_for_reading_are_kept() -> None:
    """Once a session is open, what asyncio reads into is not mapped anew for every read."""
    command = [sys.executable, "-c", FAULTS]
    out = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    untaught, taught = map(int, out.split())
    if untaught < READS:
        pytest.skip("this malloc keeps such blocks from the start")
    assert taught < READS
