"""`janus-bot space` with a tiny model: from a folder on disk to answers over Gradio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.space.server import READY
from tests.model.running import TinyModel
from tests.servers.space import END_TIMEOUT_SECONDS, START_TIMEOUT_SECONDS
from tests.test_own_model import GENERATE, UNDERSTAND, events

pytestmark = pytest.mark.timeout(360)


async def test_serves_a_models_folder(tiny: TinyModel, tmp_path: Path) -> None:
    """A question and a drawing are asked while it is loaded, and both are answered by the model."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "space", "--model", str(tiny.folder), "--port", "0"),
        *("--device", "cpu"),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            url = (await process.stdout.readline()).decode().removeprefix(READY).strip()
        text, drawing = await asyncio.gather(
            completed(url, UNDERSTAND, [None, "Hello", 1, 1, 0]),
            completed(url, GENERATE, ["a red fox", 1, 5, 1]),
        )
        assert isinstance(text["output"]["data"][0], str)
        assert len(drawing["output"]["data"][0]) == 5
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            _, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert f"is ready: {url}" in err.decode()
        assert "Traceback" not in err.decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def completed(url: str, function: int, data: list[Any]) -> dict[str, Any]:
    """The last event of a call, which succeeded."""
    *_, last = [
        event async for event in events(url, function, data) if event["msg"] == "process_completed"
    ]
    assert last["success"], last
    return last
