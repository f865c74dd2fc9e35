"""The offline stand-in Space as a process of its own, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.space.server import READY

START_TIMEOUT_SECONDS = 240
"""Of a start: Gradio's import alone takes twenty on a busy machine."""
END_TIMEOUT_SECONDS = 30
"""Of an end, before the process is killed and the test fails."""


@dataclass(frozen=True, slots=True)
class SpaceProcess:
    """A running Space.

    Attributes:
        url: its root, without a slash at the end.
        process: the program.
    """

    url: str
    process: asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def space_process(
    *,
    step_delay: float = 0.0,
    queue_size: int = 32,
    concurrency: int = 1,
    port: int = 0,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[SpaceProcess]:
    """Start a Space, wait until it answers, and end exactly it.

    Args:
        step_delay: seconds for each step of the work.
        queue_size: requests that may wait.
        concurrency: calls of each function at the same time.
        port: 0 for any free one.
        environment: all of its variables; `None` for those of this process.

    Raises:
        RuntimeError: it ended or stayed silent instead of getting ready; with what it wrote.
    """
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(
                "-m",
                "bot.space",
                "--stand-in",
                "--port",
                str(port),
                "--step-delay",
                str(step_delay),
            ),
            *("--queue-size", str(queue_size), "--concurrency", str(concurrency)),
            "--with-parent",
            stdin=asyncio.subprocess.PIPE,  # closes with us, even if we are killed
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=Path(__file__).parents[2],
            env=environment,
        )
        try:
            url = await _ready(process)
            if url is None:
                errors.seek(0)
                raise RuntimeError(errors.read().decode(errors="replace") or "no word in time")
            yield SpaceProcess(url, process)
        finally:
            await _end(process)


@contextlib.asynccontextmanager
async def running_space(
    *, step_delay: float = 0.0, queue_size: int = 32, concurrency: int = 1, port: int = 0
) -> AsyncIterator[str]:
    """A Space of which only the URL matters."""
    async with space_process(
        step_delay=step_delay, queue_size=queue_size, concurrency=concurrency, port=port
    ) as space:
        yield space.url


async def _ready(process: asyncio.subprocess.Process) -> str | None:
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            async for line in process.stdout:
                if line.startswith(READY.encode()):
                    return line.decode().removeprefix(READY).strip()
    return None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
