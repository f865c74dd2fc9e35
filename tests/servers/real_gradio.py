"""A real Gradio server with the Space's two functions, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

READY = b"ready: "
START = 240
"""Seconds that a start may take: Gradio's import alone takes twenty on a busy machine."""


@asynccontextmanager
async def real_gradio(python: str = sys.executable, concurrency: int = 4) -> AsyncIterator[str]:
    """A running server; its URL.

    Args:
        python: interpreter of the environment whose Gradio is used.
        concurrency: calls of each function at the same time; further ones wait in the queue.
    """
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(
        python,
        *(str(Path(__file__).with_name("gradio_app.py")), str(concurrency)),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield await asyncio.wait_for(_url(process), START)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(READY):
            return line.removeprefix(READY).decode().strip()
    raise AssertionError("the Gradio server ended before it was ready")
