"""Pictures while they are drawn, from the Space to whoever asked: they come beside the drawing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from bot.errors import GenerationTimeout, ProviderError
from bot.provider import (
    DeepseekAI_JanusPro7b,
    ImageResponse,
    JsonConversation,
    Preview,
    Reasoning,
    Spaces,
)
from bot.provider.responses import Stage
from tests.servers.faulty_space import (
    CLOSE,
    PICTURES,
    PNG,
    STARTS,
    FaultySpace,
    Refuse,
    completed,
    event,
    gallery,
    grows,
    only,
    reply,
    says,
    says_between,
)
from tests.servers.space_client import SOON, ask

SKETCHES = {f"/srv/cache/sketch-{number}.png": PNG + b"sketch%d" % number for number in range(6)}
"""Pictures that are not finished, by path."""
FIRST, SECOND, THIRD = (list(SKETCHES)[at : at + 2] for at in (0, 2, 4))
FINAL = completed(gallery(*PICTURES))


def provider(space: FaultySpace, **options: Any) -> DeepseekAI_JanusPro7b:
    space.files |= SKETCHES
    return DeepseekAI_JanusPro7b(**{"api_url": space.url, "timeouts": SOON, **options})


def data_of(preview: Preview) -> list[bytes]:
    return [image.data for image in preview.images]


async def drawn(made_by: Any, *gates: asyncio.Event, **options: Any) -> list[Any]:
    """All responses of a drawing; each preview opens the next gate."""
    left = list(gates)
    responses: list[Any] = []
    async with aclosing(made_by.create_async_generator(prompt="a fox", **options)) as stream:
        async for response in stream:
            responses.append(response)
            if isinstance(response, Preview):
                left.pop(0).set()
    return responses


def previews_in(responses: list[Any]) -> list[Preview]:
    return [response for response in responses if isinstance(response, Preview)]


@pytest.mark.parametrize("several", [False, True])
async def test_previews_come_in_order_and_before_the_pictures(
    space: FaultySpace, several: bool
) -> None:
    """Each is the whole gallery so far, as files without a recipe; nothing comes after the end."""
    gates = [asyncio.Event() for _ in range(3)]
    space.script = says_between(
        *(STARTS, grows(*FIRST, first=True), gates[0]),
        *(grows(*SECOND), gates[1], grows(*SECOND, *THIRD), gates[2]),
        *(FINAL, CLOSE),
    )
    made_by: Any = Spaces([provider(space)]) if several else provider(space)
    responses = await drawn(made_by, *gates)
    found = previews_in(responses)
    expected = [[SKETCHES[path] for path in paths] for paths in (FIRST, SECOND, SECOND + THIRD)]
    assert [data_of(preview) for preview in found] == expected
    assert isinstance(responses[-1], ImageResponse)
    assert [image.data for image in responses[-1].images] == list(PICTURES.values())
    assert {image.recipe for preview in found for image in preview.images} == {None}
    assert not any(isinstance(preview, str) for preview in found)
    assert found[0].content == "2 images, not finished"
    # A picture that is there already is not fetched again.
    assert all(len(space.asked(f"/gradio_api/file={path}")) == 1 for path in SKETCHES)


async def test_equal_pictures_are_all_shown(space: FaultySpace) -> None:
    """At first all are grey, and Gradio keeps equal files under one path."""
    gate = asyncio.Event()
    grey = next(iter(SKETCHES))
    space.script = says_between(STARTS, grows(grey, grey, first=True), gate, FINAL, CLOSE)
    (preview,) = previews_in(await drawn(provider(space), gate))
    assert data_of(preview) == [SKETCHES[grey]] * 2


async def test_who_wants_none_costs_nothing(space: FaultySpace) -> None:
    """Then the contract is the old one, and no unfinished picture is fetched."""
    space.script = says(STARTS, grows(*FIRST, first=True), grows(*SECOND), FINAL, CLOSE)
    responses = await ask(provider(space), prompt="a fox", previews=False, return_conversation=True)
    assert {type(each) for each in responses} == {JsonConversation, Reasoning, ImageResponse}
    assert not any("sketch" in path for _, path, _ in space.requests)


async def test_the_newest_wins_and_one_is_fetched_at_a_time(space: FaultySpace) -> None:
    """What came while another was fetched is passed over, but for the last of them."""
    asked, go, gates = asyncio.Event(), asyncio.Event(), [asyncio.Event() for _ in range(2)]

    async def slow(request: web.Request) -> None:
        if "sketch-0" in request.path_qs:
            asked.set()
            await go.wait()

    space.refuse = slow
    seen = event("progress", progress_data=[{"index": 9, "length": 9, "unit": "rows"}])
    space.script = says_between(
        *(STARTS, grows(*FIRST, first=True), asked, grows(*SECOND), grows(*THIRD)),
        *(seen, gates[0], gates[1], FINAL, CLOSE),
    )
    found: list[list[bytes]] = []
    async with aclosing(provider(space).create_async_generator(prompt="a fox")) as stream:
        async for response in stream:
            if isinstance(response, Reasoning) and response.index == 9:
                assert not found  # a progress that came later is not kept waiting
                go.set()
            if isinstance(response, Preview):
                found.append(data_of(response))
                gates[len(found) - 1].set()
    assert found == [[SKETCHES[path] for path in paths] for paths in (FIRST, THIRD)]
    assert not any("sketch-2" in path for _, path, _ in space.requests)


async def _never(request: web.Request) -> web.StreamResponse | None:
    await asyncio.Event().wait()
    return None


async def _huge(request: web.Request) -> web.StreamResponse | None:
    return web.Response(body=bytes(33 * 1024 * 1024))


@pytest.mark.parametrize(
    "refuse",
    [reply(404), reply(500), reply(200, "no picture"), _never, _huge],
    ids=["404", "500", "text", "never", "huge"],
)
async def test_a_preview_that_cannot_be_had_costs_nothing(
    space: FaultySpace, refuse: Refuse
) -> None:
    """The drawing goes on, and its pictures come at once; nothing that was begun is left."""
    asked = asyncio.Event()

    async def refused(request: web.Request) -> web.StreamResponse | None:
        asked.set()
        return await refuse(request)

    space.refuse = only("sketch", refused)
    space.script = says_between(STARTS, grows(*FIRST, first=True), asked, FINAL, CLOSE)
    before = asyncio.all_tasks()
    async with asyncio.timeout(15):
        responses = await drawn(provider(space))
    assert not previews_in(responses)
    assert isinstance(responses[-1], ImageResponse)
    left = {task for task in asyncio.all_tasks() - before if "sketch" in repr(task)}
    assert not [task for task in left if "_fetch" in repr(task.get_coro())]


@pytest.mark.parametrize("fetching", [False, True])
async def test_who_leaves_leaves_nothing_behind(space: FaultySpace, fetching: bool) -> None:
    """Whether a preview is being fetched or the next event is waited for: the Space is told."""
    asked = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse | None:
        asked.set()
        return await _never(request)

    if fetching:
        space.refuse = only("sketch", never)
    space.script = says_between(STARTS, grows(*FIRST, first=True), asyncio.Event())
    before = asyncio.all_tasks()
    stream = provider(space).create_async_generator(prompt="a fox")

    async def watch() -> None:
        async for response in stream:
            if isinstance(response, Preview):
                asked.set()

    watching = asyncio.create_task(watch())
    await asyncio.wait_for(asked.wait(), 15)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await stream.aclose()
    await asyncio.wait_for(space.told.wait(), 15)
    names = [str(task.get_coro()) for task in asyncio.all_tasks() - before]
    assert not [name for name in names if "_fetch" in name or "_next" in name or "_file" in name]


async def test_a_drawing_that_fails_says_so_after_its_previews(space: FaultySpace) -> None:
    """The failure is the Space's own."""
    gate = asyncio.Event()
    broken = event("process_completed", output={"error": "Out of paint."}, success=False)
    space.script = says_between(STARTS, grows(*FIRST, first=True), gate, broken, CLOSE)
    with pytest.raises(ProviderError, match="Out of paint"):
        await drawn(provider(space), gate)


def bar(unit: str, **fields: Any) -> bytes:
    return event("progress", progress_data=[{"unit": unit, **fields}])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            bar("in the queue", index=2, length=5, desc="3rd in line"),
            Reasoning(Stage.QUEUED, rank=2, queue_size=5),
        ),
        (bar("in the queue", index=-1, length=None), Reasoning(Stage.QUEUED)),
        (
            bar("starting", index=43, length=100, desc="Downloading the model"),
            Reasoning(Stage.WAKING, index=43, length=100, note="Downloading the model"),
        ),
        (
            bar("starting", progress=0.5, desc="Loading"),
            Reasoning(Stage.WAKING, fraction=0.5, note="Loading"),
        ),
        (
            bar("rows", index=1, length=24, desc="In the queue"),
            Reasoning(Stage.RUNNING, index=1, length=24, unit="rows", note="In the queue"),
        ),
    ],
)
async def test_a_server_that_queues_by_itself_says_so_as_progress(
    space: FaultySpace, sent: bytes, expected: Reasoning
) -> None:
    """Its function has begun for Gradio, and waits for its turn or for the model all the same."""
    space.script = says(STARTS, sent, FINAL, CLOSE)
    assert expected in await ask(provider(space), prompt="a fox")


@pytest.mark.parametrize("unit", ["in the queue", "starting"])
async def test_time_spent_waiting_is_no_time_of_the_generation(
    space: FaultySpace, unit: str
) -> None:
    """As in Gradio's own queue: only the work counts, from its first step on."""
    loop = asyncio.get_running_loop()
    limit, waited = 0.4, asyncio.Event()
    loop.call_later(3 * limit, waited.set)
    waits = bar(unit, index=1, length=2)
    space.script = says_between(STARTS, waits, waited, bar("rows", index=1, length=2), FINAL, CLOSE)
    responses = await drawn(provider(space, timeout=limit))
    assert isinstance(responses[-1], ImageResponse)
    space.script = says_between(STARTS, waits, bar("rows", index=1, length=2), asyncio.Event())
    with pytest.raises(GenerationTimeout):
        await drawn(provider(space, timeout=limit))
