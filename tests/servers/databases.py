"""A database for each test: a file of SQLite, or one on a PostgreSQL server.

Running all migrations takes a quarter of a second, so they run once for the whole session: every
test that wants a database file with the present tables gets a copy (`fresh_database`).
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.storage import Storage
from bot.storage.database import parse
from bot.storage.migrations import migrate
from tests.servers.postgres import PostgresServer

NO_PICTURES = Path("/nonexistent/images")
"""Where pictures are, for tests that have none."""


@functools.cache
def _migrated_file() -> Path:
    folder = tempfile.mkdtemp(prefix="janus-migrated-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "migrated.sqlite3"
    migrate(parse(file))
    return file


def fresh_database(file: Path) -> Path:
    """Put an SQLite file with the present tables and no rows at a path where there is none yet.

    What is there stays, so that a test can open its database a second time.

    Returns:
        The path.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_migrated_file(), file)
    return file


# Whoever comes first waits for the server to start, which takes long where all are busy.
_KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.timeout(180))]


@pytest.fixture(params=_KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with all tables and no rows, once for each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{fresh_database(tmp_path / 'janus.sqlite3')}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.emptied_database()


@pytest.fixture
async def storage(where: str, tmp_path: Path) -> AsyncIterator[Storage]:
    """All of the storage, empty, once for each kind of database."""
    async with Storage.open(where, tmp_path / "images") as storage:
        yield storage


@pytest.fixture
async def file_storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """All of the storage on `janus.sqlite3`, for what only a file can do."""
    path = fresh_database(tmp_path / "janus.sqlite3")
    async with Storage.open(path, tmp_path / "images") as storage:
        yield storage


@pytest.fixture(params=_KINDS)
def blank(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any tables, once for each kind; the file is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'janus.sqlite3'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()
