"""The Space that the bot runs itself: a real child process, and everything that can befall it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import LogCapture

from bot.app import App
from bot.commands.doctor import Health, own_space
from bot.config import Config, load
from bot.errors import ModelNotServed, ModelStarting, SpaceNotFound, SpaceUnreachable
from bot.own_space import NAME, OwnJanus, OwnSpace, OwnSpaceProvider
from bot.own_space.plan import make_plan
from bot.own_space.process import Lines, command
from bot.provider import DeepseekAI_JanusPro7b
from bot.provider.responses import ImageResponse, Reasoning, Response, Stage, Text
from bot.support import Backoff
from tests.servers.faulty_space import CLOSE, STARTS, Cut, completed, event, faulty_space, says
from tests.servers.telegram import TOKEN, TelegramServer
from tests.servers.telegram_world import Chat

pytestmark = pytest.mark.timeout(400)

SOON = 30.0
"""Seconds after which something that should have happened has not; no test waits for them."""

READY = "print('space ready: http://127.0.0.1:9', flush=True)"
STAY = "sys.stdin.read()"
"""Until whoever started it is gone."""


def scripted(*lines: str, **options: Any) -> OwnSpace:
    """A child that does what these lines of Python say, and is started again at once."""
    program = "\n".join(["import os, signal, sys, time", *lines])
    options.setdefault("pauses", Backoff(0.001, 0.002))
    return OwnSpace([sys.executable, "-c", program], **options)


@asynccontextmanager
async def started(space: OwnSpace) -> AsyncIterator[OwnSpace]:
    async with asyncio.timeout(120), space:
        yield space


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: int) -> None:
    """Return when a process has ended, whosever child it is."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)
        os.close(process)


async def refusal(space: OwnSpace) -> str:
    """Why it is given up, once it is."""
    try:
        while True:
            await (await space.up()).over.wait()
    except ModelNotServed as error:
        return str(error)


class Log(LogCapture):
    """The lines of the log, which can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def __call__(self, *line: Any) -> NoReturn:
        self._news.set()
        super().__call__(*line)

    def having(self, event: str) -> list[Any]:
        return [line for line in self.entries if line["event"].startswith(event)]

    async def heard(self, event: str, times: int = 1) -> None:
        while len(self.having(event)) < times:
            self._news.clear()
            await self._news.wait()

    @property
    def said(self) -> list[str]:
        """What the child wrote."""
        return [line["line"] for line in self.having("own Space says")]


@pytest.fixture(name="log")
def _log() -> Iterator[Log]:
    log, before = Log(), structlog.get_config()
    structlog.configure(processors=[log])
    yield log
    structlog.configure(**before)


# The process ---------------------------------------------------------------------------------


async def test_it_is_up_with_its_address_and_ends_with_the_block() -> None:
    async with started(scripted(READY, STAY)) as space:
        life = await space.up()
        assert life.url == "http://127.0.0.1:9"
        assert space.life is life
    assert life.over.is_set()
    assert not is_running(life.pid)


async def test_what_it_says_is_in_the_log_whole_and_without_colours(log: Log) -> None:
    """Both streams, a line each; a bar that is drawn over itself is lines, too."""
    async with started(
        scripted(
            r"print('\x1b[32mloading\x1b[0m')",
            r"sys.stderr.write('10 %\r20 %\r')",
            "sys.stdout.buffer.write(b'\\xff garbage\\n')",
            READY,
            r"sys.stderr.write('no end of line')",
            "sys.exit(3)",
        )
    ) as space:
        await refusal(space)
    assert sorted(log.said) == sorted(
        ["loading", "10 %", "20 %", "\N{REPLACEMENT CHARACTER} garbage", "no end of line"]
    )
    assert {line["log_level"] for line in log.having("own Space says")} == {"info"}


async def test_a_flood_is_read_to_its_end(log: Log) -> None:
    """Ten megabytes on each stream neither block the child nor are they lost."""
    async with started(
        scripted(
            "line = b'x' * 999 + b'\\n'",
            "for _ in range(10_000):",
            "    sys.stderr.buffer.write(line)",
            "    sys.stdout.buffer.write(line)",
            "sys.stdout.flush()",
            READY,
            STAY,
        )
    ) as space:
        await space.up()
    assert log.said.count("x" * 999) == 20_000


async def test_an_endless_line_is_cut(log: Log) -> None:
    async with started(scripted("print('y' * 1_000_000)", READY, STAY)) as space:
        await space.up()
    assert "".join(log.said) == "y" * 1_000_000


@pytest.mark.parametrize(
    "line",
    ["space ready: ", "space ready: nonsense", "space ready: http://192.0.2.1:80", "ready"],
)
async def test_only_an_address_of_this_machine_makes_it_ready(log: Log, line: str) -> None:
    """Whatever else begins like the ready line is only something that it says."""
    async with started(scripted(f"print({line!r}, flush=True)", READY, STAY)) as space:
        assert (await space.up()).url == "http://127.0.0.1:9"
    assert log.said == [line.rstrip()]


@pytest.mark.parametrize("code", [2, 3])
async def test_it_is_given_up_when_it_says_that_trying_again_is_pointless(
    log: Log, code: int
) -> None:
    """Its last words are the reason; whoever waits is told at once."""
    async with started(
        scripted("print('7B needs 15 GB, 4 are free', file=sys.stderr)", f"sys.exit({code})")
    ) as space:
        with pytest.raises(ModelNotServed, match="7B needs 15 GB, 4 are free"):
            await space.up()
    [line] = log.having("own Space is given up")
    assert (line["log_level"], line["code"]) == ("error", code)
    assert "7B needs 15 GB" in line["said"]


async def test_it_is_started_again_with_growing_pauses(log: Log, tmp_path: Path) -> None:
    """A child that dies at its start three times, and then works."""
    tries = tmp_path / "tries"
    async with started(
        scripted(
            f"tries = open({str(tries)!r}, 'a+')",
            "tries.write('x')",
            "tries.flush()",
            "tries.seek(0)",
            "if len(tries.read()) <= 3: os.kill(os.getpid(), signal.SIGKILL)",
            READY,
            STAY,
            pauses=Backoff(0.001, 0.003),
        )
    ) as space:
        await space.up()
    ends = log.having("own Space ended")
    assert [line["next_try"] for line in ends] == [0.001, 0.002, 0.003]
    assert {line["code"] for line in ends} == {-signal.SIGKILL}


async def test_one_that_dies_while_idle_is_another_one_soon() -> None:
    async with started(scripted(READY, STAY)) as space:
        first = await space.up()
        os.kill(first.pid, signal.SIGKILL)
        await first.over.wait()
        second = await space.up()
        assert second.pid != first.pid
        assert not is_running(first.pid)


async def test_one_that_stays_silent_is_killed_and_started_again(log: Log) -> None:
    """It never says that it is ready."""
    async with started(scripted(STAY, silent_seconds=0.2)):
        await log.heard("own Space starts", 2)
    assert "own Space is stuck and killed" in [line["event"] for line in log.entries]


async def test_one_that_does_not_end_when_asked_is_killed_with_all_that_it_started(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.own_space.process._STOP_SECONDS", 0.2)
    async with started(
        scripted(
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
            "child = os.fork()",
            "if child: print(child)",
            "if child: " + READY,
            "while True: time.sleep(60)",
        )
    ) as space:
        life = await space.up()
    [grandchild] = map(int, log.said)
    assert not is_running(life.pid)
    async with asyncio.timeout(SOON):
        await gone(grandchild)


async def test_it_ends_with_the_bot_however_that_ends(tmp_path: Path) -> None:
    """The bot is killed; its child reads the end of its standard input."""
    bot = (
        "import asyncio, sys\n"
        "from bot.own_space import OwnSpace\n"
        "child = '''import sys\\nprint('space ready: http://127.0.0.1:9', flush=True)\\n"
        "sys.stdin.read()'''\n"
        "async def main():\n"
        "    async with OwnSpace([sys.executable, '-c', child]) as space:\n"
        "        print((await space.up()).pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", bot), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while not (line := (await process.stdout.readline()).strip()).isdigit():
            assert process.returncode is None
        process.kill()
        await process.wait()
        await gone(int(line))


async def test_a_program_that_is_not_there_is_said_and_tried_again(log: Log) -> None:
    async with started(OwnSpace(["/no/such/program"], pauses=Backoff(0.001, 0.001))):
        await log.heard("own Space ended", 2)
    assert "No such file or directory" in [line.get("reason") for line in log.entries]


async def test_it_never_gets_the_tokens_of_the_bot(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JANUS_BOT_TELEGRAM__TOKEN", "1:secret")
    monkeypatch.setenv("JANUS_SPACE_ACCESS_TOKEN", "secret, too")
    monkeypatch.setenv("HF_HOME", "/models")
    async with started(
        scripted("print(dict(os.environ))", "print(sys.argv)", READY, STAY)
    ) as space:
        await space.up()
    assert "secret" not in str(log.said)
    assert "/models" in str(log.said)


@given(chunks=st.lists(st.binary(max_size=30)))
def test_lines_do_not_depend_on_how_they_arrive(chunks: list[bytes]) -> None:
    lines, at_once = Lines(), Lines()
    fed = [line for chunk in chunks if chunk for line in lines.feed(chunk)]
    whole = b"".join(chunks)
    assert [*fed, *lines.feed(b"")] == [
        *(at_once.feed(whole) if whole else ()),
        *at_once.feed(b""),
    ]


def test_the_command_line_is_that_of_the_program() -> None:
    assert command(model="auto")[1:] == ("-m", "bot.space")
    assert command("--plan", model="1b")[1:] == ("-m", "bot.space", "--plan", "--model", "1b")
    assert command(model="~/janus")[-1] == str(Path.home() / "janus")


# The provider --------------------------------------------------------------------------------


def provider_of(space: OwnSpace, **options: Any) -> OwnSpaceProvider:
    return OwnSpaceProvider(space, lambda url: OwnJanus(api_url=url), **options)


def child_at(address: Path) -> OwnSpace:
    """A child that is ready at the address in a file; each child reads it anew."""
    return scripted(f"print('space ready:', open({str(address)!r}).read(), flush=True)", STAY)


async def answers(provider: OwnSpaceProvider, **options: Any) -> list[Response]:
    async with aclosing(
        provider.create_async_generator(messages=["hello"], seed=1, **options)
    ) as responses:
        return [response async for response in responses]


def text_of(responses: list[Response]) -> str:
    return "".join(response for response in responses if isinstance(response, Text))


async def test_a_request_waits_until_the_child_is_up(tmp_path: Path) -> None:
    """Meanwhile the person sees that the model is starting."""
    async with faulty_space() as server:
        gate, address = tmp_path / "gate", tmp_path / "address"
        os.mkfifo(gate)
        address.write_text(server.url)
        space = scripted(
            f"open({str(gate)!r}).read()",
            f"print('space ready:', open({str(address)!r}).read(), flush=True)",
            STAY,
        )
        async with started(space):
            stream = provider_of(space).create_async_generator(messages=["hello"])
            async with aclosing(stream) as responses:
                assert await anext(responses) == Reasoning(Stage.STARTING)
                await asyncio.to_thread(gate.write_text, "go")
                rest = [response async for response in responses]
    assert text_of(rest) == "An answer."


async def test_one_that_does_not_come_up_in_time_is_said_kindly() -> None:
    space = scripted(STAY)
    async with started(space):
        with pytest.raises(ModelStarting) as caught:
            await answers(provider_of(space, wait_seconds=0.05))
    assert caught.value.retry_after


async def test_one_that_is_given_up_is_said_at_once() -> None:
    space = scripted("sys.exit(3)")
    async with started(space):
        with pytest.raises(ModelNotServed):
            await answers(provider_of(space))


async def test_checking_waits_for_nothing() -> None:
    space = scripted(STAY)
    async with started(space):
        with pytest.raises(ModelStarting):
            await provider_of(space).check()


async def test_an_answer_goes_on_where_it_was_when_its_child_dies(tmp_path: Path) -> None:
    """The next child is at another address; what is shown already is not said again."""
    address = tmp_path / "address"
    dead = asyncio.Event()

    async def breaks_off() -> AsyncIterator[bytes]:
        yield STARTS
        output = {"data": ["The fox "], "is_generating": True}
        yield event("process_generating", output=output, success=True)
        await dead.wait()
        raise Cut

    async with faulty_space() as first, faulty_space() as second:
        first.script = breaks_off
        second.script = says(STARTS, completed("The fox is red."), CLOSE)
        address.write_text(first.url)
        space = child_at(address)
        async with started(space):
            life = await space.up()
            stream = provider_of(space).create_async_generator(messages=["what?"], seed=1)
            pieces = []
            async with aclosing(stream) as responses:
                async for response in responses:
                    if isinstance(response, Text):
                        pieces.append(str(response))
                        if len(pieces) == 1:
                            address.write_text(second.url)
                            os.kill(life.pid, signal.SIGKILL)
                            dead.set()
    assert pieces == ["The fox ", "is red."]


async def test_a_failure_of_a_child_that_lives_is_no_reason_to_ask_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.own_space.provider._END_SECONDS", 0.05)
    address = tmp_path / "address"
    address.write_text("http://127.0.0.1:9")
    space = child_at(address)
    async with started(space):
        life = await space.up()
        with pytest.raises(SpaceUnreachable):
            await answers(provider_of(space))
        assert space.life is life


async def test_a_space_with_a_token_lets_in_who_has_it() -> None:
    """Whoever shows another, or none, is told which key to set."""
    options = ("--port", "0", "--with-parent", "--step-delay", "0", "--access-token", "sesame")
    async with started(OwnSpace(command(*options, "--stand-in"))) as space:
        url = (await space.up()).url
        with pytest.raises(SpaceNotFound, match=r"access_token .* \[\[spaces\]\]"):
            await DeepseekAI_JanusPro7b(api_url=url, access_token="other").check()
        with pytest.raises(SpaceNotFound, match=r"access_token .* \[\[spaces\]\]"):
            await DeepseekAI_JanusPro7b(api_url=url).check()
        one = DeepseekAI_JanusPro7b(api_url=url, access_token="sesame")
        drawn = [each async for each in one.create_async_generator(prompt="a fox")]
    assert any(isinstance(each, ImageResponse) for each in drawn)


# The plan ------------------------------------------------------------------------------------

FITS = {
    "fits": True,
    "model": "deepseek-community/Janus-Pro-7B",
    "device": "cuda:0",
    "dtype": "bfloat16",
    "pictures": 5,
    "memory_needed": 17_900_000_000,
    "memory_free": 23_500_000_000,
    "download": 14_800_000_000,
    "seconds_per_drawing": 10.4,
    "reason": "The larger model fits.",
    "alternatives": [],
    "more": "than was agreed on",
}


def planner(told: object, code: int = 0, complaint: str = "") -> tuple[str, ...]:
    """A program that answers like `bot.space --plan --json`."""
    text = told if isinstance(told, str) else json.dumps(told)
    lines = (
        "import sys",
        f"print({text!r})",
        f"print({complaint!r}, file=sys.stderr)",
        f"sys.exit({code})",
    )
    return (sys.executable, "-c", "\n".join(lines))


async def test_the_doctor_says_what_would_be_started() -> None:
    finding = await own_space("auto", planner(FITS))
    assert finding.health is Health.GOOD
    assert finding.what == "Model auto"
    for part in ("Janus-Pro-7B on cuda:0 in bfloat16", "5 pictures", "10 s", "17.9 GB", "14.8 GB"):
        assert part in finding.text


async def test_the_doctor_says_what_would_fit() -> None:
    told = {**FITS, "fits": False, "seconds_per_drawing": None, "alternatives": ["1B would fit."]}
    finding = await own_space("7b", planner(told, 3))
    assert finding.health is Health.BAD
    assert "23.5 GB are free" in finding.text
    assert "1B would fit." in finding.text
    assert '"1b"' in finding.text


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (planner("", 2, "The model needs torch."), "The model needs torch."),
        (planner("", 1), "ended with code 1"),
        (planner("[]"), "ended with code 0"),
        (planner({**FITS, "pictures": "many"}, 3, "odd"), "odd"),
    ],
    ids=["missing packages", "crash", "garbage", "wrong type"],
)
async def test_the_doctor_says_why_there_is_no_plan(program: tuple[str, ...], says: str) -> None:
    finding = await own_space("auto", program)
    assert finding.health is Health.BAD
    assert says in finding.text


async def test_a_planner_that_hangs_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hangs = (
        f"import os, sys, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    with pytest.raises(ModelNotServed, match="did not say within"):
        await make_plan("auto", timeout_seconds=1, program=(sys.executable, "-c", hangs))
    assert not pid.exists() or not is_running(int(pid.read_text()))


async def test_a_planner_that_floods_is_read() -> None:
    noisy = f"import sys; sys.stderr.write('z' * 10_000_000); print({json.dumps(FITS)!r})"
    plan = await make_plan("auto", program=(sys.executable, "-c", noisy))
    assert plan.fits


# The whole bot -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("source", ["file", "environment"])
async def test_a_drawing_is_finished_though_its_space_is_killed(
    source: str, telegram: TelegramServer, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a drawing: the turn waits for the next child, and is answered."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    spaces: list[OwnSpace] = []

    def stand_in(model: str) -> OwnSpace:
        assert model == "auto"
        options = ("--port", "0", "--with-parent", "--step-delay", "0.1")
        spaces.append(OwnSpace(command(*options, "--stand-in"), pauses=Backoff(0.1, 0.1)))
        return spaces[0]

    app = App(configured(source, telegram, tmp_path), own_space=stand_in)
    running = asyncio.create_task(app.run())
    try:
        async with asyncio.timeout(300):
            telegram.say(chat, ann, "/imagine a red fox --seed 42")
            await telegram.wait_for(lambda: "The model is starting" in shown(telegram), 100)
            [space] = spaces
            life = await space.up()
            await telegram.wait_for(lambda: "%" in shown(telegram), 100)
            os.kill(life.pid, signal.SIGKILL)
            await life.over.wait()
            await telegram.wait_for(lambda: len(pictures(telegram, chat)) == 5, 150)
            again = await space.up()
            assert again.url != life.url
    finally:
        app._stop.set()
        assert await running == 0
    assert again.over.is_set()
    assert "seed 42" in str(telegram.replies(chat))


def configured(source: str, telegram: TelegramServer, folder: Path) -> Config:
    """One with a model, from a file or from the environment."""
    path = folder / "config.toml"
    path.write_text('[[spaces]]\nmodel = "auto"\n' if source == "file" else "")
    variables = {} if source == "file" else {"JANUS_BOT_SPACES": '[{"model": "auto"}]'}
    others = {
        "JANUS_BOT_BOT__DATA_DIR": str(folder / "data"),
        "JANUS_BOT_HTTP__ENABLED": "false",
        "JANUS_BOT_TELEGRAM__TOKEN": TOKEN,
        "JANUS_BOT_TELEGRAM__API_URL": telegram.url,
    }
    return load(path, variables | others)


def shown(telegram: TelegramServer) -> str:
    """All that the bot has written so far."""
    return str([call.params for call in telegram.calls])


def pictures(telegram: TelegramServer, chat: Chat) -> list[Any]:
    return [message for message in telegram.replies(chat) if message.get("photo")]


def test_pictures_are_said_to_be_drawn_by_it() -> None:
    """Not by an address that changes with every start."""
    assert OwnJanus(api_url="http://127.0.0.1:1234").name == NAME
