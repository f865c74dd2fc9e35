"""`janus-bot space` with a tiny model: from a folder on disk to answers over Gradio."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.space.engine import TOKENS
from bot.space.server import READY
from tests.model import tiny
from tests.model.running import TinyModel
from tests.servers.space import END_TIMEOUT_SECONDS, START_TIMEOUT_SECONDS
from tests.test_own_model import GENERATE, UNDERSTAND, events

pytestmark = pytest.mark.timeout(360)


async def test_serves_a_models_folder(tiny_model: TinyModel, tmp_path: Path) -> None:
    """A question and a drawing are asked while it is loaded, and both are answered by the model."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "space", "--model", str(tiny_model.folder), "--port", "0"),
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


async def test_hanging_up_frees_the_rows(tmp_path: Path) -> None:
    """Drawings that would take long are left, running or waiting; the next one begins at once."""
    folder = tmp_path / "model"
    folder.mkdir()
    tiny.build(folder, side=384)  # 576 tokens a picture, as in the published models
    async with served(folder, tmp_path) as url:
        begun = time.monotonic()
        await completed(url, GENERATE, ["a fox", 9, 5, 1])
        one = time.monotonic() - begun
        left = [events(url, GENERATE, ["a fox", seed, 5, 1]) for seed in range(8)]
        await progressed(left[0])
        for stream in left[1:]:
            while (await anext(stream))["msg"] != "progress":
                pass
        for stream in left:
            await stream.aclose()  # closes its connection
        begun = time.monotonic()
        await progressed(events(url, GENERATE, ["a fox", 3, 5, 1]))
        # At two a time, eight would take four times as long as one.
        assert time.monotonic() - begun < one


async def test_cancelling_ends_a_drawing(tmp_path: Path) -> None:
    """As Gradio's own page and clients do it: the stream of that call ends at once."""
    folder = tmp_path / "model"
    folder.mkdir()
    tiny.build(folder, side=384)
    key = secrets.token_hex(6)
    async with served(folder, tmp_path) as url, aiohttp.ClientSession(url) as session:
        body = {"data": ["a fox", 1, 5, 1], "fn_index": GENERATE, "session_hash": key}
        async with session.post("/gradio_api/queue/join", json=body) as response:
            event = (await response.json())["event_id"]
        found = []
        async with session.get("/gradio_api/queue/data", params={"session_hash": key}) as stream:
            async for line in stream.content:
                if not line.startswith(b"data: "):
                    continue
                found.append(json.loads(line.removeprefix(b"data: ")))
                if found[-1]["msg"] == "progress" and is_drawn(found[-1]) and body:
                    cancel = {"session_hash": key, "fn_index": GENERATE, "event_id": event}
                    body = {}
                    async with session.post("/gradio_api/cancel", json=cancel) as response:
                        assert response.status == 200
        ends = [each for each in found if each["msg"] == "process_completed"]
        assert ends[0]["output"] == {}


async def progressed(stream: AsyncIterator[dict[str, Any]]) -> None:
    """Wait until tokens are drawn."""
    async for event in stream:
        assert event["msg"] != "process_completed", event
        if event["msg"] == "progress" and is_drawn(event):
            return


def is_drawn(event: dict[str, Any]) -> bool:
    return any(unit["unit"] == TOKENS for unit in event["progress_data"])


@contextlib.asynccontextmanager
async def served(folder: Path, home: Path) -> AsyncIterator[str]:
    """The address of a Space with this model."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.space", "--model", str(folder), "--port", "0"),
        *("--device", "cpu", "--with-parent"),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            yield (await process.stdout.readline()).decode().removeprefix(READY).strip()
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
