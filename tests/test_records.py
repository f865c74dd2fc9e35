"""What is stored can be counted, taken along and deleted, on every database."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from bot.files import Recipe
from bot.models import Answer, ChannelKey, Counts, Imagine, Person, Turn, TurnState
from bot.storage import RecordStore, Storage
from tests.pictures import png
from tests.servers.databases import fresh_database
from tests.test_pictures import files, picture
from tests.test_turn_store import HERE, THERE, a_turn

ANN = Person("telegram", "42", "Ann", "en")
BOB = Person("telegram", "43", "Bob", "en")
DAY = 86_400.0
COLOURS = ("red", "green", "blue", "black")


class Kept:
    """A storage that is asked and draws."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.pictures = storage.pictures
        self.records: RecordStore = storage.records

    async def asked(
        self, number: str, person: Person = ANN, channel: ChannelKey = HERE, *, colour: str = "red"
    ) -> Turn:
        """A finished question about a picture of one colour."""
        turn = replace(a_turn(number, channel, f"HUSH {number}"), person=person)
        assert await self.storage.turns.accept(turn)
        shown = picture(colour)
        await self.pictures.put(shown, turn_id=turn.id)
        turn = replace(turn, pictures=(shown.key,))
        return await self._answered(turn, Answer(TurnState.DONE, "Yes."))

    async def drew(self, number: str, person: Person = ANN, *, colour: str = "blue") -> Turn:
        """A finished drawing of one picture."""
        turn = replace(a_turn(number), person=person, command=Imagine(f"HUSH {number}"))
        assert await self.storage.turns.accept(turn)
        recipe = Recipe(f"HUSH {number}", 7, 5.0, 1.0, "here")
        made = picture(colour, recipe)
        await self.pictures.put(made, turn_id=turn.id)
        return await self._answered(turn, Answer(TurnState.DONE, "seed 7", (made.key,)))

    async def _answered(self, turn: Turn, answer: Answer) -> Turn:
        owed = replace(turn, state=TurnState.DELIVERING, answer=answer)
        await self.storage.turns.finish(owed, None)
        ended = owed.to(answer.outcome)
        await self.storage.turns.save(ended)
        return ended


@pytest.fixture
def kept(storage: Storage) -> Kept:
    return Kept(storage)


def stored(folder: Path) -> int:
    return len(files(folder / "images"))


async def test_counts_are_of_a_channel_a_person_or_both(kept: Kept) -> None:
    """Each picture counts once, however often it was shown."""
    await kept.asked("1")
    await kept.asked("2", BOB)
    await kept.drew("3")
    await kept.asked("4", channel=THERE, colour="green")
    red, blue, green = (len(png(colour)) for colour in ("red", "blue", "green"))

    def counted(questions: int, drawings: int, pictures: int, size: int, people: int) -> Counts:
        return Counts(questions, drawings, pictures, size, people, a_turn("").accepted_at)

    counts = kept.records.counts
    assert await counts(HERE, None) == counted(2, 1, 2, red + blue, 2)
    assert await counts(None, ANN) == counted(2, 1, 3, red + blue + green, 1)
    assert await counts(HERE, BOB) == counted(1, 0, 1, red, 1)
    assert await counts(None, None) == counted(3, 1, 3, red + blue + green, 2)
    assert await counts(THERE, BOB) == Counts(0, 0, 0, 0, 0, None)


async def test_the_archive_holds_everything_but_secrets(kept: Kept) -> None:
    """To read, for programs, and the pictures themselves; a lost one is said to be lost."""
    await kept.asked("1")
    drawn = await kept.drew("2")
    assert drawn.answer is not None
    archive = zipfile.ZipFile(io.BytesIO(await kept.records.archive(HERE)))
    pictures = [name for name in archive.namelist() if name.startswith("images/")]
    assert sorted(archive.read(name) for name in pictures) == sorted([png("red"), png("blue")])
    data = json.loads(archive.read("data.json"))
    assert [turn["command"]["kind"] for turn in data["turns"]] == ["ask", "imagine"]
    markdown = archive.read("conversation.md").decode()
    assert "HUSH 1" in markdown
    assert all(name in markdown for name in pictures)
    assert "SECRET" not in json.dumps(data) + markdown

    kept.pictures.path(drawn.answer.pictures[0], "image/png").unlink()
    archive = zipfile.ZipFile(io.BytesIO(await kept.records.archive(HERE)))
    assert len([name for name in archive.namelist() if name.startswith("images/")]) == 1
    assert archive.read("conversation.md").decode() != markdown


async def test_the_archive_of_an_unknown_channel_is_empty(kept: Kept) -> None:
    """Nothing was said there, and that is no error."""
    archive = zipfile.ZipFile(io.BytesIO(await kept.records.archive(THERE)))
    assert sorted(archive.namelist()) == ["conversation.md", "data.json"]


async def test_a_person_is_forgotten_and_others_are_not(kept: Kept, tmp_path: Path) -> None:
    """In all channels; a picture that somebody else was shown as well stays."""
    await kept.asked("1")
    await kept.asked("2", BOB)
    await kept.drew("3")
    await kept.asked("4", channel=THERE, colour="green")
    receipt = await kept.records.forget_person(ANN)
    assert (receipt.questions, receipt.drawings, receipt.pictures) == (2, 1, 2)
    assert receipt.size == len(png("blue")) + len(png("green"))
    assert await kept.records.counts(None, ANN) == Counts(0, 0, 0, 0, 0, None)
    assert (await kept.records.counts(HERE, BOB)).questions == 1
    assert stored(tmp_path) == 1
    assert await kept.records.forget_person(ANN) == Counts(0, 0, 0, 0, 0, None)


async def test_a_recipe_goes_with_whoever_made_it(kept: Kept) -> None:
    """The picture may have been shown to others, but what was asked for is its maker's."""
    drawn = await kept.drew("1", colour="red")
    assert drawn.answer is not None
    await kept.asked("2", BOB, colour="red")
    await kept.records.forget_person(ANN)
    assert await kept.pictures.get(drawn.answer.pictures[0]) == picture("red")
    assert await kept.pictures.recipe(drawn.answer.pictures[0]) is None


async def test_a_channel_is_forgotten_with_its_settings(kept: Kept, tmp_path: Path) -> None:
    """The next word there is the first; other channels notice nothing."""
    await kept.asked("1")
    await kept.asked("2", BOB, THERE)
    await kept.storage.channels.save_settings(str(HERE), {"language": "ru"})
    receipt = await kept.records.forget_channel(HERE)
    assert (receipt.questions, receipt.pictures, receipt.people) == (1, 0, 1)
    assert await kept.storage.channels.settings(str(HERE)) == {}
    assert (await kept.records.counts(THERE, None)).questions == 1
    assert stored(tmp_path) == 1
    await kept.asked("1")
    assert (await kept.records.counts(HERE, None)).questions == 1


async def test_nothing_of_it_is_left_in_the_files(tmp_path: Path) -> None:
    """Free pages and the log of SQLite are overwritten; nobody reads it there afterwards."""
    path = fresh_database(tmp_path / "read.sqlite3")

    def found() -> bool:
        return any(b"HUSH" in file.read_bytes() for file in tmp_path.glob("read.sqlite3*"))

    async with Storage.open(path, tmp_path / "images") as storage:
        here = Kept(storage)
        for number in range(5):
            await here.asked(f"n{number}")
        assert found()
        await here.records.forget_person(ANN)
        assert not found()
    assert not found()


async def test_retention_is_the_channels_own_or_the_default(kept: Kept) -> None:
    """Old requests go with their pictures; unfinished ones stay, however old."""
    old, new = await kept.asked("1"), await kept.asked("2", channel=THERE)
    waiting = a_turn("3")
    assert await kept.storage.turns.accept(waiting)
    assert await kept.records.expired(0) == 0
    await kept.storage.channels.save_settings(str(THERE), {"retention": 100_000})
    assert await kept.records.expired(30) == 1
    assert (await kept.records.counts(HERE, None)).questions == 1
    assert [turn.id for turn in await kept.storage.turns.unfinished()] == [waiting.id]
    assert (await kept.records.counts(THERE, None)).questions == 1
    assert old.pictures == new.pictures
    assert await kept.pictures.get(new.pictures[0]) == picture("red")


async def test_leftovers_are_found_a_day_later(kept: Kept, tmp_path: Path) -> None:
    """Files without a row, as a crash in between leaves them; young ones may yet get theirs."""
    await kept.asked("1")
    folder = tmp_path / "images" / "ab"
    folder.mkdir()
    lost, young, other = (folder / f"{name}.png" for name in ("a" * 64, "b" * 64, "holiday"))
    for file in (lost, young, other):
        file.write_bytes(png())
    for file in (lost, other):
        os.utime(file, (time.time() - 2 * DAY,) * 2)
    assert await kept.records.expired(0) == 0
    assert not lost.exists()
    assert young.exists()
    assert other.exists()


async def test_the_oldest_pictures_make_room(kept: Kept, tmp_path: Path) -> None:
    """Down to the limit and not beyond it; the answers stay."""
    turns = [await kept.asked(str(n), colour=colour) for n, colour in enumerate(COLOURS)]
    size = sum(len(png(colour)) for colour in COLOURS)
    assert await kept.records.trim(0) == 0
    assert await kept.records.trim(size) == 0
    assert await kept.records.trim(size - 1) == 1
    with pytest.raises(KeyError):
        await kept.pictures.get(turns[0].pictures[0])
    assert await kept.pictures.get(turns[1].pictures[0]) == picture(COLOURS[1])
    assert await kept.records.trim(1) == len(COLOURS) - 1
    assert stored(tmp_path) == 0
    assert (await kept.records.counts(HERE, None)).questions == len(COLOURS)
