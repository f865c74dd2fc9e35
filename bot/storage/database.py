"""A database: its address, its connections, and transactions with one writer at a time.

The one place that knows which database it is. SQLite is set up for serious use: a write-ahead log,
foreign keys, a busy timeout, one writer, and a flush to disk before a commit returns if the caller
asked for one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    NullPool,
    Table,
    collate,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.errors import StorageError
from bot.storage.errors import translated

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_BUSY_TIMEOUT_MS = 5_000
"""How long a write waits for another process, such as the operator's backup."""
_STARTING_TIMEOUT_MS = 60_000
"""The same while starting: another process may be migrating."""
_MAX_READERS = 4
"""Connections that only read; each is a thread with SQLite, and a query takes a millisecond."""

_SERVER = {
    "application_name": "janus-bot",
    "connect_timeout": "10",  # seconds
    "tcp_user_timeout": "30000",  # milliseconds after which a silent server counts as gone
}
_MIGRATION_LOCK = 0x6A616E7573
"""Any number that no other program is likely to lock in the same database; "janus" in ASCII."""

_OVERWRITE_DELETED = "PRAGMA secure_delete=ON"

_DURABLE = "janus_durable"
"""Execution option of a write: its commit returns only once it is on disk."""


class Database:
    """Transactions, one writer at a time. Made by `open`.

    Attributes:
        insert: begins an `INSERT` into a table that knows `ON CONFLICT`, which SQLAlchemy has only
            per database.
    """

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self.insert = _insert_of(writer.dialect.name)
        self._reader = reader
        self._writer = writer
        self._one_writer = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: URL) -> AsyncIterator[Self]:
        """Open a database that was migrated before (`bot.storage.migrations.migrate`).

        Args:
            url: as `parse` gives it.

        Raises:
            StorageError: the driver of this database is not installed.
        """
        reader, writer = _open_engines(url)
        try:
            yield cls(reader, writer)
        finally:
            await reader.dispose()
            # The last connection to leave folds the write-ahead log into the file.
            await writer.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with; never waits for a writer.

        Raises:
            StorageError: the database cannot be used.
        """
        with translated():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, undone if anything leaves it.

        Args:
            durable: return only once it is on disk, so that it survives a power failure.
                Otherwise it survives the process, and reaches the disk with the next durable one.

        Raises:
            StorageError: the database cannot be used.

        Cancelling: undone as a whole; cancelled while it is being committed, it may have been
        committed as a whole.
        """
        with translated():
            async with self._one_writer, self._writer.connect() as connection:
                await connection.execution_options(**{_DURABLE: durable})
                async with connection.begin():
                    yield connection

    async def forget_deleted(self) -> bool:
        """Leave nothing of deleted rows in SQLite's files, as far as this program can.

        Its pages are overwritten on deletion. What remains are older versions of pages in the
        write-ahead log, which is folded into the file and emptied here. A server clears its pages
        and its log by itself, later.

        Returns:
            False if a reader kept the log from being emptied; a later call does it.

        Raises:
            StorageError: the database cannot be used.
        """
        with translated():
            async with self._one_writer, self._writer.connect() as connection:
                if connection.dialect.name != "sqlite":
                    return True
                # Outside of any transaction, so with aiosqlite itself.
                driver: Any = (await connection.get_raw_connection()).driver_connection
                async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
                    row = await cursor.fetchone()
                return bool(row[0] == 0)


def parse(where: str | Path) -> URL:
    """The address of a database: a path, or a URL of SQLite or PostgreSQL.

    Raises:
        StorageError: neither of them. The text never holds a password.
    """
    if isinstance(where, Path):
        return URL.create("sqlite+aiosqlite", database=str(where))
    try:
        url = make_url(where)
    except ArgumentError as error:
        raise StorageError(
            "The storage URL cannot be read. Write sqlite:///FILE or postgresql://HOST/NAME."
        ) from error
    match url.get_backend_name():
        case "sqlite" if url.database in {None, "", ":memory:"}:
            raise StorageError("The storage URL names no file. Write sqlite:///FILE.")
        case "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":  # the second is what some hosts still write
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise StorageError(f"Storage on {other} is not supported; use SQLite or PostgreSQL.")


def file_of(url: URL) -> Path | None:
    """The file of an SQLite database, `None` for a server."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def _open_engines(url: URL) -> tuple[AsyncEngine, AsyncEngine]:
    """One engine to read with and one to write with; for a server they share connections.

    Raises:
        StorageError: the driver of this database is not installed.
    """
    if file_of(url) is None:
        with _driver_needed():
            writer = create_async_engine(
                url,
                connect_args=_server_arguments(url),
                pool_size=_MAX_READERS + 1,
                max_overflow=0,
                pool_pre_ping=True,  # the server may have been restarted since the last statement
            )
        _prepare(writer.sync_engine, f"SET lock_timeout={_BUSY_TIMEOUT_MS}")
        _flush_on_a_server(writer.sync_engine)
        return writer.execution_options(isolation_level="AUTOCOMMIT"), writer
    reader = create_async_engine(
        url,
        pool_size=_MAX_READERS,
        max_overflow=0,
        # Every read is one statement: no transaction has to be opened and given up for it.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
    )
    writer = create_async_engine(url, pool_size=1, max_overflow=0)
    patience = f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}"
    _prepare(reader.sync_engine, patience, "PRAGMA query_only=ON")
    _prepare(writer.sync_engine, patience, "PRAGMA foreign_keys=ON", _OVERWRITE_DELETED)
    _begin_at_once(writer.sync_engine)
    _release_when_cancelled(writer.sync_engine)
    return reader, writer


def open_for_migration(url: URL) -> Engine:
    """A synchronous engine that opens a connection each time, for use in a thread.

    Foreign keys are not enforced: to change a table, SQLite has to copy and drop it.

    Raises:
        StorageError: the driver of this database is not installed.
    """
    if file_of(url) is None:
        with _driver_needed():
            engine = create_engine(url, poolclass=NullPool, connect_args=_server_arguments(url))
        _prepare(engine, f"SET lock_timeout={_STARTING_TIMEOUT_MS}")
        return engine
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), poolclass=NullPool)
    _prepare(
        engine,
        f"PRAGMA busy_timeout={_STARTING_TIMEOUT_MS}",
        "PRAGMA foreign_keys=OFF",
        _OVERWRITE_DELETED,  # the rows of a table that is dropped, too
    )
    _begin_at_once(engine)
    return engine


def lock_migrations(connection: Connection) -> None:
    """Wait for any process that is migrating, and keep others out until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    # The transaction of `open_for_migration` holds SQLite's write lock from its first moment.


def write_ahead(engine: Engine) -> None:
    """Give an SQLite file a write-ahead log, which the file remembers.

    Readers and the writer then do not wait for each other.
    """
    with closing(engine.raw_connection()) as connection:
        if connection.cursor().execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
    import stamina  # noqa: PLC0415 - only for a new file

    # Unlike everything else, the change of mode does not wait for other processes by itself.
    for attempt in stamina.retry_context(
        on=_is_busy,
        attempts=None,
        timeout=_STARTING_TIMEOUT_MS / 1000,
        wait_initial=0.05,
        wait_max=0.5,
    ):
        with attempt, closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode=WAL")


def _insert_of(dialect: str) -> Callable[[Table], sqlite.Insert | postgresql.Insert]:
    if dialect == "sqlite":
        return sqlite.insert
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - loaded already where it is in use

    return postgresql.insert


def bytewise(connection: AsyncConnection, column: Column[str]) -> ColumnElement[str]:
    """A text column compared byte by byte; database servers sort the way languages do."""
    return collate(column, "BINARY" if connection.dialect.name == "sqlite" else "C")


def _server_arguments(url: URL) -> dict[str, str]:
    """What PostgreSQL's driver is told, unless the URL says otherwise."""
    return {name: value for name, value in _SERVER.items() if name not in url.query}


@contextmanager
def _driver_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise StorageError(
            f"PostgreSQL needs the Python package {error.name}: pip install 'janus-bot[postgres]'."
        ) from error


def _is_busy(error: Exception) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError)
        and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )


def _prepare(engine: Engine, *settings: str) -> None:
    """Set up each new connection."""

    @event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, _record: object) -> None:
        if engine.dialect.name == "sqlite":
            # Python's driver would begin and commit behind SQLAlchemy's back, and not around DDL.
            dbapi_connection.isolation_level = None
        with closing(dbapi_connection.cursor()) as cursor:
            for setting in settings:
                cursor.execute(setting)
        dbapi_connection.commit()


def _begin_at_once(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        level = "FULL" if connection.get_execution_options().get(_DURABLE, True) else "NORMAL"
        if connection.info.get("synchronous") != level:
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
            connection.info["synchronous"] = level
        # The write lock is taken here, where waiting for it is possible; a transaction that begins
        # by reading and is overtaken could only fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _release_when_cancelled(engine: Engine) -> None:
    @event.listens_for(engine, "invalidate")
    def given_up(dbapi_connection: Any, _record: object, _error: object) -> None:
        # A statement whose rows were not fetched keeps a closed connection, and the write lock with
        # it, until Python frees its cursor, which the traceback of the cancellation holds.
        with suppress(sqlite3.Error):
            dbapi_connection.rollback()


def _flush_on_a_server(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        if not connection.get_execution_options().get(_DURABLE, True):
            connection.exec_driver_sql("SET LOCAL synchronous_commit = OFF")
