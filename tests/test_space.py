"""The offline stand-in Space over the wire, as any client of the real one would use it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image, ImageDraw

from tests.servers.space import END_TIMEOUT_SECONDS, running_space, space_process

pytestmark = pytest.mark.timeout(360)  # includes the start of a Space on a busy machine

UNDERSTAND, GENERATE = 2, 3
"""Function numbers, as on the Space."""

Event: TypeAlias = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="url")
async def _url() -> AsyncIterator[str]:
    async with running_space(step_delay=0.02, queue_size=3) as url:
        yield url


@pytest_asyncio.fixture(name="session")
async def _session(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    # A fresh connection for each request: an idle one may be closed just as it is used again.
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        yield session


async def join(session: aiohttp.ClientSession, function: int, data: list[Any]) -> str:
    """Queue a call; the session hash under which its events come."""
    key = secrets.token_hex(6)
    body = {"data": data, "fn_index": function, "session_hash": key}
    async with session.post("/gradio_api/queue/join", json=body) as response:
        assert response.status == 200, await response.text()
    return key


async def events(session: aiohttp.ClientSession, key: str) -> AsyncIterator[Event]:
    """The events of a queued call, until the stream is closed."""
    params = {"session_hash": key}
    async with session.get("/gradio_api/queue/data", params=params) as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


async def call(session: aiohttp.ClientSession, function: int, data: list[Any]) -> list[Event]:
    """All events of one call."""
    key = await join(session, function, data)
    return [event async for event in events(session, key)]


def named(found: list[Event], name: str) -> list[Event]:
    return [event for event in found if event["msg"] == name]


def completed(found: list[Event]) -> Event:
    (event,) = named(found, "process_completed")
    return event


def data_url(image: Image.Image) -> dict[str, Any]:
    """A picture as clients send it without an upload."""
    data = io.BytesIO()
    image.save(data, "PNG")
    url = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    return {"path": None, "url": url, "meta": {"_type": "gradio.FileData"}}


def red_and_blue() -> Image.Image:
    image = Image.new("RGB", (200, 100), "red")
    ImageDraw.Draw(image).rectangle((100, 0, 200, 100), fill="blue")
    return image


async def drawn(session: aiohttp.ClientSession, *data: Any) -> list[bytes]:
    """The five files of a call of `generate_image`."""
    event = completed(await call(session, GENERATE, list(data)))
    assert event["success"] is True, event
    (gallery,) = event["output"]["data"]
    files = []
    for entry in gallery:
        async with session.get(f"/gradio_api/file={entry['image']['path']}") as response:
            assert response.status == 200
            files.append(await response.read())
    return files


async def test_has_the_functions_of_the_space(session: aiohttp.ClientSession) -> None:
    """Names, numbers, triggers and inputs are those that clients of the Space know."""
    async with session.get("/config") as response:
        config = await response.json()
    found = {
        dependency["api_name"]: (dependency["id"], dependency["targets"], dependency["inputs"])
        for dependency in config["dependencies"]
    }
    assert found["multimodal_understanding"] == (2, [[10, "click"]], [3, 5, 6, 7, 8])
    assert found["generate_image"] == (3, [[20, "click"]], [18, 19, 15, 16])
    assert (config["protocol"], config["api_prefix"]) == ("sse_v3", "/gradio_api")


async def test_has_the_parameters_of_the_space(session: aiohttp.ClientSession) -> None:
    """Parameter names and defaults are those of the Space."""
    async with session.get("/gradio_api/info") as response:
        info = await response.json()
    found = {
        name: {p["parameter_name"]: p["parameter_default"] for p in endpoint["parameters"]}
        for name, endpoint in info["named_endpoints"].items()
    }
    assert found == {
        "/multimodal_understanding": {
            "image": None,
            "question": None,
            "seed": 42,
            "top_p": 0.95,
            "temperature": 0.1,
        },
        "/generate_image": {
            "prompt": None,
            "seed": 12345,
            "guidance": 5,
            "t2i_temperature": 1.0,
        },
    }


async def test_tells_nobody_and_loads_nothing_from_elsewhere(
    session: aiohttp.ClientSession,
) -> None:
    """Analytics are off, and the page may not load from another host."""
    async with session.get("/config") as response:
        config = await response.json()
    assert config["analytics_enabled"] is False
    assert not config["stylesheets"]
    async with session.get("/") as response:
        policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


async def test_describes_a_picture_given_as_data_url(session: aiohttp.ClientSession) -> None:
    """Size and colours in the answer are those of the picture."""
    data = [data_url(red_and_blue()), "Describe it", 42, 0.95, 0.1]
    (text,) = completed(await call(session, UNDERSTAND, data))["output"]["data"]
    assert "200 x 100 pixels, landscape (2:1)" in text
    assert "red (50%)" in text
    assert "blue (50%)" in text
    assert "stand-in" in text


async def test_describes_an_uploaded_picture(session: aiohttp.ClientSession) -> None:
    """The longer way, by upload and path, gives the same answer."""
    data = io.BytesIO()
    red_and_blue().save(data, "PNG")
    form = aiohttp.FormData()
    form.add_field("files", data.getvalue(), filename="a.png")
    async with session.post("/gradio_api/upload", data=form) as response:
        (path,) = await response.json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    found = await call(session, UNDERSTAND, [file, "Describe it", 42, 0.95, 0.1])
    assert "200 x 100 pixels" in completed(found)["output"]["data"][0]


async def test_streams_the_answer(session: aiohttp.ClientSession) -> None:
    """The text comes piece by piece and ends with the whole of it."""
    data = [data_url(red_and_blue()), "Describe it", 42, 0.95, 0.1]
    found = await call(session, UNDERSTAND, data)
    generating = named(found, "process_generating")
    assert len(generating) >= 3
    (first,) = generating[0]["output"]["data"]
    (whole,) = completed(found)["output"]["data"]
    assert first
    assert whole.startswith(first)
    assert len(first) < len(whole)


async def test_the_same_seed_gives_the_same_pictures(session: aiohttp.ClientSession) -> None:
    """Five different pictures of 768 pixels; the same bytes for the same seed, others else."""
    first = await drawn(session, "a red fox", 42, 5, 1.0)
    assert len(set(first)) == 5
    for file in first:
        with Image.open(io.BytesIO(file)) as image:
            assert (image.size, image.format) == ((768, 768), "WEBP")
    assert await drawn(session, "a red fox", 42, 5, 1.0) == first
    assert set(first).isdisjoint(await drawn(session, "a red fox", 43, 5, 1.0))


async def test_reports_progress(session: aiohttp.ClientSession) -> None:
    """Steps rise towards a known end, in words for people."""
    found = await call(session, GENERATE, ["a red fox", 42, 5, 1.0])
    steps = [event["progress_data"][-1] for event in named(found, "progress")]
    assert len(steps) >= 5
    assert {step["length"] for step in steps} == {20}
    assert [step["index"] for step in steps] == sorted(step["index"] for step in steps)
    assert "Sketching picture" in steps[0]["desc"]


async def test_tells_the_place_in_the_queue(session: aiohttp.ClientSession) -> None:
    """Of parallel calls one runs; the others learn how many are before them, then their turn."""
    keys = [await join(session, GENERATE, ["a cat", seed, 5, 1.0]) for seed in range(3)]
    order: list[tuple[str, int]] = []
    ranks: list[list[int]] = [[], [], []]
    steps: dict[int, int] = {}

    async def follow(place: int, key: str) -> None:
        async for event in events(session, key):
            order.append((event["msg"], place))
            if event["msg"] == "progress":
                steps[place] = event["progress_data"][-1]["index"]
            if event["msg"] == "process_starts":
                # Two streams may overtake each other by an event or two.
                assert all(step >= 15 for step in steps.values()), steps
            if event["msg"] == "estimation":
                ranks[place].append(event["rank"])

    async with asyncio.TaskGroup() as group:
        for place, key in enumerate(keys):
            group.create_task(follow(place, key))
    assert max(max(seen) for seen in ranks) >= 1
    assert [place for name, place in order if name == "process_completed"] == [0, 1, 2]


async def test_refuses_more_than_the_queue_holds(session: aiohttp.ClientSession) -> None:
    """Beyond its length the queue answers 503, as the Space does."""
    statuses = []
    keys = [secrets.token_hex(6) for _ in range(8)]
    for key in keys:
        body = {"data": ["a cat", 1, 5, 1.0], "fn_index": GENERATE, "session_hash": key}
        async with session.post("/gradio_api/queue/join", json=body) as response:
            statuses.append(response.status)
            text = await response.text()
            if response.status == 503:
                assert "Queue is full" in text
    assert set(statuses) == {200, 503}
    for key, status in zip(keys, statuses, strict=True):
        if status == 200:
            async for _ in events(session, key):
                pass


def absurd() -> list[Any]:
    """Calls that cannot succeed, each with what the person is told, if anything."""
    picture = data_url(red_and_blue())
    truncated = {**picture, "url": picture["url"][:120]}
    nonsense = {**picture, "url": "data:image/png;base64,AAAA"}
    bomb = data_url(Image.new("1", (14000, 14000)))
    cases = [
        (UNDERSTAND, [truncated, "?", 42, 0.95, 0.1], "picture cannot be read"),
        (UNDERSTAND, [nonsense, "?", 42, 0.95, 0.1], "picture cannot be read"),
        (UNDERSTAND, [bomb, "?", 42, 0.95, 0.1], "picture cannot be read"),
        (
            UNDERSTAND,
            [data_url(Image.new("1", (8000, 7000))), "?", 42, 0.9, 0.1],
            "8000 x 7000 pixels",
        ),
        (UNDERSTAND, ["not a file", "?", 42, 0.95, 0.1], None),
        (UNDERSTAND, [picture, "?" * 30_000, 42, 0.95, 0.1], "30,000 characters"),
        (UNDERSTAND, [picture, "?", -1, 0.95, 0.1], "seed -1"),
        (UNDERSTAND, [picture, "?", 42, 7, 0.1], "greater than maximum"),
        (GENERATE, ["fox", 2**40, 5, 1.0], "seed 1099511627776"),
        (GENERATE, ["fox", 1, 99, 1.0], "greater than maximum"),
        (GENERATE, ["fox", "seven", 5, 1.0], "has to be a number"),
        (GENERATE, ["fox" * 20_000, 1, 5, 1.0], "60,000 characters"),
        (GENERATE, [None, 1, 5, 1.0], "There is no text"),
        (GENERATE, [], None),
    ]
    return [pytest.param(*case, id=str(number)) for number, case in enumerate(cases)]


@pytest.mark.parametrize(("function", "data", "told"), absurd())
async def test_absurd_input_is_an_error_and_not_the_end(
    session: aiohttp.ClientSession, function: int, data: list[Any], told: str | None
) -> None:
    """The call fails, with a sentence where there is one, and the next call works."""
    failed = completed(await call(session, function, data))
    assert failed["success"] is False, failed
    if told is not None:
        assert told in failed["output"]["error"]
    good = await call(session, UNDERSTAND, [data_url(red_and_blue()), "size", 1, 1, 0])
    assert completed(good)["success"] is True


async def test_an_empty_seed_means_any(session: aiohttp.ClientSession) -> None:
    """The form calls the seed optional, and so it is."""
    assert len(set(await drawn(session, "a lake", None, 5, 1.0))) == 5


async def test_sigterm_ends_it_soon_and_leaves_no_files(tmp_path: Path) -> None:
    """In the middle of a drawing: the process ends with 0, and its folder is gone."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    async with space_process(step_delay=0.3, environment=environment) as space:
        assert list(tmp_path.glob("janus-space-*"))
        async with aiohttp.ClientSession(space.url) as session:
            key = await join(session, GENERATE, ["a red fox", 42, 5, 1.0])
            stream = events(session, key)
            while (await anext(stream))["msg"] != "progress":
                pass
            space.process.terminate()
            with contextlib.suppress(aiohttp.ClientPayloadError):  # the stream ends under us
                async for event in stream:
                    assert event["msg"] != "process_completed" or not event["success"]
            async with asyncio.timeout(END_TIMEOUT_SECONDS):
                assert await space.process.wait() == 0
    assert not list(tmp_path.glob("janus-space-*"))


async def test_ends_with_whoever_started_it() -> None:
    """Its standard input closes when its parent is gone, however that went."""
    async with space_process() as space:
        assert space.process.stdin is not None
        space.process.stdin.close()
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            assert await space.process.wait() == 0


async def test_says_that_the_port_is_taken() -> None:
    """One sentence on standard error and exit code 2, before anything slow happens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot.space", "--stand-in", "--port", str(port)),
            cwd=Path(__file__).parents[1],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 2
    assert out == b""
    assert err.decode().strip() == f"Cannot listen on 127.0.0.1:{port}: Address already in use"


async def test_importing_the_server_imports_no_gradio() -> None:
    """The command line may import it without waiting for Gradio."""
    code = "import sys, bot.space.server, bot.space.stand_in; sys.exit('gradio' in sys.modules)"
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, cwd=Path(__file__).parents[1], stderr=errors
        )
        assert await process.wait() == 0
