"""The provider, on a server that a test directs."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from bot.errors import BadInput, ConfigError, GenerationFailed, ImageUnreadable, SpaceUnreachable
from bot.files import File
from bot.image import to_bytes
from bot.provider import (
    DeepseekAI_JanusPro7b,
    ImageResponse,
    JsonConversation,
    Reasoning,
    Text,
    open_session,
)
from bot.provider.prompt import DESCRIBE, NO_PICTURE
from bot.provider.responses import Stage
from tests.servers.faulty_space import (
    CLOSE,
    DRAWN,
    PICTURES,
    PNG,
    STARTS,
    FaultySpace,
    completed,
    config,
    event,
    failed,
    faulty_space,
    gallery,
    only,
    says,
)
from tests.servers.space_client import SOON, ask, text_of

TOKEN = "hf_secret"


def provider(space: FaultySpace, **options: Any) -> DeepseekAI_JanusPro7b:
    """For a server that is no Space."""
    return DeepseekAI_JanusPro7b(api_url=space.url, timeouts=SOON, **options)


async def test_chat_sends_a_plain_picture(space: FaultySpace) -> None:
    """Without a picture a grey one goes along, and the question says that it is none."""
    responses = await ask(provider(space), "janus-pro-7b", ["Hello, world!"], seed=7)
    assert text_of(responses) == "An answer."
    picture, question, *values = space.joined[0].body["data"]
    assert question == f"Hello, world!\n\n{NO_PICTURE}"
    assert values == [7, 0.95, 0.1]
    with Image.open(io.BytesIO(to_bytes(picture["url"]))) as image:
        assert (image.size, image.getcolors()) == ((384, 384), [(384 * 384, (127, 127, 127))])


async def test_everything_has_content_and_only_text_is_a_str(space: FaultySpace) -> None:
    """The contract of what is yielded."""
    responses = await ask(provider(space), "", ["Hi"], return_conversation=True)
    assert isinstance(responses[0], JsonConversation)
    assert {type(response) for response in responses} == {JsonConversation, Reasoning, Text}
    assert all(isinstance(response.content, str) for response in responses)
    assert [isinstance(response, str) for response in responses].count(True) == 1


@pytest.mark.parametrize("model", ["", "janus-pro-7b", "janus-pro-7b-image"])
async def test_a_picture_without_a_prompt_is_a_question(space: FaultySpace, model: str) -> None:
    """Whichever model is named, and the file goes on as it is."""
    responses = await ask(provider(space), model, ["What is this?"], media=[(PNG, "a.jpg")])
    assert text_of(responses) == "An answer."
    picture, question, *_ = space.joined[0].body["data"]
    assert (to_bytes(picture["url"]), question) == (PNG, "What is this?")


async def test_pictures_in_every_form(space: FaultySpace, tmp_path: Path) -> None:
    """Bytes, a path, a file, a data URL, an answer's picture, and a part of a message."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    part = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    for media, messages in (
        ([PNG], []),
        ([path], []),
        ([io.BytesIO(PNG)], []),
        ([url], []),
        ([File(PNG, "image/png")], []),
        (None, [part]),
    ):
        await ask(provider(space), "", messages, media=media)
        picture, question, *_ = space.joined[-1].body["data"]
        assert (to_bytes(picture["url"]), question) == (PNG, DESCRIBE)


async def test_one_of_several_pictures_is_sent_and_that_is_said(space: FaultySpace) -> None:
    """The Space takes one: the last, with a warning."""
    responses = await ask(provider(space), "", ["?"], media=[PNG + b"1", PNG + b"2"])
    assert to_bytes(space.joined[0].body["data"][0]["url"]) == PNG + b"2"
    assert [r.level for r in responses if isinstance(r, Reasoning)].count("warning") == 1


async def test_a_picture_that_is_none_is_refused_before_anything_is_sent(
    space: FaultySpace,
) -> None:
    """Nothing leaves for the Space."""
    with pytest.raises(ImageUnreadable):
        await ask(provider(space), "", ["?"], media=[b"hello"])
    assert not space.requests


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("janus-pro-7b-image", {"prompt": "a red fox"}),
        ("janus-pro-7b", {"prompt": "a red fox"}),
        ("janus-pro-7b-image", {"messages": ["ignored", "a red fox"]}),
        ("janus-pro-7b-image", {"prompt": "a red fox", "media": [PNG]}),
    ],
)
async def test_making_pictures(space: FaultySpace, model: str, options: dict[str, Any]) -> None:
    """A prompt, or the image model without a picture, makes images with their recipes."""
    space.script = DRAWN
    *_, fetching, images = await ask(provider(space), model, seed=42, guidance=6, **options)
    assert fetching == Reasoning(Stage.FETCHING)
    assert isinstance(images, ImageResponse)
    assert [image.data for image in images.images] == list(PICTURES.values())
    assert {image.media_type for image in images.images} == {"image/png"}
    recipe = images.images[3].recipe
    assert recipe is not None
    assert (recipe.prompt, recipe.seed, recipe.guidance, recipe.temperature, recipe.index) == (
        "a red fox", 42, 6, 1.0, 3,
    )  # fmt: skip
    assert recipe.space == space.url
    body = space.joined[0].body
    assert (body["fn_index"], body["trigger_id"], body["data"]) == (
        3,
        20,
        ["a red fox", 42, 6, 1.0],
    )


async def test_a_random_seed_is_told(space: FaultySpace) -> None:
    """What was not given is drawn, differs, and is reported."""
    space.script = DRAWN
    seeds = set()
    for _ in range(2):
        images = (await ask(provider(space), prompt="a fox"))[-1]
        assert isinstance(images, ImageResponse)
        recipe = images.images[0].recipe
        assert recipe is not None
        seeds.add(recipe.seed)
    assert len(seeds) == 2
    space.script = says(STARTS, completed("Yes."), CLOSE)
    first = (await ask(provider(space), "", ["x"]))[0]
    assert first.content.endswith(f"seed {space.joined[-1].body['data'][2]}")


async def test_values_are_moved_into_their_range(space: FaultySpace) -> None:
    """Old servers do not check ranges, so nothing outside them is sent."""
    space.script = DRAWN
    await ask(provider(space), prompt="x", seed=-1, guidance=99.0, temperature=0.0)
    assert space.joined[0].body["data"] == ["x", 2**32 - 1, 10.0, 0.01]


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": " "},
        {"messages": []},
        {"prompt": "x", "guidance": float("nan")},
        {"model": "gpt-4", "messages": ["x"]},
    ],
)
async def test_requests_that_ask_for_nothing(space: FaultySpace, options: dict[str, Any]) -> None:
    """Refused with a sentence, and nothing is sent."""
    with pytest.raises(BadInput):
        await ask(provider(space), **options)
    assert not space.requests


def test_unknown_options_are_a_mistake() -> None:
    """A misspelt option is told at once, not ignored."""
    with pytest.raises(TypeError, match="sed"):
        DeepseekAI_JanusPro7b().create_async_generator("", ["x"], sed=1)


async def test_progress_in_all_its_forms(space: FaultySpace) -> None:
    """Queue, steps, shares and log lines become `Reasoning`; what repeats is left out."""
    bar = {"index": None, "length": None, "unit": "steps", "progress": 0.5, "desc": "Decoding"}
    steps = {"index": 3, "length": 8, "unit": "tokens", "progress": None, "desc": "Sampling"}
    space.script = says(
        event("estimation", rank=2, queue_size=7, rank_eta=9.5),
        event("estimation", rank=2, queue_size=7, rank_eta=9.5),
        STARTS,
        event("log", log="Waiting for a <b>GPU</b>", level="info"),
        event("progress", progress_data=[bar, steps]),
        event("progress", progress_data=[bar]),
        completed("Done."),
        CLOSE,
    )
    responses = await ask(provider(space), "", ["x"], seed=1)
    assert [response for response in responses[1:] if isinstance(response, Reasoning)] == [
        Reasoning(Stage.QUEUED, rank=2, queue_size=7, eta=9.5),
        Reasoning(Stage.RUNNING),
        Reasoning(Stage.RUNNING, note="Waiting for a GPU", level="info"),
        Reasoning(Stage.RUNNING, index=3, length=8, unit="tokens", note="Sampling"),
        Reasoning(Stage.RUNNING, fraction=0.5, unit="steps", note="Decoding"),
    ]


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Reasoning(Stage.QUEUED, rank=2, queue_size=7), "waiting: 3rd of 7"),
        (Reasoning(Stage.QUEUED, rank=0), "waiting: 1st"),
        (Reasoning(Stage.QUEUED, rank=11, queue_size=3), "waiting: 12th"),
        (Reasoning(Stage.QUEUED), "waiting"),
        (
            Reasoning(
                Stage.RUNNING, index=24, length=576, unit="tokens", note="Sampling image tokens"
            ),
            "drawing 24 of 576",
        ),
        (Reasoning(Stage.RUNNING, index=1, length=3, draws=True), "drawing 1 of 3"),
        (
            Reasoning(Stage.RUNNING, fraction=0.5, note="Decoding", draws=False),
            "answering, 50% done",
        ),
        (Reasoning(Stage.RUNNING, note="Loading"), "working: Loading"),
        (Reasoning(Stage.RUNNING, note="Waiting for a GPU", level="info"), "Waiting for a GPU"),
        (Reasoning(Stage.FETCHING), "fetching the pictures"),
        (
            Reasoning(Stage.CONNECTING, note="seed 3", left_out=2),
            "asking the Space: seed 3; without 2 of the earlier messages, which do not fit",
        ),
    ],
)
def test_progress_reads_as_a_sentence(progress: Reasoning, said: str) -> None:
    assert progress.content == said


async def test_text_comes_as_it_grows(space: FaultySpace) -> None:
    """Only what is new, also after a piece that was replaced in between."""

    def grown(*data: Any) -> bytes:
        return event("process_generating", output={"data": list(data)}, success=True)

    space.script = says(
        STARTS,
        grown("The"),
        grown([["append", [], " fox"]]),
        grown([]),
        completed("The fox."),
        CLOSE,
    )
    responses = await ask(provider(space), "", ["x"])
    assert [r for r in responses if isinstance(r, Text)] == ["The", " fox", "."]
    space.script = says(STARTS, grown("Thinking"), grown([["replace", [], "A"]]), completed("A b"))
    assert text_of(await ask(provider(space), "", ["x"])) == "Thinking\n\nA b"


@pytest.mark.parametrize("answer", [[], [""], [None], [[]]])
@pytest.mark.parametrize("prompt", [None, "a fox"])
async def test_empty_answers(space: FaultySpace, answer: list[Any], prompt: str | None) -> None:
    """An answer with nothing in it is a failure with a sentence."""
    space.script = says(STARTS, completed(*answer), CLOSE)
    with pytest.raises(GenerationFailed):
        await ask(provider(space), "", ["x"], prompt=prompt)


async def test_pictures_that_are_none(space: FaultySpace) -> None:
    """A file that is no picture, and one that is not handed out."""
    for path in ("/srv/page", "/srv/missing"):
        space.files = {"/srv/page": b"<html>"}
        space.script = says(STARTS, completed(gallery(path)), CLOSE)
        with pytest.raises(GenerationFailed):
            await ask(provider(space), prompt="a fox")


@pytest.mark.parametrize("answer", [500, 404])
async def test_a_redeployed_space(space: FaultySpace, answer: int) -> None:
    """When functions have moved the configuration is read again, and the request sent again."""
    one = provider(space)
    await ask(one, "", ["x"])
    space.config = config("6.31.0")
    space.config["app_id"] = "another"
    space.config["dependencies"][2]["id"] = 9

    async def moved(request: web.Request) -> web.StreamResponse | None:
        body = await request.json()
        return web.Response(status=answer, text="oops") if body["fn_index"] != 9 else None

    space.refuse = only("/queue/join", moved)
    assert text_of(await ask(one, "", ["x"])) == "An answer."
    assert len(space.asked("/config")) == 2


async def test_a_failure_is_not_repeated(space: FaultySpace) -> None:
    """A function that raises is asked once as long as the Space is the same."""
    space.script = says(STARTS, failed(None), CLOSE)
    with pytest.raises(GenerationFailed):
        await ask(provider(space), "", ["x"])
    assert len(space.joined) == 1


async def forever() -> AsyncIterator[bytes]:
    yield STARTS
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_giving_up_leaves_nothing_behind(space: FaultySpace, how: str) -> None:
    """No task, no connection, and the Space is told, on a shared session."""
    space.script = forever
    async with open_session() as session:
        one = provider(space, session=session)
        stream = one.create_async_generator("", ["x"])
        async with aclosing(stream):
            async for response in stream:
                if isinstance(response, Reasoning) and response.stage is Stage.RUNNING:
                    break
            if how == "cancel":
                task = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        assert len(space.cancelled) == 1
        await asyncio.wait_for(space.hung_up.wait(), 45)
        assert isinstance(session.connector, aiohttp.BaseConnector)
        assert not session.connector._acquired
        assert not session.closed


async def test_run_is_one_raw_request(space: FaultySpace) -> None:
    """`run` joins and opens the stream, awaited or as a context."""
    one = provider(space)
    conversation = JsonConversation(session_hash="abc")
    async with open_session() as session:
        for method, index in (("post", 2), ("image", 3)):
            async with one.run(method, session, "x", conversation, seed=5) as response:
                assert (await response.json())["event_id"]
            body = space.joined[-1].body
            assert (body["fn_index"], body["session_hash"]) == (index, "abc")
        response = await one.run("get", session, "", conversation)
        assert response.content_type == "text/event-stream"
        assert b"process_completed" in await response.read()
        with pytest.raises(ValueError, match="delete"):
            one.run("delete", session, "x", conversation)


async def test_a_proxy(space: FaultySpace) -> None:
    """An HTTP proxy gets the request in its absolute form; a SOCKS one is dialled."""
    seen: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.read(1024)).decode("latin-1"))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        for scheme in ("http", "socks5"):
            with pytest.raises(SpaceUnreachable):
                await ask(provider(space), "", ["x"], proxy=f"{scheme}://{host}:{port}")
    assert seen[0].startswith(f"GET {space.url}/config")
    assert any(line.startswith("\x05") for line in seen)
    assert not space.requests


def test_where_a_provider_points() -> None:
    """Instances, subclasses and the class itself agree with what they were given."""

    class Elsewhere(DeepseekAI_JanusPro7b):
        api_url = "http://127.0.0.1:7860"

    class Duplicate(DeepseekAI_JanusPro7b):
        space = "me/janus"

    public = DeepseekAI_JanusPro7b()
    assert (public.api_url, public.name) == (DeepseekAI_JanusPro7b.api_url, public.space)
    assert (Elsewhere().api_url, Elsewhere().name) == (Elsewhere.api_url, Elsewhere.api_url)
    assert (Duplicate().api_url, Duplicate().name) == ("https://me-janus.hf.space", "me/janus")
    slash = DeepseekAI_JanusPro7b(api_url="http://host:1/sub/")
    assert (slash.api_url, slash.space) == ("http://host:1/sub", "")
    for wrong in (
        "host",
        "ftp://host",
        "http://",
        "//host",
        "ftp://me:secret@host",
        "://x:secret@[",
    ):
        with pytest.raises(ConfigError) as caught:
            DeepseekAI_JanusPro7b(api_url=wrong)
        assert "secret" not in str(caught.value)


def test_models_and_attributes_of_the_specification() -> None:
    """Every name is there, on the class."""
    assert DeepseekAI_JanusPro7b.models == ["janus-pro-7b", "janus-pro-7b-image"]
    assert DeepseekAI_JanusPro7b.default_image_model in DeepseekAI_JanusPro7b.image_models
    assert DeepseekAI_JanusPro7b.default_vision_model in DeepseekAI_JanusPro7b.vision_models
    assert DeepseekAI_JanusPro7b.working
    assert DeepseekAI_JanusPro7b.referer.startswith(DeepseekAI_JanusPro7b.api_url)


async def test_the_examples_of_the_specification(
    space: FaultySpace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They run as they stand; only the public Space is another one here."""
    monkeypatch.setattr(DeepseekAI_JanusPro7b, "api_url", space.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path/to").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("path/to/image.jpg")

    one = DeepseekAI_JanusPro7b()
    async for response in one.create_async_generator(
        model="janus-pro-7b", messages=["Hello, world!"]
    ):
        assert isinstance(response.content, str)
    space.script = DRAWN
    async for response in one.create_async_generator(
        model="janus-pro-7b-image", prompt="A beautiful sunset over the ocean"
    ):
        assert isinstance(response.content, str)
    space.script = says(STARTS, completed("A square."), CLOSE)
    media = [(to_bytes("path/to/image.jpg"), "image.jpg")]
    async for response in one.create_async_generator(
        model="janus-pro-7b-image", messages=["What is this image?"], media=media
    ):
        assert isinstance(response.content, str)
    async for response in one.create_async_generator(
        model="janus-pro-7b", messages=["Tell me a story."], seed=12345
    ):
        assert isinstance(response.content, str)
    assert [joined.body["fn_index"] for joined in space.joined] == [2, 3, 2, 2]
    assert space.joined[2].body["data"][0]["url"].startswith("data:image/jpeg;base64,")
    assert space.joined[3].body["data"][2] == 12345


async def test_called_on_the_class(space: FaultySpace) -> None:
    """The class acts on an instance with its defaults."""

    class Here(DeepseekAI_JanusPro7b):
        api_url = space.url

    responses = [r async for r in Here.create_async_generator("janus-pro-7b", ["Hello"])]
    assert text_of(responses) == "An answer."


async def test_a_picture_beside_a_prompt_is_said(space: FaultySpace) -> None:
    """It is not sent, which is a warning."""
    space.script = DRAWN
    responses = await ask(provider(space), prompt="a fox", media=[PNG])
    warnings = [r for r in responses if isinstance(r, Reasoning) and r.level == "warning"]
    assert len(warnings) == 1
    assert "picture" in warnings[0].note


async def test_attributes_of_a_subclass_are_heeded(space: FaultySpace) -> None:
    """Each of them, and the Referer goes with every request to the Space."""

    class Mine(DeepseekAI_JanusPro7b):
        api_url = space.url
        referer = "https://example.org/page"
        url = "https://example.org"
        label = "Mine"
        default_model = "mine"
        image_models: ClassVar[list[str]] = ["mine-image"]
        supports_stream = False
        supports_system_message = False
        supports_message_history = False

    one = Mine(timeouts=SOON)
    assert (one.referer, one.url) == (Mine.referer, Mine.url)
    assert Mine.models == ["janus-pro-7b", "mine-image"]
    space.script = DRAWN
    await ask(one, "mine-image", ["a fox"])
    assert {headers["Referer"] for headers in space.asked("/")} == {Mine.referer}
    space.script = says(
        STARTS, event("process_generating", output={"data": ["An"]}), completed("An end."), CLOSE
    )
    said = [{"role": "system", "content": "Be brief."}, "earlier", "now"]
    responses = await ask(one, "mine", said, media=[PNG])
    assert [each for each in responses if isinstance(each, Text)] == ["An end."]
    assert space.joined[-1].body["data"][1] == "now"
    Mine.working = False
    with pytest.raises(SpaceUnreachable, match="Mine"):
        await ask(one, "", ["x"])


async def test_a_provider_can_be_moved(space: FaultySpace) -> None:
    """Also after it was made, by setting its attributes."""
    one = DeepseekAI_JanusPro7b(timeouts=SOON)
    one.api_url = f"{space.url}/"
    assert (one.api_url, one.url, one.space) == (space.url, space.url, "")
    assert one.referer == f"{space.url}?__theme=light"
    one.referer = "https://example.org/"
    assert text_of(await ask(one, "", ["x"])) == "An answer."
    assert space.joined[0].headers["Referer"] == "https://example.org/"
    one.space = "me/janus"
    assert (one.api_url, one.name) == ("https://me-janus.hf.space", "me/janus")
    with pytest.raises(ConfigError):
        one.api_url = "nonsense"


async def test_the_class_keeps_what_it_knows(space: FaultySpace) -> None:
    """The configuration is read once, until the class is changed."""

    class Here(DeepseekAI_JanusPro7b):
        api_url = space.url

    for _ in range(2):
        await asyncio.gather(*(anext(Here.create_async_generator("", ["x"])) for _ in range(2)))
        responses = [r async for r in Here.create_async_generator("", ["x"])]
        assert text_of(responses) == "An answer."
    assert len(space.asked("/config")) == 1
    async with faulty_space() as other:
        Here.api_url = other.url
        assert text_of([r async for r in Here.create_async_generator("", ["x"])]) == "An answer."
        assert len(other.joined) == 1


async def test_a_session_of_its_own_is_closed(
    space: FaultySpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon after the last call, and not between two that follow each other."""
    monkeypatch.setattr("bot.provider.access.KEEP_ALIVE_SECONDS", 0.2)
    one = provider(space)
    for _ in range(2):
        await ask(one, "", ["x"])
    (opened,) = one._access._own._open.values()
    session: Any = opened.session
    assert not session.closed
    async with asyncio.timeout(30):
        while not session.closed:  # noqa: ASYNC110 - aiohttp tells nobody
            await asyncio.sleep(0.05)
    assert text_of(await ask(one, "", ["x"])) == "An answer."


def test_a_program_leaves_nothing_open() -> None:
    """As the examples are: a call, and the end of the program."""
    code = (
        "import asyncio\n"
        "from tests.servers.faulty_space import faulty_space\n"
        "from bot.provider import DeepseekAI_JanusPro7b as Janus\n"
        "async def main():\n"
        "    async with faulty_space() as space:\n"
        "        one = Janus(api_url=space.url)\n"
        "        async for each in one.create_async_generator('', ['x']):\n"
        "            pass\n"
        "        print(each)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "An answer."
    assert "nclosed" not in done.stderr


def test_the_class_outlives_event_loops() -> None:
    """What is kept belongs to no loop, also after calls had to wait for each other."""

    class Here(DeepseekAI_JanusPro7b):
        pass

    async def both() -> None:
        async with faulty_space() as space:
            Here.default().api_url = space.url
            streams = [Here.create_async_generator("", ["x"]) for _ in range(3)]

            async def whole(stream: Any) -> list[Any]:
                return [response async for response in stream]

            for responses in await asyncio.gather(*map(whole, streams)):
                assert text_of(responses) == "An answer."

    for _ in range(2):
        asyncio.run(both())


def test_import_is_cheap() -> None:
    """Used alone, the provider loads nothing heavy."""
    heavy = ("PIL", "discord", "telegram", "sqlalchemy", "gradio", "aiohttp_socks", "pydantic")
    code = f"import bot.provider, sys; print([m for m in {heavy!r} if m in sys.modules])"
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "[]"
