"""A real Gradio server with the Space's two functions, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

READY = b"ready: "
_START_TIMEOUT_SECONDS = 400
"""Gradio's import alone takes a hundred on a very busy machine."""
MAX_UPLOAD_BYTES = 2 * 1024 * 1024
GRADIO_5 = Path(os.environ.get("JANUS_TEST_GRADIO5", f"{sys.prefix}/gradio5/bin/python"))
"""The Python of an environment with Gradio 5; `make test` makes it inside of its own."""


@asynccontextmanager
async def real_gradio(
    python: Path | str = sys.executable, *, concurrency: int = 4, queue_size: int = 64
) -> AsyncIterator[str]:
    """A running server; its URL.

    Args:
        python: interpreter of the environment whose Gradio is used.
        concurrency: calls of each function at the same time; further ones wait in the queue.
        queue_size: calls that may wait.
    """
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-I", str(Path(__file__).with_name("gradio_app.py"))),
        *("--concurrency", str(concurrency), "--queue-size", str(queue_size)),
        *("--max-file", str(MAX_UPLOAD_BYTES)),
        stdin=asyncio.subprocess.PIPE,  # closes with us, even if we are killed
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield await asyncio.wait_for(_url(process), _START_TIMEOUT_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(READY):
            return line.removeprefix(READY).decode().strip().rstrip("/")
    raise AssertionError("the Gradio server ended before it was ready")
