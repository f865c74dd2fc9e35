from __future__ import annotations

import asyncio
import importlib.util
import json
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
from bot.models import Person, Segment
from bot.storage import Storage
from bot.storage.__main__ import differences, main
from bot.storage.database import file_of, open_for_migration, parse
from bot.storage.migrations import migrate, migrations_folder, revisions
from bot.storage.schema import metadata
from tests.servers.databases import NO_PICTURES
from tests.test_turn_store import HERE, a_turn, history

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


TOLD = """
INSERT INTO messages (channel, epoch, turn_id, role, author, text, pictures, created_at)
    VALUES ('telegram:7', 0, 'TURN', 'user', 'Ann', 'Why TURN?', '[]', 6);
INSERT INTO messages (channel, epoch, turn_id, role, author, text, pictures, created_at)
    VALUES ('telegram:7', 0, 'TURN', 'assistant', '', 'Because TURN.', '[]', 6);
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


def migrations_up_to(revision: str, folder: Path) -> Path:
    """A folder with the migrations to a revision only."""
    later = [f"{each}_*" for each in revisions() if each > revision]
    shutil.copytree(migrations_folder(), folder, ignore=shutil.ignore_patterns(*later))
    return folder


def execute(url: str, statements: str) -> None:
    """Run statements, each of which ends with a semicolon and a line end."""
    with open_for_migration(parse(url)).begin() as connection:
        for statement in statements.strip().split(";\n"):
            connection.exec_driver_sql(statement.rstrip(";"))


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
    async with Storage.open(url, NO_PICTURES) as storage:
        assert await storage.turns.accept(a_turn("1"))


async def reopened(url: str) -> None:
    async with Storage.open(url, NO_PICTURES) as storage:
        assert len(await storage.turns.unfinished()) == 1


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
    async with Storage.open(path, NO_PICTURES) as storage:
        assert len(await storage.turns.unfinished()) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def structure(url: str) -> dict[str, object]:
    """Everything about the tables that a database tells of itself, whatever its order."""
    inspector = inspect(open_for_migration(parse(url)))
    found: dict[str, object] = {}
    for table in inspector.get_table_names():
        columns = {
            column["name"]: (str(column["type"]), column["nullable"], column["default"])
            for column in inspector.get_columns(table)
        }
        rest = [
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(inspector.get_foreign_keys(table), key=str),
            sorted(inspector.get_indexes(table), key=str),
            sorted(inspector.get_unique_constraints(table), key=str),
        ]
        found[table] = (columns, rest)
    return found


def test_a_new_database_is_what_the_migrations_lead_to(blank: str) -> None:
    """Its tables are made at once, without Alembic, and are the same down to the last default."""
    migrate(parse(blank))
    made = structure(blank)
    with open_for_migration(parse(blank)).begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    migrate(parse(blank), migrations_folder())
    assert structure(blank) == made


async def test_oldest_database_is_migrated_with_its_rows(blank: str, tmp_path: Path) -> None:
    """What the first version of the schema held is all there in the present one."""
    migrate(parse(blank), migrations_up_to("0001", tmp_path / "oldest"))
    execute(blank, OLDEST_ROWS)
    async with Storage.open(blank, NO_PICTURES) as storage:
        [turn] = await storage.turns.unfinished()
        assert (turn.id, turn.message_id, turn.parked_until) == ("t1", "11", None)
        assert await storage.segments.of_turn("t1") == [Segment({"id": "12"}, "d")]
        [exchange] = await history(storage, turn.channel, 2)
        assert (exchange.question, exchange.answer) == ("Why?", "So.")
        assert await storage.turns.of_message(turn.channel, "12") == turn
        assert await storage.turns.accept(a_turn("1", turn.channel))
        await storage.segments.save("t1", 1, Segment(None, "e", {"after": "12"}))
    assert differences(parse(blank)) == []


async def test_what_was_stored_twice_can_be_forgotten(path: Path, tmp_path: Path) -> None:
    """Migrations overwrite what they drop, so that no second copy outlives `/forget`."""
    migrate(parse(path), migrations_up_to("0001", tmp_path / "oldest"))
    url = f"sqlite:///{path}"
    execute(url, OLDEST_ROWS.replace("Why?", "HUSH " * 50).replace("So.", "HUSH " * 50))
    async with Storage.open(path, NO_PICTURES) as storage:
        await storage.records.forget_person(Person("telegram", "42", "Ann"))
    kept = [file.name for file in path.parent.iterdir() if b"HUSH" in file.read_bytes()]
    assert kept == ["janus.sqlite3.0001.backup"]


async def test_notes_leave_the_text_of_answers(blank: str, tmp_path: Path) -> None:
    """What explained a failure or a stop stood at the end of the text, behind a sign."""
    before = {
        "t1": ("failed", "\N{WARNING SIGN}\N{VARIATION SELECTOR-16} No. (#t1)"),
        "t2": ("failed", "It is\n\n\N{WARNING SIGN}\N{VARIATION SELECTOR-16} No. (#t2)"),
        "t3": ("cancelled", "■ a list\n\nof\n\n■ Stopped."),
        "t4": ("cancelled", "■ Stopped."),
        "t5": ("failed", "I may not write here."),
        "t6": ("done", "\N{WARNING SIGN}\N{VARIATION SELECTOR-16} Mind the gap."),
    }
    migrate(parse(blank), migrations_up_to("0004", tmp_path / "before"))
    execute(blank, "INSERT INTO channels VALUES ('telegram:7', 0, NULL, 5, NULL);")
    for number, (turn, (outcome, said)) in enumerate(before.items()):
        execute(blank, a_row(number, turn, outcome, said))
    async with Storage.open(blank, NO_PICTURES) as storage:
        turns = [await storage.turns.get(turn) for turn in before]
    after = [(turn.answer.text, turn.answer.note) for turn in turns if turn and turn.answer]
    assert after == [
        ("", "No. (#t1)"),
        ("It is", "No. (#t2)"),
        ("■ a list\n\nof", "Stopped."),
        ("", "Stopped."),
        ("I may not write here.", ""),
        (before["t6"][1], ""),
    ]


async def test_what_only_the_second_history_knew_is_kept(blank: str, tmp_path: Path) -> None:
    """A turn without the answer or the question that `messages` had gets it."""
    migrate(parse(blank), migrations_up_to("0004", tmp_path / "before"))
    execute(blank, "INSERT INTO channels VALUES ('telegram:7', 0, NULL, 5, NULL);")
    execute(blank, a_row(1, "t1", "done", "So.") + a_row(2, "t2", "done", "", question=""))
    execute(blank, "UPDATE turns SET answer = NULL WHERE id = 't1';")
    for turn in ("t1", "t2"):
        execute(blank, TOLD.replace("TURN", turn))
    async with Storage.open(blank, NO_PICTURES) as storage:
        told = [(await storage.turns.lineage(turn, 2))[0] for turn in ("t1", "t2")]
    assert [(each.question, each.answer) for each in told] == [
        ("Why?", "Because t1."),
        ("Why t2?", "Because t2."),
    ]


def a_row(number: int, turn: str, outcome: str, said: str, question: str = "Why?") -> str:
    """A statement that writes a turn as it was before the fifth migration."""
    command = json.dumps({"kind": "ask", "question": question})
    answer = json.dumps({"outcome": outcome, "text": said, "pictures": []})
    return f"""
INSERT INTO turns (id, channel, epoch, message_id, person_platform, person_id, person_name,
    person_language, command, address, attachments, seed, state, attempts, pictures, answer,
    accepted_at, updated_at)
    VALUES ('{turn}', 'telegram:7', 0, '{number}', 'telegram', '42', 'Ann', 'en', '{command}',
    '{{"platform": "telegram", "chat": "7", "data": {{}}}}', '[]', 7, '{outcome}', 1, '[]',
    '{answer}', 5.5, 6.5);
"""  # noqa: S608 - the test's own values


async def test_copy_is_kept_before_a_migration(path: Path, newer: Path) -> None:
    """Rows stay, the column comes, and the copy is the database as it was."""
    url, copy = f"sqlite:///{path}", path.with_name(f"janus.sqlite3.{NEWEST}.backup")
    await seeded(url)
    add(newer)
    async with Storage.open(path, NO_PICTURES, migrations=newer) as storage:
        [turn] = await storage.turns.unfinished()
    assert turn.message_id == "1"
    assert "mood" in columns(url)
    assert "mood" not in columns(f"sqlite:///{copy}")
    async with Storage.open(copy, NO_PICTURES) as storage:
        assert (await storage.turns.newest(HERE)) == turn


async def test_newer_schema_is_refused(blank: str, newer: Path) -> None:
    """A database of a later version is refused with what to do, and left alone."""
    add(newer)
    async with Storage.open(blank, NO_PICTURES, migrations=newer):
        pass
    file = file_of(parse(blank))
    before = (columns(blank), file and file.read_bytes())
    with pytest.raises(
        SchemaTooNew,
        match=rf"newer version of this program .schema 9000, known here is {NEWEST}",
    ):
        async with Storage.open(blank, NO_PICTURES):
            pass
    assert (columns(blank), file and file.read_bytes()) == before


async def test_failed_migration_leaves_the_old_schema(blank: str, newer: Path) -> None:
    """A migration that raises is undone as a whole."""
    await seeded(blank)
    before = columns(blank)
    add(newer, "raise RuntimeError('a bug')")
    with pytest.raises(RuntimeError, match="a bug"):
        async with Storage.open(blank, NO_PICTURES, migrations=newer):
            pass
    assert columns(blank) == before
    await reopened(blank)


async def test_migration_that_breaks_a_reference_is_undone(path: Path, newer: Path) -> None:
    """While SQLite changes tables it enforces no references, so they are looked at afterwards."""
    await seeded(f"sqlite:///{path}")
    before = columns(f"sqlite:///{path}")
    add(newer, "op.execute('INSERT INTO segments VALUES (1, 1, 1, 1, 1)')")
    with pytest.raises(StorageError, match="rows of segments"):
        async with Storage.open(path, NO_PICTURES, migrations=newer):
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
    async with Storage.open(blank, NO_PICTURES) as storage:
        assert await storage.turns.unfinished() == []


@SLOW_MACHINE
async def test_start_on_the_present_schema_needs_no_alembic(blank: str) -> None:
    """Its import takes longer than the rest of the start."""
    await seeded(blank)
    assert (
        await in_a_process(
            blank, migrations_folder(), "assert not {'alembic', 'mako'} & {*sys.modules}"
        )
        == 0
    )


async def in_a_process(url: str, folder: Path, check: str = "pass") -> int:
    code = (
        "import asyncio, sys; from pathlib import Path; from bot.storage import Storage\n"
        "async def main():\n"
        "    url, images, migrations = sys.argv[1], Path('images'), Path(sys.argv[2])\n"
        f"    async with Storage.open(url, images, migrations=migrations): {check}\n"
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
        async with Storage.open(blank, NO_PICTURES):
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
