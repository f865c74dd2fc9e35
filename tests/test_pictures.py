from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.errors import StorageError
from bot.files import File, Recipe
from bot.models import Answer, TurnState
from bot.storage import PictureStore, Storage
from bot.storage.schema import images
from tests.pictures import png
from tests.test_turn_store import HERE, a_turn

RECIPE = Recipe("a red fox", 42, 5.0, 1.0, "deepseek-ai/Janus-Pro-7B", 3)


def picture(colour: str = "red", recipe: Recipe | None = None) -> File:
    return File(png(colour), "image/png", recipe=recipe)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def pictures(storage: Storage) -> PictureStore:
    return storage.pictures


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def test_picture_comes_back(pictures: PictureStore, folder: Path, storage: Storage) -> None:
    """A picture is a file named by its SHA-256, with a row that knows it."""
    data, key = png(), hashlib.sha256(png()).hexdigest()
    await pictures.put(picture(), turn_id="t1")
    assert await pictures.get(key) == picture()
    assert (await pictures.get(key)).key == key
    assert files(folder) == [f"{key[:2]}/{key}.png"]
    async with storage.database.read() as connection:
        row = (await connection.execute(select(images))).one()
    assert (row.size, row.width, row.height) == (len(data), 64, 48)


async def test_same_bytes_are_stored_once(pictures: PictureStore, folder: Path) -> None:
    """However often and under whatever claimed type, there is one file and one row."""
    await asyncio.gather(*(pictures.put(picture(), turn_id=f"t{number}") for number in range(10)))
    await pictures.put(File(png(), "image/webp"), turn_id="t")
    assert len(files(folder)) == 1
    assert await pictures.get(picture().key) == picture()


async def test_recipe_is_kept(pictures: PictureStore) -> None:
    """A recipe may come later, and the first one stays."""
    key = picture().key
    await pictures.put(picture(), turn_id="t1")
    assert await pictures.recipe(key) is None
    await pictures.put(picture(recipe=RECIPE), turn_id="t2")
    assert await pictures.recipe(key) == RECIPE
    other = Recipe("other", 1, 1.0, 1.0, "elsewhere")
    await pictures.put(picture(recipe=other), turn_id="t3")
    await pictures.put(picture(), turn_id="t4")
    assert await pictures.recipe(key) == RECIPE
    assert (await pictures.get(key)).recipe == RECIPE
    assert await pictures.recipe("0" * 64) is None


async def test_unknown_picture_is_a_key_error(pictures: PictureStore) -> None:
    """What was never stored is a `KeyError`, a path that leads elsewhere too."""
    for key in ("0" * 64, "../../etc/passwd", ""):
        with pytest.raises(KeyError):
            await pictures.get(key)


async def test_removed_or_damaged_file_is_a_key_error(pictures: PictureStore, folder: Path) -> None:
    """A file that is gone or changed is not handed out; storing it again repairs it."""
    key = picture().key
    await pictures.put(picture(), turn_id="t1")
    file = folder / key[:2] / f"{key}.png"
    file.write_bytes(png()[:-1])
    with pytest.raises(KeyError):
        await pictures.get(key)
    file.unlink()
    with pytest.raises(KeyError):
        await pictures.get(key)
    await pictures.put(picture(), turn_id="t2")
    assert (await pictures.get(key)).data == png()


async def test_bytes_that_cannot_be_measured_are_stored(pictures: PictureStore) -> None:
    """The store judges no pictures: what it cannot measure it keeps without a size."""
    file = File(b"not a picture", "image/png")
    await pictures.put(file, turn_id="t1")
    assert await pictures.get(file.key) == file


async def test_folder_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, storage: Storage
) -> None:
    """Trouble with the disk is a `StorageError`, and no row without a file is left."""
    (tmp_path / "file").touch()
    pictures = PictureStore(tmp_path / "file", storage.database)
    with pytest.raises(StorageError, match="data folder"):
        await pictures.put(picture(), turn_id="t1")
    async with storage.database.read() as connection:
        assert (await connection.execute(select(images))).all() == []


async def test_cancelled_put_leaves_nothing_behind(pictures: PictureStore, folder: Path) -> None:
    """Cancelled at any moment, no half file is under the folder and the next try succeeds."""
    for turn in range(30):
        file = picture(f"#0000{turn:02x}")
        task = asyncio.create_task(pictures.put(file, turn_id="t"))
        for _ in range(turn):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await pictures.put(file, turn_id="t")
        assert await pictures.get(file.key) == file
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(files(folder)) == 30


async def test_export_lists_the_pictures_of_a_channel(
    pictures: PictureStore, storage: Storage
) -> None:
    """An export says what is known of each picture that its turns name."""
    turn = a_turn("1")
    await storage.turns.accept(turn)
    made = picture(recipe=RECIPE)
    await pictures.put(made, turn_id=turn.id)
    await pictures.put(picture("blue"), turn_id="elsewhere")
    owed = turn.to(TurnState.DELIVERING, answer=Answer(TurnState.DONE, "", (made.key,)))
    await storage.turns.finish(owed, None)
    [told] = (await storage.records.export(HERE))["pictures"]
    assert told["key"] == made.key
    assert Recipe.from_json(told["recipe"]) == RECIPE
