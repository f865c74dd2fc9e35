"""`janus-bot space` before there is an engine: plan, download, serving meanwhile, ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.space.server import READY
from tests.servers.hub import FakeHub, running_hub
from tests.servers.space import END_TIMEOUT_SECONDS, START_TIMEOUT_SECONDS
from tests.test_model_files import FILES, MODEL

pytestmark = pytest.mark.timeout(
    360
)  # Gradio's import alone takes twenty seconds on a busy machine

ROOT = Path(__file__).parents[1]
UNDERSTAND, GENERATE = 2, 3
KEYS = {
    *("fits", "model", "device", "dtype", "pictures", "memory_needed", "memory_free", "download"),
    *("seconds_per_drawing", "reason", "licence", "alternatives", "disk_free", "device_name"),
    *("drawing_rows", "picture_positions", "answer_rows", "answer_positions", "remembered_bytes"),
}


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakeHub]:
    with running_hub() as fake:
        fake.models[MODEL] = dict(FILES)
        for name in ("deepseek-community/Janus-Pro-1B", "deepseek-community/Janus-Pro-7B"):
            fake.models[name] = dict(FILES)
        yield fake


def environment(fake: FakeHub, home: Path, **more: str) -> Mapping[str, str]:
    return {**os.environ, "HF_ENDPOINT": fake.endpoint, "HF_HOME": str(home), **more}


async def started(*options: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.servers.own_model", *options),
        cwd=ROOT,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ran(*options: str, env: Mapping[str, str]) -> tuple[int | None, str, str]:
    process = await started(*options, env=env)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_plan_is_one_object_and_fetches_no_weights(fake: FakeHub, tmp_path: Path) -> None:
    """The keys that other programs read; the size of the download is the hub's."""
    code, out, err = await ran("--plan", "--json", env=environment(fake, tmp_path))
    plan = json.loads(out)
    assert (code, err) == (0, "")
    assert set(plan) == KEYS
    assert plan["fits"] is True
    assert (plan["model"], plan["device"]) == ("deepseek-community/Janus-Pro-1B", "cpu")
    assert plan["download"] == sum(
        len(FILES[name]) for name in FILES if name not in {"README.md", "pytorch_model.bin"}
    )
    assert fake.contents() == []
    assert not list(tmp_path.rglob("blobs"))


async def test_plan_for_people_is_a_small_table(fake: FakeHub, tmp_path: Path) -> None:
    """What, where, how much, under which licence, and why; without a hub as well."""
    env = environment(fake, tmp_path, MACHINE='{"free": 24e9}', HF_HUB_OFFLINE="1")
    code, out, err = await ran("--plan", env=env)
    assert (code, err) == (0, "")
    assert "deepseek-community/Janus-Pro-7B in bfloat16" in out
    assert "Download   14.8 GB" in out
    assert "https://" in out
    assert "Card has 22.4 of 44.7 GB free: the 7B model fits in bfloat16" in out


@pytest.mark.parametrize("options", [("--plan",), ()])
async def test_what_does_not_fit_is_said_before_anything_begins(
    fake: FakeHub, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Exit code 3, with or without --plan, and what would fit."""
    env = environment(fake, tmp_path, MACHINE='{"free": 8e9}')
    code, out, err = await ran("--model", "7b", *options, env=env)
    assert code == 3
    assert "The 7B model needs" in out + err
    assert "--model 1b --device cuda" in out + err
    assert READY not in out
    assert fake.contents() == []


async def test_nothing_fits_at_all(fake: FakeHub, tmp_path: Path) -> None:
    """As JSON, too: exit code 3, and the object says so."""
    env = environment(fake, tmp_path, MACHINE='{"free": 1e9}')
    code, out, _ = await ran("--plan", "--json", env=env)
    assert code == 3
    assert json.loads(out)["fits"] is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--json",), "--json goes with --plan"),
        (("--device", "cuda:7"), "--device cuda:7 is not here; there is cpu"),
        (("--dtype", "int3"), "int3"),
        (("--pictures", "6"), "less than or equal to 5"),
    ],
)
async def test_a_wrong_option_is_a_sentence(
    fake: FakeHub, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """Exit code 2."""
    code, out, err = await ran(*options, env=environment(fake, tmp_path))
    assert (code, out) == (2, "")
    assert said in err


async def test_a_model_that_is_none_is_a_sentence(fake: FakeHub, tmp_path: Path) -> None:
    """Exit code 1."""
    code, _, err = await ran("--model", "nobody/nothing", env=environment(fake, tmp_path))
    assert code == 1
    assert "There is no model nobody/nothing" in err


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """Exit code 2; torch is hidden, in case it is here."""
    code = (
        "import sys, importlib.util as u; import bot.space.model as m\n"
        "m.find_spec = lambda name: None if name == 'torch' else u.find_spec(name)\n"
        "from bot.space.__main__ import app; app(['--plan'])"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert b"pip install 'janus-bot[janus]'" in err


# Serving -------------------------------------------------------------------------------------


class Running:
    """A Space that was started, and what it wrote so far."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.said = ""

    async def until(self, text: str) -> None:
        """Read standard error up to something."""
        assert self.process.stderr is not None
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while text not in self.said:
                piece = await self.process.stderr.read(4096)
                assert piece, self.said
                self.said += piece.decode()

    async def ended(self) -> int:
        assert self.process.stderr is not None
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            self.said += (await self.process.stderr.read()).decode()
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(*options: str, env: Mapping[str, str]) -> AsyncIterator[Running]:
    process = await started("--port", "0", *options, env=env)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            line = (await process.stdout.readline()).decode()
        assert line.startswith(READY), line
        yield Running(process, line.removeprefix(READY).strip())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def events(url: str, function: int, data: list[Any]) -> AsyncGenerator[dict[str, Any], None]:
    """What a call is told, until its stream is closed."""
    key = secrets.token_hex(6)
    body = {"data": data, "fn_index": function, "session_hash": key}
    timeout = aiohttp.ClientTimeout(total=START_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        async with session.post("/gradio_api/queue/join", json=body) as response:
            assert response.status == 200, await response.text()
        params = {"session_hash": key}
        async with session.get("/gradio_api/queue/data", params=params) as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))


async def test_serves_while_the_model_comes(fake: FakeHub, tmp_path: Path) -> None:
    """A question waits, sees the download and the loading, and is answered; then SIGINT ends it."""
    fake.cut_after, fake.hold = [1_500_000], threading.Event()
    env = environment(fake, tmp_path)
    async with running("--model", MODEL, "--dtype", "int8", env=env) as space:
        descriptions = []
        answer: Any = None
        async for event in events(space.url, UNDERSTAND, [None, "Hello", 1, 1, 0]):
            if event["msg"] == "progress":
                descriptions += [each["desc"] for each in event["progress_data"]]
                assert {each["unit"] for each in event["progress_data"]} == {"starting"}
                if any("Downloading" in each for each in descriptions):
                    fake.hold.set()
            if event["msg"] == "process_completed":
                answer = event
        assert answer["success"], answer
        assert answer["output"]["data"][0].startswith("int8 on cpu, ['config.json', 'model.safet")
        assert any(re.search(r"Downloading the model, \d+ %", each) for each in descriptions)
        await space.until("is ready: ")
        await space.until(f'  [[spaces]]\n  url = "{space.url}"\n')
        assert "Downloading the model, " in space.said
        space.process.send_signal(signal.SIGINT)
        assert await space.ended() == 0
        assert space.said.endswith("engine closed\n")


async def test_ends_in_the_middle_of_a_download(fake: FakeHub, tmp_path: Path) -> None:
    """Ctrl-C: exit code 0, nothing lost; the next start goes on there."""
    fake.cut_after, fake.hold = [1_500_000], threading.Event()
    env = environment(fake, tmp_path)
    async with running("--model", MODEL, env=env) as space:
        await space.until("Downloading the model, 50 %")
        space.process.send_signal(signal.SIGINT)
        assert await space.ended() == 0
        assert "Traceback" not in space.said
    fake.hold.set()
    fake.asked.clear()
    async with running("--model", MODEL, env=env) as space:
        await space.until("is ready: ")
    (asked,) = fake.contents()
    assert asked.startswith(f"{MODEL}/model.safetensors bytes=")


async def test_ends_while_the_model_is_loaded(fake: FakeHub, tmp_path: Path) -> None:
    """SIGTERM as well."""
    env = environment(fake, tmp_path, ENGINE="slow")
    async with running("--model", MODEL, env=env) as space:
        await space.until("Loading")
        space.process.terminate()
        assert await space.ended() == 0
        assert "Traceback" not in space.said


@pytest.mark.parametrize(
    ("how", "told", "printed"),
    [
        ("broken", "has no tensor that is called lm_head.weight", "has no tensor"),
        ("buggy", "could not be loaded", "ZeroDivisionError: a mistake"),
    ],
)
async def test_a_model_that_does_not_load_ends_it(
    fake: FakeHub, tmp_path: Path, how: str, told: str, printed: str
) -> None:
    """Whoever waits is told, it is printed, and the exit code is 1."""
    fake.cut_after, fake.hold = [1_500_000], threading.Event()
    env = environment(fake, tmp_path, ENGINE=how)
    async with running("--model", MODEL, env=env) as space:
        answer: Any = None
        async for event in events(space.url, GENERATE, ["a fox", 1, 5, 1]):
            if event["msg"] == "progress":
                fake.hold.set()
            if event["msg"] == "process_completed":
                answer = event
        assert answer["success"] is False
        assert told in answer["output"]["error"]
        assert await space.ended() == 1
        assert printed in space.said


async def test_a_download_that_fails_ends_it(fake: FakeHub, tmp_path: Path) -> None:
    """A model that is damaged on the way is never loaded."""
    fake.changed["model.safetensors"] = FILES["model.safetensors"][::-1]
    async with running("--model", MODEL, env=environment(fake, tmp_path)) as space:
        assert await space.ended() == 1
        assert "came damaged" in space.said
        assert "engine closed" not in space.said


async def test_the_token_comes_from_the_environment(fake: FakeHub, tmp_path: Path) -> None:
    """Then it is asked for, and in no list of processes; and it is not printed."""
    env = environment(fake, tmp_path, JANUS_SPACE_ACCESS_TOKEN="secret-word")
    async with running("--model", MODEL, env=env) as space:
        await space.until('  access_token = "…"')
        async with aiohttp.ClientSession(space.url) as session:
            async with session.get("/config") as response:
                assert response.status == 401
            headers = {"authorization": "Bearer secret-word"}
            async with session.get("/config", headers=headers) as response:
                assert response.status == 200
        assert "secret-word" not in space.said
