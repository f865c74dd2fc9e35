from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from bot.errors import SchemaTooNew, StorageError
from bot.models import ChannelKey
from bot.storage import Database, Store
from bot.storage.__main__ import differences, main
from bot.storage.engines import file_of, open_for_migration, parse
from bot.storage.migrate import migrate, migrations_folder, revisions
from bot.storage.schema import metadata
from tests.test_store import HERE, a_turn

# These start Python again, or wait for a server, which can take long when all are busy.
SLOW_MACHINE = pytest.mark.timeout(180)

NEWEST = revisions()[-1]

NEXT = """
import os, signal
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9000", "{newest}"

def upgrade():
    with op.batch_alter_table("turns") as turns:
        turns.add_column(sa.Column("mood", sa.Text(), nullable=True))
    {end}
"""

OLDEST_ROWS = """
INSERT INTO channels VALUES ('telegram:7', 1, '{"version": 1}', 5);
INSERT INTO turns VALUES (3, 't1', 'telegram:7', 1, '11', 'telegram', '42', 'Ann', 'en',
    '{"kind": "ask", "question": "Why?"}', '{"platform": "telegram", "chat": "7", "data": {}}',
    '[]', NULL, 7, 'delivering', 1, '[]',
    '{"outcome": "done", "text": "So.", "pictures": []}', 5.5, 6.5);
INSERT INTO messages VALUES (1, 'telegram:7', 1, 't1', 'user', 'Ann', 'Why?', '[]', 6);
INSERT INTO messages VALUES (2, 'telegram:7', 1, 't1', 'assistant', '', 'So.', '[]', 6);
INSERT INTO segments VALUES ('t1', 0, '{"id": "12"}', 'd');
INSERT INTO reply_messages VALUES ('telegram:7', '12', 't1');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "janus.sqlite3"


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder of migrations to which a test adds one that this program does not have."""
    folder = tmp_path / "migrations 100%"
    shutil.copytree(migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def oldest(tmp_path: Path) -> Path:
    """A folder with the first migration only."""
    folder = tmp_path / "oldest"
    others = [f"{revision}_*" for revision in revisions()[1:]]
    shutil.copytree(migrations_folder(), folder, ignore=shutil.ignore_patterns(*others))
    return folder


def add(folder: Path, end: str = "") -> None:
    (folder / "versions" / "9000_mood.py").write_text(NEXT.format(newest=NEWEST, end=end))


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with open_for_migration(parse(url)).begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def columns(url: str) -> set[str]:
    with open_for_migration(parse(url)).connect() as connection:
        return {column["name"] for column in inspect(connection).get_columns("turns")}


async def seeded(url: str) -> None:
    """A database of the present schema with one turn in it."""
    async with Database.open(url) as database:
        assert await Store(database).accept(a_turn("1"))


async def reopened(url: str) -> None:
    async with Database.open(url) as database:
        assert len(await Store(database).unfinished()) == 1


def test_migrations_make_the_tables_of_the_schema(blank: str) -> None:
    """From nothing, the migrations lead to exactly what `schema` says."""
    assert differences(parse(blank)) == []


def test_the_command_compares_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m bot.storage` ends with 0 and no word where there is nothing to say."""
    assert main() == 0
    assert capsys.readouterr().err == ""


def test_a_forgotten_migration_is_found(newer: Path) -> None:
    """The check names what the migrations and the tables disagree on."""
    add(newer)
    [found] = differences(folder=newer)
    assert "mood" in str(found)


def test_file_names_say_the_revisions() -> None:
    """Whether anything is to be migrated is known from the names, without Alembic."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    script = ScriptDirectory.from_config(config)
    chain = [each.revision for each in script.walk_revisions()]
    assert revisions() == chain[::-1]
    assert script.get_heads() == [NEWEST]


async def test_blank_database_is_made_with_its_folder(path: Path) -> None:
    """The first start makes folder and file, and leaves no copy of nothing."""
    await seeded(f"sqlite:///{path}")
    assert rows(f"sqlite:///{path}", "SELECT version_num FROM alembic_version") == [(NEWEST,)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_opening_again_changes_nothing(path: Path) -> None:
    """A database of the present schema is opened as it is, by path as well as by URL."""
    await seeded(f"sqlite:///{path}")
    async with Database.open(path) as database:
        assert len(await Store(database).unfinished()) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_oldest_database_is_migrated_with_its_rows(blank: str, oldest: Path) -> None:
    """What the first version of the schema held is all there in the present one."""
    migrate(parse(blank), oldest)
    with open_for_migration(parse(blank)).begin() as connection:
        for statement in OLDEST_ROWS.strip().split(";\n"):
            connection.exec_driver_sql(statement.rstrip(";"))
    async with Database.open(blank) as database:
        store = Store(database)
        [turn] = await store.unfinished()
        assert (turn.id, turn.message_id, turn.parked_until) == ("t1", "11", None)
        assert await store.segments("t1") == [(0, {"id": "12"}, "d", None)]
        [exchange] = await store.history(ChannelKey("telegram", ("7",)), 2)
        assert (exchange.question, exchange.answer) == ("Why?", "So.")
        assert await store.turn_of_message(turn.channel, "12") == turn
        assert await store.accept(a_turn("1", turn.channel))
        await store.begin_segment("t1", 1, {"after": "12"}, "e")
    assert differences(parse(blank)) == []


async def test_copy_is_kept_before_a_migration(path: Path, newer: Path) -> None:
    """Rows stay, the column comes, and the copy is the database as it was."""
    url, copy = f"sqlite:///{path}", path.with_name(f"janus.sqlite3.{NEWEST}.backup")
    await seeded(url)
    add(newer)
    async with Database.open(path, migrations=newer) as database:
        [turn] = await Store(database).unfinished()
    assert turn.message_id == "1"
    assert "mood" in columns(url)
    assert "mood" not in columns(f"sqlite:///{copy}")
    async with Database.open(copy) as database:
        assert (await Store(database).newest(HERE)) == turn


async def test_newer_schema_is_refused(blank: str, newer: Path) -> None:
    """A database of a later version is refused with what to do, and left alone."""
    add(newer)
    async with Database.open(blank, migrations=newer):
        pass
    file = file_of(parse(blank))
    before = (columns(blank), file and file.read_bytes())
    with pytest.raises(
        SchemaTooNew,
        match=rf"newer version of this program .schema 9000, known here is {NEWEST}",
    ):
        async with Database.open(blank):
            pass
    assert (columns(blank), file and file.read_bytes()) == before


async def test_failed_migration_leaves_the_old_schema(blank: str, newer: Path) -> None:
    """A migration that raises is undone as a whole."""
    await seeded(blank)
    before = columns(blank)
    add(newer, "raise RuntimeError('a bug')")
    with pytest.raises(RuntimeError, match="a bug"):
        async with Database.open(blank, migrations=newer):
            pass
    assert columns(blank) == before
    await reopened(blank)


async def test_migration_that_breaks_a_reference_is_undone(path: Path, newer: Path) -> None:
    """While SQLite changes tables it enforces no references, so they are looked at afterwards."""
    await seeded(f"sqlite:///{path}")
    before = columns(f"sqlite:///{path}")
    add(newer, "op.execute('INSERT INTO segments VALUES (1, 1, 1, 1, 1)')")
    with pytest.raises(StorageError, match="rows of segments"):
        async with Database.open(path, migrations=newer):
            pass
    assert columns(f"sqlite:///{path}") == before
    await reopened(f"sqlite:///{path}")


@SLOW_MACHINE
async def test_killed_migration_leaves_the_old_schema(blank: str, newer: Path) -> None:
    """A process killed in the middle of a migration leaves the database as it was."""
    await seeded(blank)
    before = columns(blank)
    add(newer, "os.kill(os.getpid(), signal.SIGKILL)")
    assert await in_a_process(blank, newer) == -signal.SIGKILL
    assert columns(blank) == before
    await reopened(blank)


@SLOW_MACHINE
async def test_several_processes_may_start_at_once(blank: str) -> None:
    """All find or make the present schema, an SQLite file with a write-ahead log."""
    codes = await asyncio.gather(*(in_a_process(blank, migrations_folder()) for _ in range(3)))
    assert codes == [0, 0, 0]
    if file_of(parse(blank)):
        assert rows(blank, "PRAGMA journal_mode") == [("wal",)]
    async with Database.open(blank) as database:
        assert await Store(database).unfinished() == []


@SLOW_MACHINE
async def test_start_on_the_present_schema_needs_no_alembic(blank: str) -> None:
    """Its import takes longer than the rest of the start."""
    await seeded(blank)
    assert (
        await in_a_process(blank, migrations_folder(), "assert 'alembic' not in sys.modules") == 0
    )


async def in_a_process(url: str, folder: Path, check: str = "pass") -> int:
    code = (
        "import asyncio, sys; from pathlib import Path; from bot.storage import Database\n"
        "async def main():\n"
        f"    async with Database.open(sys.argv[1], migrations=Path(sys.argv[2])): {check}\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", code, url, str(folder)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    return await process.wait()


async def test_another_programs_tables_are_a_sentence(blank: str) -> None:
    """A database in which somebody else has a table of the same name is refused."""
    if file := file_of(parse(blank)):
        file.parent.mkdir()
    with open_for_migration(parse(blank)).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE messages (id INTEGER)")
    with pytest.raises(StorageError, match=r"did not make: messages\."):
        async with Database.open(blank):
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


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_servers_are_asked_through_one_driver(scheme: str) -> None:
    """Hosts write their addresses in several ways."""
    assert parse(f"{scheme}://host/janus").drivername == "postgresql+psycopg"


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
