"""The command line as people use it: answers on standard output, exit codes, kind sentences."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from bot.models import Address, Ask, ChannelKey, IncomingMessage, Person, Turn
from bot.storage import Storage
from tests.e2e.running_bot import environment, running_bot
from tests.servers.databases import fresh_database
from tests.servers.space import running_space

# One Space serves the whole module, so one event loop does.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

NOWHERE = "http://127.0.0.1:9"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def space_url() -> AsyncIterator[str]:
    async with running_space() as url:
        yield url


@dataclass
class Finished:
    """A command that ended."""

    code: int
    output: str
    errors: str


async def janus(folder: Path, *arguments: str) -> Finished:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=folder,
        env=environment(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, output.decode(), errors.decode())


async def test_ask_prints_the_answer_and_nothing_else(space_url: str, tmp_path: Path) -> None:
    """A pipe gets the words; progress goes to standard error, a line each."""
    Image.new("RGB", (300, 200), "blue").save(tmp_path / "sea.png")
    done = await janus(tmp_path, "ask", "What is it?", "--image", "sea.png", "--space", space_url)
    assert done.code == 0, done.errors
    assert "300" in done.output
    assert "blue" in done.output
    assert "running" in done.errors
    assert "running" not in done.output


async def test_imagine_saves_pictures_with_their_recipe(space_url: str, tmp_path: Path) -> None:
    """Five files; the same seed gives the same pictures beside the first ones, never over them."""
    command = ("imagine", "A red fox!", "--seed", "42", "-o", "out", "--space", space_url)
    first = await janus(tmp_path, *command)
    again = await janus(tmp_path, *command)
    assert (first.code, again.code) == (0, 0), first.errors + again.errors
    paths, copies = first.output.split(), again.output.split()
    assert paths == [f"out/a-red-fox-42-{number}.png" for number in range(1, 6)]
    assert copies == [f"out/a-red-fox-42-{number}-2.png" for number in range(1, 6)]
    for path, copy in zip(paths, copies, strict=True):
        assert (tmp_path / path).read_bytes() == (tmp_path / copy).read_bytes()
    with Image.open(tmp_path / paths[2]) as picture:
        recipe = json.loads(picture.info["recipe"])
    assert recipe["prompt"] == "A red fox!"
    assert (recipe["seed"], recipe["index"]) == (42, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("imagine", "fox", "--seed", "-1"), 2, "--seed"),
        (("imagine", " "), 2, "Tell me what to draw"),
        (("ask", " "), 2, "Ask something"),
        (("ask", "hi", "--space", "nonsense"), 2, "owner/name"),
        (("ask", "hi", "--space", NOWHERE), 1, "cannot be reached"),
        (("ask", "hi", "--image", "no.png"), 2, "no.png"),
        (("export", "nonsense"), 2, "is not a channel"),
        (("export", "web:nobody"), 1, "no database"),
        (("doctor", "--config", "no.toml"), 2, "no.toml"),
        (("unknown",), 2, "unknown"),
    ],
)
async def test_mistakes_are_a_sentence_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """1 for what failed, 2 for what was written wrong; never a traceback."""
    done = await janus(tmp_path, *arguments)
    assert done.code == code
    assert says in done.errors
    assert "Traceback" not in done.errors
    assert done.output == ""


async def test_a_broken_picture_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The Space is not even asked for."""
    (tmp_path / "notes.png").write_text("not a picture")
    done = await janus(tmp_path, "ask", "?", "--image", "notes.png", "--space", NOWHERE)
    assert done.code == 1
    assert "reached" not in done.errors


async def test_doctor_tells_good_from_bad(space_url: str, tmp_path: Path) -> None:
    """Exit code 0 with a Space that answers, 1 with one that does not."""
    config = tmp_path / "config.toml"
    config.write_text(f'[[spaces]]\nurl = "{space_url}"\n')
    good = await janus(tmp_path, "doctor")
    config.write_text(f'[[spaces]]\nurl = "{NOWHERE}"\n')
    bad = await janus(tmp_path, "doctor")
    assert (good.code, bad.code) == (0, 1), good.output + bad.output
    assert "has both functions" in good.output
    assert "✗ Space" in bad.output


async def test_doctor_tells_programs_too(space_url: str, tmp_path: Path) -> None:
    """One object, with the same exit code."""
    (tmp_path / "config.toml").write_text(
        f'[[spaces]]\nurl = "{space_url}"\n[[spaces]]\nurl = "{NOWHERE}"\n'
    )
    done = await janus(tmp_path, "doctor", "--json")
    told = json.loads(done.output)
    assert (done.code, told["healthy"]) == (1, False), done.errors
    health = {each["what"]: each["health"] for each in told["findings"]}
    assert health["Configuration"] == "good"
    assert health[f"Space {space_url}"] == "good"
    assert health[f"Space {NOWHERE}"] == "bad"


async def test_doctor_asks_for_a_plan_and_starts_nothing(tmp_path: Path) -> None:
    """Of a model on this machine it says what `bot.space` says."""
    (tmp_path / "config.toml").write_text('[[spaces]]\nmodel = "auto"\n')
    done = await janus(tmp_path, "doctor")
    assert "Model auto: " in done.output
    assert "own Space starts" not in done.output + done.errors


async def test_export_writes_a_channel_and_names_the_file_after_it(tmp_path: Path) -> None:
    """Everything that was asked there, as JSON."""
    key = ChannelKey("telegram", ("-100", "7"))
    ann = Person("telegram", "1", "Ann")
    message = IncomingMessage(key, ann, "5", Address("telegram", "-100", {"secret": "x"}))
    file = fresh_database(tmp_path / "data/janus.sqlite3")
    async with Storage.open(file, tmp_path / "data/images") as storage:
        await storage.turns.accept(Turn.accept(message, Ask("What now?")))
    done = await janus(tmp_path, "export", str(key))
    assert done.code == 0, done.errors
    data = json.loads((tmp_path / "telegram_-100_7.json").read_text())
    assert data["turns"][0]["command"]["question"] == "What now?"
    assert "secret" not in str(data)


async def test_a_second_bot_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """Two would both resume the same turns."""
    async with running_bot(tmp_path, SPACES=json.dumps([{"url": NOWHERE}])) as bot:
        await bot.logged("web chat open")
        second = await janus(tmp_path, "run")
    assert second.code == 1
    assert "Another janus-bot is running" in second.errors
