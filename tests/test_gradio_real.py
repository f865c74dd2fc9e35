"""The provider on real Gradio servers: the Gradio 6 beside it, and a Gradio 5 of an environment."""

from __future__ import annotations

import asyncio
import io
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from bot.errors import BadInput, GenerationFailed, ImageTooLarge, QueueFull, QuotaExceeded
from bot.provider import (
    DeepseekAI_JanusPro7b,
    ImageResponse,
    Preview,
    Reasoning,
    Text,
    open_session,
)
from bot.provider.gradio.client import ConfigCache, GradioClient
from bot.provider.gradio.files import MAX_DATA_URL_BYTES
from bot.provider.http import HttpClient
from bot.provider.prompt import GENERATE, KNOWN_FUNCTIONS
from bot.provider.responses import Response, Stage
from tests.servers.faulty_space import PNG
from tests.servers.real_gradio import GRADIO_5, MAX_UPLOAD_BYTES, real_gradio
from tests.servers.space_client import ask, text_of

# A start takes most of the time, so one of each version serves the whole module.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

CONCURRENCY, QUEUE = 2, 4
SLOW = "[slow] " * 500
"""A question whose answer takes 100 s, a word every 0.2 s."""
FREE_TIMEOUT_SECONDS = 60
"""After which a slot that should be free counts as taken."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[dict[int, str]]:
    """Address by version of all that can be had; both start at once."""
    pythons = {6: sys.executable, 5: str(GRADIO_5)}
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as starting:
            urls = {
                version: starting.create_task(
                    stack.enter_async_context(
                        real_gradio(python, concurrency=CONCURRENCY, queue_size=QUEUE)
                    )
                )
                for version, python in pythons.items()
                if version == 6 or GRADIO_5.exists()
            }
        yield {version: url.result() for version, url in urls.items()}


@pytest.fixture(params=[5, 6], ids=["gradio5", "gradio6"])
def version(request: pytest.FixtureRequest) -> int:
    """Of the server that is asked."""
    asked: int = request.param
    if asked == 5 and not GRADIO_5.exists():
        pytest.skip(f"there is no Gradio 5: no {GRADIO_5}, which JANUS_TEST_GRADIO5 can name")
    return asked


@pytest_asyncio.fixture(loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session of whose connections none is in use after the test."""
    async with open_session() as opened:
        yield opened
        assert isinstance(opened.connector, aiohttp.BaseConnector)
        assert not opened.connector._acquired


@pytest.fixture
def janus(
    version: int, servers: dict[int, str], session: aiohttp.ClientSession
) -> DeepseekAI_JanusPro7b:
    """The provider for one of the servers."""
    return DeepseekAI_JanusPro7b(api_url=servers[version], session=session)


async def until(stream: AsyncGenerator[Response, None], stage: Stage) -> Reasoning:
    """What is said when a request comes to a stage; it stays open."""
    async for response in stream:
        if isinstance(response, Reasoning) and response.stage is stage:
            return response
    raise AssertionError(f"it ended without being {stage}")


async def test_the_version(janus: DeepseekAI_JanusPro7b, version: int) -> None:
    """The server is the one that the test is about."""
    assert (await janus.check()).startswith(f"Gradio {version}.")


async def test_a_question_about_a_picture(janus: DeepseekAI_JanusPro7b) -> None:
    """The picture goes in the request, and the answer comes piece by piece and whole."""
    responses = await ask(janus, "", ["hello [slow]"], media=[PNG], seed=3)
    assert text_of(responses) == "1x1 (255, 0, 0) hello [slow] seed 3"
    assert len([piece for piece in responses if isinstance(piece, Text)]) > 3
    assert text_of(await ask(janus, "", ["all [whole]"], media=[PNG])).startswith("1x1 (255, 0, 0)")


async def test_a_question_about_nothing(janus: DeepseekAI_JanusPro7b) -> None:
    """The plain picture that is sent then is one that Gradio reads."""
    assert text_of(await ask(janus, "", ["hello"])).startswith("384x384 (127, 127, 127) hello")


async def test_pictures_too_large_for_the_request(janus: DeepseekAI_JanusPro7b) -> None:
    """They are uploaded, up to what the server takes."""
    large = PNG.ljust(MAX_DATA_URL_BYTES + 1, b"\0")
    assert text_of(await ask(janus, "", ["big"], media=[large])).startswith("1x1 (255, 0, 0) big")
    with pytest.raises(ImageTooLarge, match=str(MAX_UPLOAD_BYTES)):
        await ask(janus, "", ["huge"], media=[PNG.ljust(MAX_UPLOAD_BYTES + 1, b"\0")])


async def test_pictures_are_drawn(janus: DeepseekAI_JanusPro7b) -> None:
    """Steps are told, and the same values give the same five files."""
    drawn = [await ask(janus, prompt="a fox", seed=seed, guidance=6) for seed in (1, 1, 2)]
    made = [said[-1] for said in drawn]
    files = [[i.data for i in said.images] for said in made if isinstance(said, ImageResponse)]
    assert files[0] == files[1] != files[2]
    assert len(files[0]) == 5
    assert isinstance(made[2], ImageResponse)
    last = made[2].images[4]
    assert last.recipe is not None
    assert last.media_type == "image/webp"
    assert (last.recipe.seed, last.recipe.guidance, last.recipe.index) == (2, 6, 4)
    steps = [said for said in drawn[0] if isinstance(said, Reasoning) and said.length == 3]
    assert {step.unit for step in steps} == {"steps"}
    assert {step.note for step in steps} == {"Drawing"}


async def test_pictures_are_seen_while_they_are_drawn(janus: DeepseekAI_JanusPro7b) -> None:
    """Gradio streams a gallery once in full and then as differences; each state is whole."""
    said = await ask(janus, prompt="a fox [grow]", seed=1)
    seen = [each for each in said if isinstance(each, Preview)]
    levels = []
    for preview in seen:
        assert len(preview.images) == 5
        with Image.open(io.BytesIO(preview.images[4].data)) as image:
            pixel = image.convert("RGB").getpixel((9, 9))
        assert isinstance(pixel, tuple)
        levels.append(round(pixel[2] / 60) if pixel[0] > 100 else 3)
    # A slow machine may pass over some, and see the last state too.
    assert levels
    assert levels == sorted(set(levels))
    assert isinstance(said[-1], ImageResponse)
    quiet = await ask(janus, prompt="a fox [grow]", seed=1, previews=False)
    assert not any(isinstance(each, Preview) for each in quiet)


async def test_log_lines(janus: DeepseekAI_JanusPro7b) -> None:
    """What a function shows on purpose is told as it is."""
    responses = await ask(janus, "", ["[log]"], media=[PNG])
    assert (
        Reasoning(Stage.RUNNING, note="Waiting for a GPU to become available", level="info")
        in responses
    )


async def test_failures(janus: DeepseekAI_JanusPro7b) -> None:
    """An exception of which Gradio tells nothing, and one with words that are read."""
    with pytest.raises(GenerationFailed, match="did not say why"):
        await ask(janus, "", ["[fail]"], media=[PNG])
    with pytest.raises(QuotaExceeded) as caught:
        await ask(janus, "", ["[quota]"], media=[PNG])
    error = caught.value
    assert (error.requested, error.left, error.retry_after) == (120, 42, 60)


async def test_a_value_that_is_refused(
    version: int, servers: dict[int, str], session: aiohttp.ClientSession
) -> None:
    """The server names it, where the provider itself would not have sent it."""
    client = GradioClient(HttpClient(session, servers[version]), ConfigCache(KNOWN_FUNCTIONS))
    function = (await client.config()).function(GENERATE.name)
    call = client.call(function, ["x", 1, 99, 1.0], secrets.token_hex(8), {})
    async with aclosing(call) as events:
        with pytest.raises(BadInput, match="99"):
            _ = [event async for event in events]


async def test_many_at_once(janus: DeepseekAI_JanusPro7b) -> None:
    """Each gets its own answer."""
    questions = [f"n{number}" for number in range(QUEUE)]
    answers = await asyncio.gather(*(ask(janus, "", [words]) for words in questions))
    for words, said in zip(questions, answers, strict=True):
        assert f" {words}\n" in text_of(said)


async def test_a_full_queue_and_giving_up(janus: DeepseekAI_JanusPro7b) -> None:
    """Places are told, one too many is refused, and all that are given up are free at once."""
    async with AsyncExitStack() as stack:

        async def waiting(stage: Stage) -> tuple[AsyncGenerator[Response, None], Reasoning]:
            stream = janus.create_async_generator("", [SLOW], media=[PNG])
            await stack.enter_async_context(aclosing(stream))
            return stream, await until(stream, stage)

        running = [(await waiting(Stage.RUNNING))[0] for _ in range(CONCURRENCY)]
        queued = [await waiting(Stage.QUEUED) for _ in range(QUEUE)]
        assert (queued[-1][1].rank, queued[-1][1].queue_size) == (QUEUE - 1, QUEUE)
        with pytest.raises(QueueFull):
            await ask(janus, "", ["one too many"], media=[PNG])

        # One is cancelled while it waits for the next piece of its answer; the rest is closed.
        task = asyncio.ensure_future(until(running[0], Stage.FETCHING))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(FREE_TIMEOUT_SECONDS):
        said = await asyncio.gather(*(ask(janus, "", ["next"]) for _ in range(CONCURRENCY)))
    assert all(" next" in text_of(answer) for answer in said)
