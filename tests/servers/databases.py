"""A database for each test: a file of SQLite, or one on a PostgreSQL server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the tables of the present schema and no rows, to be copied."""
    from bot.storage.engines import parse  # noqa: PLC0415 - only tests of storage need it
    from bot.storage.migrate import migrate  # noqa: PLC0415 - same

    file = tmp_path_factory.mktemp("databases") / "migrated.sqlite3"
    migrate(parse(file))
    return file


# Whoever comes first waits for the server to start, which takes long where all are busy.
_KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.timeout(180))]


@pytest.fixture(params=_KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with all tables and no rows, once for each kind of database."""
    if request.param == "sqlite":
        file = tmp_path / "janus.sqlite3"
        shutil.copyfile(request.getfixturevalue("migrated_file"), file)
        return f"sqlite:///{file}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.emptied_database()


@pytest.fixture(params=_KINDS)
def blank(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any tables, once for each kind; the file is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'janus.sqlite3'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()
