from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from bot.errors import StorageError
from bot.files import Recipe
from bot.models import Answer, TurnState
from bot.storage import Database, Pictures, Store
from bot.storage.schema import images
from tests.test_store import HERE, a_turn

RECIPE = Recipe("a red fox", 42, 5.0, 1.0, "deepseek-ai/Janus-Pro-7B", 3)


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
async def database(where: str) -> AsyncIterator[Database]:
    async with Database.open(where) as database:
        yield database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def pictures(folder: Path, database: Database) -> Pictures:
    return Pictures(folder, database)


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def test_picture_comes_back(pictures: Pictures, folder: Path, database: Database) -> None:
    """A picture is a file named by its SHA-256, with a row that knows it."""
    data = png()
    key = await pictures.put(data, "image/png", turn_id="t1")
    assert key == hashlib.sha256(data).hexdigest()
    assert await pictures.get(key) == (data, "image/png")
    assert files(folder) == [f"{key[:2]}/{key}.png"]
    async with database.read() as connection:
        row = (await connection.execute(select(images))).one()
    assert (row.size, row.width, row.height, row.turn_id) == (len(data), 6, 4, "t1")


async def test_same_bytes_are_stored_once(pictures: Pictures, folder: Path) -> None:
    """However often and under whatever claimed type, there is one file and one row."""
    keys = await asyncio.gather(
        *(pictures.put(png(), "image/png", turn_id=f"t{number}") for number in range(10))
    )
    keys.append(await pictures.put(png(), "image/webp", turn_id="t"))
    assert len(set(keys)) == 1
    assert len(files(folder)) == 1
    assert await pictures.get(keys[0]) == (png(), "image/png")


async def test_recipe_is_kept(pictures: Pictures) -> None:
    """A recipe may come later, and the first one stays."""
    key = await pictures.put(png(), "image/png", turn_id="t1")
    assert await pictures.recipe(key) is None
    await pictures.put(png(), "image/png", turn_id="t2", recipe=RECIPE)
    assert await pictures.recipe(key) == RECIPE
    await pictures.put(
        png(), "image/png", turn_id="t3", recipe=Recipe("other", 1, 1.0, 1.0, "elsewhere")
    )
    await pictures.put(png(), "image/png", turn_id="t4")
    assert await pictures.recipe(key) == RECIPE
    assert await pictures.recipe("0" * 64) is None


async def test_unknown_picture_is_a_key_error(pictures: Pictures) -> None:
    """What was never stored is a `KeyError`, a path that leads elsewhere too."""
    for key in ("0" * 64, "../../etc/passwd", ""):
        with pytest.raises(KeyError):
            await pictures.get(key)


async def test_removed_or_damaged_file_is_a_key_error(pictures: Pictures, folder: Path) -> None:
    """A file that is gone or changed is not handed out; storing it again repairs it."""
    key = await pictures.put(png(), "image/png", turn_id="t1")
    file = folder / key[:2] / f"{key}.png"
    file.write_bytes(png()[:-1])
    with pytest.raises(KeyError):
        await pictures.get(key)
    file.unlink()
    with pytest.raises(KeyError):
        await pictures.get(key)
    await pictures.put(png(), "image/png", turn_id="t2")
    assert (await pictures.get(key))[0] == png()


async def test_bytes_that_cannot_be_measured_are_stored(pictures: Pictures) -> None:
    """The store judges no pictures: what it cannot measure it keeps without a size."""
    key = await pictures.put(b"not a picture", "image/png", turn_id="t1")
    assert (await pictures.get(key))[0] == b"not a picture"


async def test_folder_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, database: Database
) -> None:
    """Trouble with the disk is a `StorageError`, and no row without a file is left."""
    (tmp_path / "file").touch()
    pictures = Pictures(tmp_path / "file", database)
    with pytest.raises(StorageError, match="data folder"):
        await pictures.put(png(), "image/png", turn_id="t1")
    async with database.read() as connection:
        assert (await connection.execute(select(images))).all() == []


async def test_cancelled_put_leaves_nothing_behind(pictures: Pictures, folder: Path) -> None:
    """Cancelled at any moment, no half file is under the folder and the next try succeeds."""
    for turn in range(30):
        data = png(f"#0000{turn:02x}")
        task = asyncio.create_task(pictures.put(data, "image/png", turn_id="t"))
        for _ in range(turn):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        key = await pictures.put(data, "image/png", turn_id="t")
        assert await pictures.get(key) == (data, "image/png")
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(files(folder)) == 30


async def test_export_lists_the_pictures_of_a_channel(
    pictures: Pictures, database: Database
) -> None:
    """An export says what is known of each picture that its turns name."""
    store = Store(database)
    turn = a_turn("1")
    await store.accept(turn)
    key = await pictures.put(png(), "image/png", turn_id=turn.id, recipe=RECIPE)
    await pictures.put(png("blue"), "image/png", turn_id="elsewhere")
    owed = turn.to(TurnState.DELIVERING, answer=Answer(TurnState.DONE, "", (key,)))
    await store.finish(owed, None)
    [told] = (await store.export(HERE))["pictures"]
    assert told["key"] == key
    assert Recipe.from_json(told["recipe"]) == RECIPE
