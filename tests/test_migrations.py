from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from bot.errors import SchemaTooNew, StorageError
from bot.storage import Database, Store
from bot.storage.__main__ import differences, main
from bot.storage.engines import parse
from bot.storage.migrate import migrate, migrations_folder
from bot.storage.schema import metadata
from tests.test_store import HERE, a_turn

SLOW_MACHINE = pytest.mark.timeout(
    180
)  # starts Python again, which can take long when all are busy

NEXT = """
import os, signal
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"

def upgrade():
    with op.batch_alter_table("turns") as turns:
        turns.add_column(sa.Column("mood", sa.Text(), nullable=True))
    {end}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "janus.sqlite3"


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder of migrations with one more than this program has, which says how it ends."""
    folder = tmp_path / "migrations 100%"
    shutil.copytree(migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def contents(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def add(folder: Path, end: str = "") -> None:
    (folder / "versions" / "0002_mood.py").write_text(NEXT.format(end=end))


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def columns(path: Path) -> set[object]:
    return {row[1] for row in rows(path, "PRAGMA table_info(turns)")}


async def seeded(path: Path) -> None:
    """A database of the oldest schema with one turn in it."""
    async with Database.open(path) as database:
        assert await Store(database).accept(a_turn("1"))


def test_migrations_make_the_tables_of_the_schema() -> None:
    """From nothing, the migrations lead to exactly what `schema` says."""
    assert differences() == []
    assert main() == 0


def test_a_forgotten_migration_is_found(newer: Path) -> None:
    """The check names what the migrations and the tables disagree on."""
    add(newer)
    [found] = differences(newer)
    assert "mood" in str(found)


async def test_blank_database_is_made_with_its_folder(path: Path) -> None:
    """The first start makes folder and file, and leaves no copy of nothing."""
    await seeded(path)
    assert rows(path, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_opening_again_changes_nothing(path: Path) -> None:
    """A database of the present schema is opened as it is."""
    await seeded(path)
    async with Database.open(f"sqlite:///{path}") as database:
        assert len(await Store(database).unfinished()) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_old_database_is_migrated_and_a_copy_kept(path: Path, newer: Path) -> None:
    """From the oldest schema: rows stay, the column comes, the copy is the database as it was."""
    await seeded(path)
    add(newer)
    async with Database.open(path, migrations=newer) as database:
        [turn] = await Store(database).unfinished()
    assert turn.message_id == "1"
    assert "mood" in columns(path)
    copy = path.with_name("janus.sqlite3.0001.backup")
    assert "mood" not in columns(copy)
    async with Database.open(copy) as database:
        assert (await Store(database).newest(HERE)) == turn


async def test_newer_schema_is_refused(path: Path, newer: Path) -> None:
    """A database of a later version is refused with what to do, and left alone."""
    add(newer)
    async with Database.open(path, migrations=newer):
        pass
    before = contents(path)
    with pytest.raises(
        SchemaTooNew, match=r"newer version of this program .schema 0002, known here is 0001"
    ):
        async with Database.open(path):
            pass
    assert contents(path) == before


@pytest.mark.parametrize(
    "end",
    ["raise RuntimeError('a bug')", "op.execute('INSERT INTO segments VALUES (1, 1, 1, 1)')"],
)
async def test_failed_migration_leaves_the_old_schema(path: Path, newer: Path, end: str) -> None:
    """A migration that raises, or breaks a reference, is undone as a whole."""
    await seeded(path)
    before = columns(path)
    add(newer, end)
    with pytest.raises((RuntimeError, StorageError), match=r"a bug|segments"):
        async with Database.open(path, migrations=newer):
            pass
    assert columns(path) == before
    await reopened(path)


@SLOW_MACHINE
async def test_killed_migration_leaves_the_old_schema(path: Path, newer: Path) -> None:
    """A process killed in the middle of a migration leaves the database as it was."""
    await seeded(path)
    before = columns(path)
    add(newer, "os.kill(os.getpid(), signal.SIGKILL)")
    assert await in_a_process(path, newer) == -signal.SIGKILL
    assert columns(path) == before
    await reopened(path)


@SLOW_MACHINE
async def test_two_processes_may_start_at_once(path: Path) -> None:
    """Both find or make the present schema, in a file with a write-ahead log."""
    codes = await asyncio.gather(*(in_a_process(path, migrations_folder()) for _ in range(2)))
    assert codes == [0, 0]
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    async with Database.open(path) as database:
        assert await Store(database).unfinished() == []


async def reopened(path: Path) -> None:
    async with Database.open(path) as database:
        assert len(await Store(database).unfinished()) == 1


async def in_a_process(path: Path, folder: Path) -> int:
    code = (
        "import asyncio, sys; from pathlib import Path; from bot.storage import Database\n"
        "async def main():\n"
        "    async with Database.open(Path(sys.argv[1]), migrations=Path(sys.argv[2])): pass\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", code, str(path), str(folder)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    return await process.wait()


async def test_damaged_database_is_a_sentence(path: Path) -> None:
    """A file with garbage in its pages is refused at the start."""
    await seeded(path)
    pages = contents(path)
    write(path, pages[:4104] + b"\xa5" * 8184 + pages[12288:])
    with pytest.raises(StorageError, match="damaged"):
        async with Database.open(path):
            pass


async def test_another_file_is_a_sentence(path: Path) -> None:
    """A file that is no database is refused, and left as it is."""
    write(path, b"I am a letter to a friend. " * 100)
    with pytest.raises(StorageError, match="not an SQLite database"):
        async with Database.open(path):
            pass
    assert contents(path).startswith(b"I am a letter")


async def test_another_programs_tables_are_a_sentence(path: Path) -> None:
    """A database in which somebody else has a table of the same name is refused."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE messages (id)")
    with pytest.raises(StorageError, match=r"did not make: messages\."):
        async with Database.open(path):
            pass


async def test_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A data folder below a file is refused, naming it."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"data folder.*file"):
        async with Database.open(tmp_path / "file" / "below" / "janus.sqlite3"):
            pass
    (tmp_path / "folder.sqlite3").mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        async with Database.open(tmp_path / "folder.sqlite3"):
            pass


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("janus.sqlite3", "cannot be read"),
        ("sqlite://", "names no file"),
        ("mysql://name:SECRET@host/janus", "mysql is not supported"),
    ],
)
def test_other_addresses_are_refused(url: str, sentence: str) -> None:
    """What is no SQLite file and no PostgreSQL server is refused, without its password."""
    with pytest.raises(StorageError, match=sentence) as refused:
        parse(url)
    assert "SECRET" not in str(refused.value)


def test_missing_driver_is_a_sentence() -> None:
    """PostgreSQL without its driver says what to install."""
    if importlib.util.find_spec("psycopg") is not None:
        pytest.skip("the driver is installed here")
    with pytest.raises(StorageError, match="psycopg"):
        migrate(parse("postgresql://localhost/janus"))


def test_tables_can_be_made_on_postgresql() -> None:
    """Types, names and indexes of the schema are ones that PostgreSQL knows."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            name = str(index.name)
            assert name in str(CreateIndex(index).compile(dialect=dialect))
            assert len(name) < 64
    turns = str(CreateTable(metadata.tables["turns"]).compile(dialect=dialect))
    assert "position BIGSERIAL" in turns
