"""The Space on Hugging Face: its card, its app, and the engine where GPUs are lent for a call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml  # type: ignore[import-untyped] # its types are a package of their own
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from PIL import Image

from bot.errors import BadInput, QuotaExceeded
from bot.provider import DeepseekAI_JanusPro7b
from bot.provider.responses import ImageResponse, Reasoning, Text
from bot.space.engine import Answering, Caller, Drawing, Pictures, Progress
from bot.space.hub.zero import MAX_SECONDS, MIN_SECONDS, Durations, Sent, ZeroEngine
from bot.space.stand_in import StandIn
from tests.servers.zero_gpu.spaces import GPU, Aborted

pytestmark = pytest.mark.timeout(360)  # includes the start of a Space on a busy machine

ROOT = Path(__file__).parents[1]
HUB = ROOT / "bot" / "space" / "hub"
BESIDE = ROOT / "tests" / "servers" / "zero_gpu"
NOBODY = Caller()


# Its repository ------------------------------------------------------------------------------


def card() -> dict[str, Any]:
    _, front, _ = (HUB / "README.md").read_text().split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def test_the_card_names_what_is_there() -> None:
    """Gradio's version is the one that everything is tested with."""
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert (card()["sdk"], card()["sdk_version"]) == ("gradio", pinned[1])
    assert (HUB / card()["app_file"]).is_file()
    assert card()["suggested_hardware"] == "zero-a10g"
    assert len(card()["short_description"]) <= 60  # what Hugging Face takes


def test_it_installs_the_bot_and_what_zerogpu_needs() -> None:
    lines = (HUB / "requirements.txt").read_text().splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    assert [each.name for each in wanted] == ["janus-bot", "spaces"]


# How long to ask for -------------------------------------------------------------------------


def test_the_first_call_asks_for_what_was_guessed() -> None:
    durations = Durations({"describe": 2, "draw": 20})
    assert (durations.seconds("describe"), durations.seconds("draw")) == (6, 30)


def test_later_calls_ask_for_the_median_with_a_margin() -> None:
    """The guess is forgotten with the first measured call, and no kind learns from the other."""
    durations = Durations({"describe": 5, "draw": 60})
    for seconds in (8.0, 10.0, 100.0):
        durations.took("draw", seconds)
    assert durations.seconds("draw") == 15
    assert durations.seconds("describe") == 15


def test_old_calls_are_forgotten() -> None:
    durations = Durations()
    for seconds in [100.0] * 50 + [10.0] * 9:
        durations.took("draw", seconds)
    assert durations.seconds("draw") == 15


@given(st.lists(st.floats(0, 1e6), max_size=30))
def test_what_is_asked_for_stays_within_its_limits(took: list[float]) -> None:
    durations = Durations()
    for seconds in took:
        durations.took("draw", seconds)
        assert MIN_SECONDS <= durations.seconds("draw") <= MAX_SECONDS


def test_a_call_that_ran_out_doubles_what_is_asked_for() -> None:
    """Whatever was measured before: it was too little."""
    durations = Durations({"describe": 1, "draw": 10})
    asked = []
    for _ in range(5):
        asked.append(durations.seconds("draw"))
        durations.ran_out("draw", asked[-1])
    assert asked == [15, 30, 60, 120, 120]


# The engine in another process ---------------------------------------------------------------


class OddEngine(StandIn):
    """Refuses, fails, or goes on for ever, as the prompt says."""

    def __init__(self) -> None:
        super().__init__(step_delay=0)

    async def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        yield Progress(os.getpid(), 2**31, "the process")
        match prompt:
            case "refuse":
                raise BadInput("Not that.")
            case "fail":
                raise ZeroDivisionError
            case "hang":
                await asyncio.Event().wait()
            case _:
                step = 0
                while True:
                    step += 1
                    yield Progress(step, 2**31, "on and on")
                    await asyncio.sleep(0.001)


def drawing(engine: Any, prompt: str = "a fox") -> Any:
    return engine.draw(prompt, seed=1, guidance=5, temperature=1, caller=NOBODY)


async def test_a_drawing_is_the_same_as_without() -> None:
    """Progress and pictures come from the other process, one after the other."""
    engine = ZeroEngine(lambda: StandIn(step_delay=0), GPU)
    here = [step async for step in drawing(StandIn(step_delay=0))]
    there = [step async for step in drawing(engine)]
    assert [step for step in there if isinstance(step, Progress)] == [
        step for step in here if isinstance(step, Progress)
    ]
    assert isinstance(there[-1], Pictures)
    assert isinstance(here[-1], Pictures)
    assert [each.tobytes() for each in there[-1].images] == [
        each.tobytes() for each in here[-1].images
    ]


async def test_an_answer_is_the_same_as_without() -> None:
    def asked(engine: Any) -> Answering:
        image = Image.new("RGB", (30, 20), "red")
        answering: Answering = engine.describe(
            image, "what?", seed=1, top_p=1, temperature=0, caller=NOBODY
        )
        return answering

    engine = ZeroEngine(lambda: StandIn(step_delay=0), GPU)
    here = [step async for step in asked(StandIn(step_delay=0))]
    assert [step async for step in asked(engine)] == here


async def test_calls_are_measured() -> None:
    durations = Durations({"describe": 40, "draw": 40})
    engine = ZeroEngine(lambda: StandIn(step_delay=0), GPU, durations)
    assert durations.seconds("draw") == 60
    [_ async for _ in drawing(engine)]
    assert durations.seconds("draw") < 60
    assert durations.seconds("describe") == 120


async def test_a_sentence_for_people_comes_across() -> None:
    with pytest.raises(BadInput, match="Not that"):
        [_ async for _ in drawing(ZeroEngine(OddEngine, GPU), "refuse")]


async def test_a_mistake_and_a_refusal_of_the_gpu_pass() -> None:
    """As `spaces` raises them: its texts are for people."""
    with pytest.raises(Aborted, match="ZeroDivisionError"):
        [_ async for _ in drawing(ZeroEngine(OddEngine, GPU), "fail")]


async def test_a_call_that_is_killed_asks_for_more_the_next_time() -> None:
    durations = Durations({"describe": 1, "draw": 0})
    durations_asked = durations.seconds("draw")
    with pytest.raises(Aborted, match="aborted"):
        [_ async for _ in drawing(ZeroEngine(OddEngine, GPU, durations), "hang")]
    assert durations.seconds("draw") == 2 * durations_asked


async def test_closing_ends_the_other_process() -> None:
    """At its next step."""
    steps = drawing(ZeroEngine(OddEngine, GPU), "for ever")
    first = await anext(steps)
    await steps.aclose()
    process = os.pidfd_open(first.done)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(process, ended.set)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            await ended.wait()
    assert ended.is_set()
    asyncio.get_running_loop().remove_reader(process)
    os.close(process)


def test_the_wait_for_a_gpu_does_not_count() -> None:
    """The time runs from when the arguments are pickled."""
    sent = Sent(at=1.0)
    assert sent.seconds > 1000
    make, arguments = sent.__reduce__()
    assert make(*arguments).seconds < 1000
    assert sent.seconds < 1000


# The app -------------------------------------------------------------------------------------


@dataclass
class App:
    """A running app.

    Attributes:
        url: its root.
        said: what it wrote so far.
    """

    url: str
    said: list[str] = field(default_factory=list)


@asynccontextmanager
async def running_app(folder: Path, *path: Path, **variables: str) -> AsyncIterator[App]:
    """The app as Hugging Face starts it: as a script in a folder of its own."""
    script = folder / "app.py"
    script.write_text((HUB / "app.py").read_text())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, script.name),
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])),
            "PYTHONUNBUFFERED": "1",
            "JANUS_SPACE_ENGINE": "stand-in",
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(folder / "cache"),
            **variables,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    app, reading = App(""), None
    try:
        async with asyncio.timeout(240):
            async for line in process.stdout:
                app.said.append(line.decode())
                if found := re.search(r"http://127\.0\.0\.1:\d+", app.said[-1]):
                    app.url = found[0]
                    break
        assert app.url, "".join(app.said)
        reading = asyncio.create_task(_listen(process.stdout, app.said))
        yield app
    finally:
        # The GPU's processes wait for work as long as the container lives.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if reading is not None:
            await reading


async def _listen(stream: asyncio.StreamReader, said: list[str]) -> None:
    said.extend([line.decode() async for line in stream])


async def frame_policy(app: App) -> str:
    async with aiohttp.ClientSession() as session, session.get(app.url) as page:
        assert page.status == 200
        return page.headers["content-security-policy"]


VISITOR = "visitor.e30.signature"
"""What Hugging Face's proxy writes into a request, to say whose quota pays."""


async def responses(app: App, *messages: str, **options: Any) -> list[Any]:
    async with aiohttp.ClientSession(headers={"X-IP-Token": VISITOR}) as session:
        one = DeepseekAI_JanusPro7b(api_url=app.url, session=session)
        async with aclosing(one.create_async_generator(messages=messages, **options)) as stream:
            return [response async for response in stream]


async def drawn(app: App) -> list[bytes]:
    found = await responses(app, prompt="a red fox", seed=42)
    assert any(isinstance(each, Reasoning) and each.done for each in found)
    [made] = [each for each in found if isinstance(each, ImageResponse)]
    return [image.data for image in made.images]


@pytest.mark.slow
async def test_on_ordinary_hardware_it_serves_what_the_space_does(tmp_path: Path) -> None:
    """Everybody may come in, and Hugging Face may show the page in its frame."""
    async with running_app(tmp_path, GRADIO_SERVER_PORT="0") as app:
        assert len(await drawn(app)) == 5
        assert "frame-ancestors 'self' https://huggingface.co" in await frame_policy(app)


@pytest.mark.skipif(find_spec("torch") is not None, reason="here is torch")
@pytest.mark.parametrize("zero_gpu", ["", "true"], ids=["ordinary", "ZeroGPU"])
async def test_without_the_packages_it_says_what_to_do(tmp_path: Path, zero_gpu: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HUB / "app.py")),
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, [BESIDE, ROOT])),
            "SPACES_ZERO_GPU": zero_gpu,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"janus-bot[janus]" in said
    assert b"Traceback" not in said


@pytest.mark.slow
async def test_on_zerogpu_each_call_is_a_process_of_its_own(tmp_path: Path) -> None:
    """With what stands for the package `spaces`."""
    async with running_app(tmp_path, BESIDE, SPACES_ZERO_GPU="true") as app:
        assert len(await drawn(app)) == 5
        assert "".join(each for each in await responses(app, "hi") if isinstance(each, Text))
        assert "https://huggingface.co" in await frame_policy(app)
    asked = re.findall(r"GPU for (\d+) s", "".join(app.said))
    assert asked == ["38", "30"]


@dataclass
class DeviceApi:
    """The part of Hugging Face that lends GPUs, as `spaces` 0.51 asks it.

    Attributes:
        asked: path and query of all requests.
        quota: seconds that the visitor has left.
    """

    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    quota: int = 300

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query)))
        if request.path != "/schedule":
            return web.Response()
        if int(request.query["durationSeconds"]) > self.quota:
            refused = {"left": self.quota, "wait": 4000}
            headers = {"X-Approve-Result": "quota-exceeded"}
            return web.json_response(refused, status=429, headers=headers)
        lent = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "0", "allowToken": "t"}
        return web.json_response(lent)


@asynccontextmanager
async def device_api() -> AsyncIterator[DeviceApi]:
    api = DeviceApi()
    application = web.Application()
    application.router.add_post("/{path:.*}", api.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()


PACKAGE = os.environ.get("JANUS_TEST_SPACES")


@pytest.mark.slow
@pytest.mark.skipif(
    PACKAGE is None,
    reason="JANUS_TEST_SPACES names no folder: pip install --no-deps --target FOLDER spaces",
)
async def test_the_package_itself_runs_each_call(tmp_path: Path) -> None:
    """Real `spaces`, whose GPUs are lent by a server of ours; without torch it moves no weights."""
    assert PACKAGE is not None
    async with (
        device_api() as api,
        running_app(
            tmp_path,
            Path(PACKAGE).resolve(),
            SPACES_ZERO_GPU="true",
            SPACES_ZERO_DEVICE_API_URL=api.url,
        ) as app,
    ):
        assert len(await drawn(app)) == 5, "".join(app.said)
        assert len(await drawn(app)) == 5, "".join(app.said)
        assert "".join(each for each in await responses(app, "hi") if isinstance(each, Text))
        api.quota = 3
        with pytest.raises(QuotaExceeded, match="quota") as refused:
            await drawn(app)
    asked = [query for path, query in api.asked if path == "/schedule"]
    assert [query["token"] for query in asked] == [VISITOR] * 4
    seconds = [int(query["durationSeconds"]) for query in asked]
    assert seconds[0] == 38
    assert refused.value.requested == seconds[1] == MIN_SECONDS
    assert [path for path, _ in api.asked].count("/release") == 3
