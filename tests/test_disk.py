"""What an SQLite file meets in the world: damage, full disks, folders that cannot be written."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.errors import StorageError
from bot.storage import Storage
from bot.storage.database import open_for_migration, parse
from bot.storage.migrations import check_integrity
from tests.servers.databases import NO_PICTURES, fresh_database

# These start Python again, which can take long when all are busy.
SLOW_MACHINE = pytest.mark.timeout(180)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with all tables."""
    return fresh_database(tmp_path / "janus.sqlite3")


def contents(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def refused(path: Path) -> str:
    with pytest.raises(StorageError) as error:
        async with Storage.open(path, NO_PICTURES):
            pass
    return str(error.value)


async def test_damaged_database_is_a_sentence(path: Path) -> None:
    """A file with garbage in its pages is refused at the start, with what to do."""
    pages = contents(path)
    write(path, pages[:4104] + b"\xa5" * 8184 + pages[12288:])
    sentence = await refused(path)
    assert "damaged" in sentence
    assert "put a copy in its place" in sentence
    assert "sqlite3 FILE .recover" in sentence


async def test_truncated_database_is_a_sentence(path: Path) -> None:
    """So is a file of which the second half is missing."""
    write(path, contents(path)[: path.stat().st_size // 2])
    assert "damaged" in await refused(path)


def test_check_of_a_large_file_is_given_up(path: Path) -> None:
    """What is not checked in time does not keep the bot from starting, nor a later statement."""
    with open_for_migration(parse(path)).begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE large AS WITH RECURSIVE numbers(n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000) "
            "SELECT n, randomblob(1000) FROM numbers"
        )
        check_integrity(connection, seconds=0)
        check_integrity(connection)
        assert connection.exec_driver_sql("SELECT count(*) FROM large").scalar() == 20_000


async def test_another_file_is_a_sentence(path: Path) -> None:
    """A file that is no database is refused, and left as it is."""
    write(path, b"I am a letter to a friend. " * 100)
    assert "not an SQLite database" in await refused(path)
    assert contents(path).startswith(b"I am a letter")


async def test_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A data folder below a file is refused, naming it."""
    (tmp_path / "file").touch()
    sentence = await refused(tmp_path / "file" / "below" / "janus.sqlite3")
    assert "data folder" in sentence
    assert "file" in sentence
    (tmp_path / "folder.sqlite3").mkdir()
    assert "cannot be opened" in await refused(tmp_path / "folder.sqlite3")


# What follows runs in a process with a small disk of its own, which nobody else sees and which is
# gone with the process. Not every system lets one make such a namespace.
SMALL_DISK = """
import asyncio, shutil, subprocess, sys
from dataclasses import replace
from pathlib import Path
from bot.errors import StorageError
from bot.files import File
from bot.storage import PictureStore, Storage
from bot.storage.migrations import migrations_folder
from bot.models import Answer, TurnState
from tests.test_turn_store import a_turn

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", disk], check=True)

def remount(options):
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)

async def refused(attempt):
    try:
        await attempt
    except StorageError as error:
        return str(error)
    raise AssertionError("it went well")

async def opened():
    async with Storage.open(disk / "janus.sqlite3", disk / "images"):
        pass
"""

FULL = """
async def main():
    accepted = []
    async with Storage.open(disk / "janus.sqlite3", disk / "images") as storage:
        async def fill():
            while True:
                turn = a_turn(f"{len(accepted)}", question="x" * 20_000)
                assert await storage.turns.accept(turn)
                accepted.append(turn)
        assert "is full" in await refused(fill())
        picture = storage.pictures.put(File(b"0" * 600_000, "image/png"), turn_id="t")
        assert "is full" in await refused(picture)
        assert len(accepted) > 3
        assert await storage.turns.unfinished() == accepted
        remount("size=4m")
        assert await storage.turns.accept(a_turn("more"))
        owed = replace(accepted[0], answer=Answer(TurnState.DONE, "Yes."))
        await storage.turns.finish(owed, None)
        assert len(await storage.turns.lineage(owed.id, 2)) == 1
    async with Storage.open(disk / "janus.sqlite3", disk / "images") as storage:
        assert len(await storage.turns.unfinished()) == len(accepted) + 1
"""

NO_ROOM_FOR_A_COPY = """
async def main():
    first = disk.parent / "first"
    names = [path.name for path in (migrations_folder() / "versions").glob("*.py")]
    ignored = shutil.ignore_patterns("__pycache__", *sorted(names)[1:])
    shutil.copytree(migrations_folder(), first, ignore=ignored)
    async with Storage.open(disk / "janus.sqlite3", disk / "images", migrations=first):
        pass
    before = (disk / "janus.sqlite3").read_bytes()
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        pass
    sentence = await refused(opened())
    assert "is full" in sentence, sentence
    assert (disk / "janus.sqlite3").read_bytes() == before
    assert not list(disk.glob("*backup*"))
    ballast.unlink()
    await opened()
    assert (disk / "janus.sqlite3.0001.backup").exists()
"""

# A disk cannot become read-only while a file on it is open for writing, so this is told at the
# start; `test_database.py` has what a write is told.
READ_ONLY = """
async def main():
    async with Storage.open(disk / "janus.sqlite3", disk / "images") as storage:
        await storage.turns.accept(a_turn("1"))
    remount("ro")
    sentence = await refused(opened())
    assert "its disk is not mounted read-only" in sentence, sentence
    remount("rw")
    async with Storage.open(disk / "janus.sqlite3", disk / "images") as storage:
        pictures = PictureStore(disk / "elsewhere" / "images", storage.database)
        assert len(await storage.turns.unfinished()) == 1
        elsewhere = disk / "elsewhere"
        elsewhere.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", elsewhere], check=True)
        sentence = await refused(pictures.put(File(b"0", "image/png"), turn_id="t"))
        assert "cannot be written" in sentence, sentence
"""


@SLOW_MACHINE
@pytest.mark.parametrize(
    "story", [FULL, NO_ROOM_FOR_A_COPY, READ_ONLY], ids=["full", "no-copy", "read-only"]
)
async def test_disk_that_takes_nothing_loses_nothing(tmp_path: Path, story: str) -> None:
    """What was accepted stays, trouble is a sentence, and all goes on when the disk does."""
    disk = tmp_path / "disk"
    disk.mkdir()
    alone = ["unshare", "--map-root-user", "--mount"]
    if not possible([*alone, "mount", "-t", "tmpfs", "none", str(disk)]):
        pytest.skip("this system lets nobody mount a disk of their own")
    process = await asyncio.create_subprocess_exec(
        *(*alone, sys.executable, "-c", f"{SMALL_DISK}{story}\nasyncio.run(main())", str(disk)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


def possible(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
