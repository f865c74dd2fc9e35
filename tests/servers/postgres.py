"""A PostgreSQL server of Debian's package, thrown away at the end of the test session.

Tests that only use the tables take turns with one database, which is emptied for each of them: to
make one takes seconds where disks are slow. Tests of migrations get new ones.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

USER = "janus"
PASSWORD = "throwaway"
_START_TIMEOUT_SECONDS = 120.0
"""Seconds that the server may take to start; slow machines are slow."""

_ICU_SINCE = 150_000
"""Version 15: a database can sort by ICU, whatever the system knows of languages."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    # Something that a test can see has an effect: times come back as they were written.
    "timezone": "Asia/Kathmandu",
}


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, or `None` where they are not installed."""
    candidates = [Path(found).parent for found in [shutil.which("initdb")] if found]
    candidates.append(Path("/usr/local/bin"))
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: float(folder.parent.name),
        reverse=True,
    )
    for folder in candidates:
        if all((folder / program).exists() for program in ("initdb", "postgres")):
            return folder
    return None


@dataclass(slots=True)
class PostgresServer:
    """A server with one superuser, and a password that no error may show.

    Args:
        folder: its own; removed by whoever made it.
        programs: the folder of `initdb` and `postgres`.
    """

    folder: Path
    programs: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _shared: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def create(self) -> None:
        """Make the files and start."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        owner = _account()
        if owner:
            for path in (self.folder, secret):
                os.chown(path, owner["user"], owner["group"])
        subprocess.run(
            [
                *(self.programs / "initdb", "--pgdata", self.folder / "data", "--no-sync"),
                *("--username", USER, "--pwfile", secret, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **owner,
        )
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Start and wait until it takes connections."""
        settings = _SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **_account(),
            )
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, its connections with it; what was committed is in the files."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def url(self, database: str) -> str:
        """Where one of its databases is."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new database without any tables."""
        name = f"test_{next(self._numbers)}"
        # Sorted as a language does, like most servers, where this needs nothing installed.
        [(version,)] = self.execute("SHOW server_version_num")
        sorting = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'" if int(version) >= _ICU_SINCE else ""
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {sorting}")
        return self.url(name)

    def emptied_database(self) -> str:
        """The URL of the database that tests share, with the tables of the present schema.

        Whoever is still connected is thrown out, and all rows are gone.
        """
        from bot.storage.database import parse  # noqa: PLC0415 - not needed for any other test
        from bot.storage.migrations import migrate  # noqa: PLC0415 - same
        from bot.storage.schema import metadata  # noqa: PLC0415 - same

        if not self._shared:
            url = self.new_database()
            migrate(parse(url))
            self._shared = url.rpartition("/")[2]
        tables = ", ".join(metadata.tables)
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            f"TRUNCATE {tables} RESTART IDENTITY",
            database=self._shared,
        )
        return self.url(self._shared)

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements in a connection of their own, and return the rows of the last one."""
        import psycopg  # noqa: PLC0415 - not installed where the tests on PostgreSQL are skipped

        rows: list[tuple[Any, ...]] = []
        with closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - as above

        try:
            return bool(self.execute("SELECT 1"))
        except psycopg.OperationalError:
            return False


def _account() -> dict[str, Any]:
    """Whom to run as: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return {}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server, the same for the whole session."""
    pytest.importorskip("psycopg", reason="install the extra: pip install 'janus-bot[postgres]'")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server here: install Debian's package postgresql")
    # Not pytest's own folder: no other account may enter it. Sockets need a short path as well.
    with tempfile.TemporaryDirectory(prefix="janus-postgres-") as folder:
        server = PostgresServer(Path(folder), programs)
        try:
            server.create()
            yield server
        finally:
            server.stop()
