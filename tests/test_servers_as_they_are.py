"""What servers, and what stands in front of them, do that no documentation promises."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import subprocess
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.errors import (
    BadInput,
    ConfigError,
    CredentialsRefused,
    GenerationFailed,
    ImageTooLarge,
    NoGpu,
    SpaceBroken,
    SpaceNotFound,
    SpaceUnreachable,
)
from bot.hosts import same_site, space_of_page
from bot.provider import DeepseekAI_JanusPro7b, ImageResponse, Reasoning, open_session
from bot.provider.cookies import MAX_COOKIES, Cookies
from bot.provider.errors import function_error
from bot.provider.gradio.config import read_config
from bot.provider.gradio.events import SseDecoder
from bot.provider.gradio.files import gallery_paths
from bot.provider.prompt import GENERATE, KNOWN_FUNCTIONS, UNDERSTAND
from tests.servers.faulty_space import (
    CLOSE,
    DRAWN,
    PICTURES,
    PNG,
    STARTS,
    FaultySpace,
    Refuse,
    completed,
    config,
    event,
    failed,
    faulty_space,
    gallery,
    only,
    reply,
    says,
)
from tests.servers.space_client import SOON, ask, text_of

TOKEN = "hf_secret"


def at(space: FaultySpace, **options: Any) -> DeepseekAI_JanusPro7b:
    return DeepseekAI_JanusPro7b(api_url=space.url, timeouts=SOON, **options)


def on_hub(space: FaultySpace, **options: Any) -> DeepseekAI_JanusPro7b:
    return DeepseekAI_JanusPro7b(space="me/janus", hf_url=space.url, timeouts=SOON, **options)


def replicas(space: FaultySpace) -> Refuse:
    """A load balancer with two replicas: who shows no cookie gets the next, and its cookie."""
    joined: dict[str, str] = {}
    turn = [0]

    async def balance(request: web.Request) -> web.StreamResponse | None:
        replica = request.cookies.get("replica")
        if replica is None:
            turn[0] += 1
            replica = str(turn[0] % 2)
        if request.path.endswith("/queue/join"):
            joined[(await request.json())["session_hash"]] = replica
            answer = web.json_response({"event_id": "0123456789abcdef0123456789abcdef"})
        elif request.path.endswith("/queue/data"):
            if joined.get(request.query["session_hash"]) == replica:
                return None
            lost = event("unexpected_error", message="404: Session not found.")
            return web.Response(body=lost, content_type="text/event-stream")
        else:
            answer = web.json_response(space.config)
        answer.set_cookie("replica", replica)
        return answer

    return balance


async def test_replicas_with_cookie_affinity(space: FaultySpace) -> None:
    """Each call stays with the replica that it came to, also beside others."""
    space.refuse = replicas(space)
    async with open_session() as session:
        for one in (at(space), at(space, session=session)):
            answers = await asyncio.gather(*(ask(one, "", ["x"]) for _ in range(5)))
            assert [text_of(answer) for answer in answers] == ["An answer."] * 5
            assert text_of(await ask(one, "", ["x"])) == "An answer."


async def test_cookies_cross_neither_spaces_nor_callers(space: FaultySpace) -> None:
    """Another Space on the same host, and a call with a key of its own, bring none along."""

    async def sets(request: web.Request) -> web.StreamResponse | None:
        response = web.json_response(space.config)
        response.set_cookie("who", "first", path="/")
        return response

    space.refuse = only("/config", sets)
    async with faulty_space() as other, open_session() as session:
        one = at(space, session=session)
        await ask(one, "", ["x"])
        assert space.joined[0].headers["Cookie"] == "who=first"
        await ask(at(other, session=session), "", ["x"])
        assert not [each for each in other.asked("/") if "Cookie" in each]
        await ask(one, "", ["x"], api_key="hf_other")
        assert "Cookie" not in space.joined[-1].headers


def test_cookies_end_and_are_bounded() -> None:
    kept = Cookies()
    kept.remember(SimpleCookie("a=1; Path=/queue\r\n"))
    assert (kept.header("/queue/join?x"), kept.header("/queues")) == ("a=1", "")
    kept.remember(SimpleCookie("a=; Path=/queue; Max-Age=0"))
    assert not kept.header("/queue/join")
    for number in range(2 * MAX_COOKIES):
        kept.remember(SimpleCookie(f"c{number}=x"))
    kept.remember(SimpleCookie(f"long={'x' * 5000}"))
    assert kept.header("/").count("=") == MAX_COOKIES


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_renamed_space(
    space: FaultySpace, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Found under its new name, as the log says."""

    async def renamed(request: web.Request) -> web.StreamResponse | None:
        new = request.path_qs.replace("me/janus", "you/fox")
        return web.Response(status=status, headers={"Location": new})

    space.refuse = only("me/janus", renamed)
    space.page = '"token":"tok","sessionUuid":"uu"'
    with caplog.at_level(logging.WARNING):
        assert text_of(await ask(on_hub(space), "", ["x"])) == "An answer."
    assert "me/janus is now called you/fox" in caplog.text
    assert space.joined[0].headers["x-zerogpu-token"] == "tok"


async def test_a_space_that_moved_meanwhile(space: FaultySpace) -> None:
    """One whose address was known is asked of the Hub again when it does not answer."""
    async with faulty_space() as elsewhere:
        one, other = on_hub(space), on_hub(space)
        await ask(one, "", ["x"])
        await other.check()

        async def moved(request: web.Request) -> web.StreamResponse | None:
            if "/host" in request.path:
                return web.json_response({"host": elsewhere.url})
            return None if "/api/" in request.path else web.Response(status=404)

        space.refuse = moved
        assert text_of(await ask(one, "", ["x"])) == "An answer."
        assert len(elsewhere.joined) == 1
        other._access._cache.forget()
        assert (await other.check()).startswith("Gradio")


def redirect(location: str) -> Refuse:
    async def answer(_: web.Request) -> web.StreamResponse | None:
        return web.Response(status=307, headers={"Location": location})

    return answer


async def test_a_redirect_within_one_site_is_followed(space: FaultySpace) -> None:
    """To another path or port of the same host; all that follows is asked there."""
    async with faulty_space() as elsewhere:
        space.refuse = redirect(f"{elsewhere.url}/config")
        assert text_of(await ask(at(space), "", ["x"])) == "An answer."
        assert len(elsewhere.joined) == 1
        space.requests.clear()
        with pytest.raises(SpaceUnreachable, match=elsewhere.url):
            await at(space, access_token=TOKEN).check()


async def test_another_redirect_is_named(space: FaultySpace) -> None:
    """With where it leads, but nothing secret in it; circles end."""
    space.refuse = redirect("https://login.example.org/enter?token=hush")
    with pytest.raises(SpaceUnreachable, match=r"https://login\.example\.org/enter") as caught:
        await ask(at(space), "", ["x"])
    assert "hush" not in str(caught.value)
    space.refuse = redirect("/config")
    with pytest.raises(SpaceUnreachable, match="circles"):
        await ask(at(space), "", ["x"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("example.org", "www.example.org", True),
        ("a.example.org", "b.example.org", True),
        ("a.hf.space", "b.hf.space", False),
        ("a.co.uk", "b.co.uk", False),
        ("a.b.co.uk", "b.co.uk", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("localhost", "evil", False),
        ("evil-example.org", "example.org", False),
    ],
)
def test_sites(one: str, other: str, same: bool) -> None:
    assert same_site(one, other) is same


@pytest.mark.parametrize(
    "said", ["Invalid credentials in Authorization header", "Token is expired"]
)
@pytest.mark.parametrize(
    ("own", "key", "named"), [(TOKEN, None, "hf_token"), (None, "hf_mistyped", "api_key")]
)
async def test_a_token_that_is_no_good(
    space: FaultySpace, said: str, own: str | None, key: str | None, named: str
) -> None:
    """It is told apart from a Space that is not there, and the key to change is named."""
    space.refuse = only("/api/", reply(401, f'{{"error": "{said}"}}'))
    with pytest.raises(CredentialsRefused, match=named):
        await ask(on_hub(space, hf_token=own), "", ["x"], api_key=key)
    space.refuse = only("/api/", reply(401, '{"error": "Repository not found"}'))
    with pytest.raises(SpaceNotFound):
        await ask(on_hub(space, hf_token=own), "", ["x"], api_key=key)


PATH = "/srv/cache/0.png"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "output",
    [
        [{"image": {"path": PATH, "url": "http://inside:7860/x"}, "caption": None}],
        [{"path": PATH, "url": None, "meta": {"_type": "gradio.FileData"}}],
        [[{"path": PATH}, "caption"]],
        [{"image": {"path": None, "url": f"http://inside:7860/gradio_api/file={PATH}"}}],
        [{"image": {"url": DATA_URL}}],
        [DATA_URL],
        [PATH],
        {"path": PATH},
        {"image": {"path": PATH}},
        {"__type__": "update", "value": [{"image": {"path": PATH}}]},
    ],
)
async def test_galleries_in_every_form(space: FaultySpace, output: Any) -> None:
    """Whatever a Space sends its pictures in, and whichever output they are."""
    space.files = {PATH: PNG}
    for data in ([output], ["a note", output]):
        space.script = says(STARTS, completed(*data), CLOSE)
        images = (await ask(at(space), prompt="a fox"))[-1]
        assert isinstance(images, ImageResponse)
        assert [image.data for image in images.images] == [PNG]


@pytest.mark.parametrize("odd", [None, 3, "word", {}, {"image": None}, [None], [[]], {"path": 3}])
def test_what_is_no_gallery(odd: Any) -> None:
    assert gallery_paths([odd]) == []


async def test_a_picture_elsewhere_is_not_fetched(space: FaultySpace) -> None:
    async with faulty_space(files={PATH: PNG}) as elsewhere:
        space.script = says(STARTS, completed([{"url": f"{elsewhere.url}/x.png"}]), CLOSE)
        with pytest.raises(GenerationFailed, match="another server"):
            await ask(at(space), prompt="a fox")
        assert not elsewhere.requests


async def test_text_in_an_update(space: FaultySpace) -> None:
    space.script = says(STARTS, completed({"__type__": "update", "value": "Yes."}), CLOSE)
    assert text_of(await ask(at(space), "", ["x"])) == "Yes."


async def test_one_picture_of_five_that_is_lost(space: FaultySpace) -> None:
    """It is tried again, then said, and costs no other."""
    space.script = DRAWN
    space.refuse = only("/file=/srv/cache/2.png", reply(404))
    *_, said, images = await ask(at(space), prompt="a fox")
    assert isinstance(images, ImageResponse)
    assert isinstance(said, Reasoning)
    assert "1 of 5" in said.note
    assert [image.recipe.index for image in images.images if image.recipe] == [0, 1, 3, 4]
    assert images.missing == 1
    assert len(space.asked("/gradio_api/file=/srv/cache/2.png")) == 2
    space.refuse = only("/file=/srv/cache/2.png", reply(404), times=1)
    images = (await ask(at(space), prompt="a fox"))[-1]
    assert isinstance(images, ImageResponse)
    assert len(images.images) == 5


def with_inputs(function: str, *components: dict[str, Any]) -> dict[str, Any]:
    """A configuration in which a function has these inputs."""
    changed = config("5.1.0")
    entry = next(each for each in changed["dependencies"] if each["api_name"] == function)
    entry["inputs"] = list(range(100, 100 + len(components)))
    changed["components"] += [{"id": 100 + n, **each} for n, each in enumerate(components)]
    return changed


def component(kind: str, label: str = "", **props: Any) -> dict[str, Any]:
    return {"type": kind, "props": {"label": label, **props}}


PROMPT = component("textbox", "Prompt")
SEED = component("number", "Seed (Optional)", value=12345)
CFG = component("slider", "CFG Weight", value=5, minimum=1, maximum=10)
TEMPERATURE = component("slider", "temperature", value=1.0, minimum=0, maximum=1)
STEPS = component("slider", "Number of Inference Steps", value=30, minimum=1, maximum=50)


@pytest.mark.parametrize(
    ("inputs", "sent"),
    [
        ([PROMPT, SEED, CFG, TEMPERATURE], ["a fox", 7, 6.0, 0.5]),
        ([PROMPT, SEED, CFG, STEPS], ["a fox", 7, 6.0, 30]),
        ([PROMPT, SEED, CFG], ["a fox", 7, 6.0]),
        ([component("state"), PROMPT, SEED, CFG, TEMPERATURE], [None, "a fox", 7, 6.0, 0.5]),
        (
            [PROMPT, SEED, CFG, TEMPERATURE, component("state", value=3)],
            ["a fox", 7, 6.0, 0.5, None],
        ),
        ([CFG, TEMPERATURE, SEED, PROMPT], [6.0, 0.5, 7, "a fox"]),
        (
            [component("textbox", "Negative prompt", value="ugly"), PROMPT, SEED, CFG],
            ["ugly", "a fox", 7, 6.0],
        ),
        (
            [PROMPT, component("checkbox", "Randomize seed", value=True), SEED],
            ["a fox", False, 7],
        ),
        ([PROMPT, component("slider", "guidance", minimum=1, maximum=4, value=2)], ["a fox", 4.0]),
        (
            [
                component("textbox", "Описание"),
                component("number", "Зерно"),
                component("slider", "Сила", minimum=1, maximum=10),
                component("slider", "Жар", minimum=0, maximum=1),
            ],
            ["a fox", 7, 6.0, 0.5],
        ),
        ([PROMPT, component("slider", "", minimum=1, maximum=50, value=30)], ["a fox", 7]),
        (
            [
                component("textbox", "Prompt (max 77 tokens, any length)"),
                component("slider", "Temperature (max 1)", minimum=0, maximum=1),
                component("slider", "Guidance strength", minimum=1, maximum=10),
            ],
            ["a fox", 0.5, 6.0],
        ),
    ],
)
async def test_inputs_by_name_and_type(
    space: FaultySpace, inputs: list[dict[str, Any]], sent: list[Any]
) -> None:
    """Each value goes where it belongs; what else a Space asks for keeps its default."""
    space.config = with_inputs(GENERATE.name, *inputs)
    space.script = DRAWN
    await ask(at(space), prompt="a fox", seed=7, guidance=6, temperature=0.5)
    assert space.joined[0].body["data"] == sent


@pytest.mark.parametrize(
    ("function", "inputs", "says"),
    [
        (GENERATE.name, [SEED, CFG], "no input for the prompt"),
        (GENERATE.name, [PROMPT, component("audio", "Voice")], '"Voice" .audio.'),
        (UNDERSTAND.name, [component("textbox", "Question"), SEED], "no input for the image"),
    ],
)
async def test_a_space_that_asks_for_something_else(
    space: FaultySpace, function: str, inputs: list[dict[str, Any]], says: str
) -> None:
    """It is refused with a sentence that names the difference, before anything is asked."""
    space.config = with_inputs(function, *inputs)
    options = {"prompt": "a fox"} if function == GENERATE.name else {"messages": ["x"]}
    for refused in (ask(at(space), **options), at(space).check()):
        with pytest.raises(SpaceBroken, match=says) as caught:
            await refused
        assert function in str(caught.value)
    assert not space.joined


def test_inputs_that_are_not_described() -> None:
    """As many as usual are the usual ones; others cannot be told apart."""
    plain = config("5.1.0")
    plain["components"] = []
    read = read_config(plain, KNOWN_FUNCTIONS)
    assert read is not None
    values = {"prompt": "x", "seed": 1, "guidance": 5.0, "temperature": 1.0}
    assert read.function(GENERATE.name).arranged(values) == ["x", 1, 5.0, 1.0]
    plain["dependencies"][3]["inputs"].pop()
    read = read_config(plain, KNOWN_FUNCTIONS)
    assert read is not None
    with pytest.raises(SpaceBroken, match="takes 3 values"):
        read.function(GENERATE.name)


async def test_a_request_that_is_too_large(space: FaultySpace) -> None:
    """With a picture it is the picture."""
    space.refuse = only("/queue/join", reply(413))
    with pytest.raises(ImageTooLarge):
        await ask(at(space), "", ["x"], media=[PNG])
    with pytest.raises(BadInput):
        await ask(at(space), prompt="a fox")


@pytest.mark.parametrize(
    "text",
    [
        "No GPU is currently available",
        "No GPU is currently available for you after 60s",
        "No GPUs are available",
        "No GPU was available after 60s. Retry later",
    ],
)
def test_no_gpu_in_older_words(text: str) -> None:
    assert type(function_error(text)) is NoGpu


async def test_a_connection_that_was_closed_between_two_requests(space: FaultySpace) -> None:
    """Seen before anything is sent on it, so that it is sent on another."""

    async def hangs_up(request: web.Request) -> web.StreamResponse | None:
        response = web.json_response(space.config)
        await response.prepare(request)
        await response.write_eof()
        assert request.transport is not None
        request.transport.close()
        return response

    space.refuse = only("/config", hangs_up)
    async with open_session() as session:
        for _ in range(20):
            one = at(space, session=session)
            assert text_of(await ask(one, "", ["x"])) == "An answer."
    assert len(space.joined) == 20


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
        (b"data:\ndata: a\n\n", [b"\na"]),
        (b": a comment\n\ndata:a\nid: 1\nevent: x\nretry: 3\n\n", [b"a"]),
        (b"data:  a\ndatas: b\n data: c\n\n", [b" a"]),
    ],
)
def test_event_streams_to_the_letter(stream: bytes, found: list[bytes]) -> None:
    """However they are cut."""
    for size in range(1, len(stream) + 1):
        decoder = SseDecoder()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [event for piece in pieces for event in decoder.feed(piece)] == found


async def test_empty_events_mean_nothing(space: FaultySpace) -> None:
    space.script = says(
        b"\xef\xbb\xbf: hello\r\n\r\ndata\r\n\r\n", STARTS, completed("Yes."), CLOSE
    )
    assert text_of(await ask(at(space), "", ["x"])) == "Yes."


@pytest.mark.parametrize("address", ["[::1]:9", "127.0.0.1:9", "localhost:9"])
async def test_addresses_are_told_in_full(address: str) -> None:
    with pytest.raises(SpaceUnreachable) as caught:
        await ask(DeepseekAI_JanusPro7b(api_url=f"http://{address}"), "", ["x"])
    assert f"{address} cannot be reached" in str(caught.value)


@pytest.mark.parametrize(
    "page",
    [
        "https://huggingface.co/spaces/owner/name",
        "https://huggingface.co/spaces/owner/name/",
        "https://huggingface.co/spaces/owner/name/tree/main?x#y",
        "https://hf.co/spaces/owner/name",
    ],
)
def test_the_page_of_a_space_stands_for_it(page: str) -> None:
    one = DeepseekAI_JanusPro7b(api_url=page)
    assert (one.space, one.api_url) == ("owner/name", "https://owner-name.hf.space")
    assert one.url == "https://huggingface.co/spaces/owner/name"
    assert space_of_page(page) == "owner/name"
    assert not space_of_page(page.replace("/spaces/", "/models/"))


async def test_a_private_authority(
    space: FaultySpace, tmp_path: Path, certificate: Callable[[], tuple[Path, Path]]
) -> None:
    """Trusted if it is named, and the error says what is wrong if not."""
    chain, key = certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    runner = web.AppRunner(space.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        with pytest.raises(SpaceUnreachable, match="encrypted"):
            await DeepseekAI_JanusPro7b(api_url=url).check()
        assert (await DeepseekAI_JanusPro7b(api_url=url, ca_file=chain).check()).startswith(
            "Gradio"
        )
        async with open_session(ca_file=chain) as session:
            await DeepseekAI_JanusPro7b(api_url=url, session=session).check()
    finally:
        await runner.cleanup()
    (tmp_path / "empty.pem").write_text("nothing")
    for wrong in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(ConfigError, match="ca_file"):
            async with open_session(ca_file=wrong):
                pass


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    """A certificate for 127.0.0.1 that has signed itself, and its key."""

    def made() -> tuple[Path, Path]:
        chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(chain)),
            ],
            check=True,
            capture_output=True,
        )
        return chain, key

    return made


SECRET = "hf_AbCdEf0123456789"


async def test_a_secret_that_a_space_echoes(space: FaultySpace) -> None:
    """Neither errors, nor logs and progress, nor the text itself show it, however it is cut."""
    streamed = [f"Your token is {SECRET}"[:length] for length in range(1, 34)]

    def grown(text: str) -> bytes:
        return event("process_generating", output={"data": [[["replace", [], text]]]})

    first = event("process_generating", output={"data": [""]})
    space.script = says(
        STARTS,
        event("log", log=f"headers: Bearer <b>{SECRET[:5]}</b>{SECRET[5:]}", level="info"),
        event("progress", progress_data=[{"desc": SECRET, "unit": "steps", "progress": 0.5}]),
        first,
        *map(grown, streamed),
        completed(f"Your token is {SECRET}."),
        CLOSE,
    )
    one = at(space, access_token=SECRET)
    said = "".join(each.content for each in await ask(one, "", ["x"]))
    assert SECRET not in said
    assert SECRET[:6] not in said
    assert "Your token is [secret]." in said
    space.script = says(STARTS, failed(f"Authorization: Bearer {SECRET}"), CLOSE)
    for call in (ask(one, "", ["x"]), ask(at(space), "", ["x"], api_key=SECRET)):
        with pytest.raises(GenerationFailed) as caught:
            await call
        assert SECRET not in str(caught.value)


async def test_a_space_has_a_public_name(space: FaultySpace) -> None:
    """In recipes, and in errors where its address is nobody's business."""
    space.script, space.files = DRAWN, dict(PICTURES)
    one = at(space, name="Our Space", shows_address=False)
    images = (await ask(one, prompt="a fox"))[-1]
    assert isinstance(images, ImageResponse)
    assert {image.recipe.space for image in images.images if image.recipe} == {"Our Space"}
    space.refuse = only("/", reply(502))
    with pytest.raises(SpaceUnreachable) as caught:
        await at(space, name="Our Space", shows_address=False).check()
    assert "127.0.0.1" not in str(caught.value)


def test_gallery_is_used() -> None:
    assert gallery_paths([gallery("/a", "/b")]) == ["/a", "/b"]
