"""Checks a database and brings it to the present schema, with a copy of it kept.

The steps themselves are Alembic's, in the folder `migrations/` at the top of the repository.
Synchronous: this runs in a thread, once, before the database is opened. Nearly every start finds
the schema as it should be or no database at all, so Alembic, which takes longer to import than the
rest of storage, is imported only when there is something for it to do.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog
from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.exc import OperationalError

from bot.errors import SchemaTooNew, StorageError
from bot.storage.database import file_of, lock_migrations, open_for_migration, write_ahead
from bot.storage.errors import translated
from bot.storage.schema import metadata
from bot.support import sync_folder

log = structlog.get_logger(__name__)

_alembic_lock = threading.Lock()
"""Held while Alembic runs: `alembic.op` stands for one migration of the whole process."""

_CHECK_TIMEOUT_SECONDS = 2.0
"""For the check of a file; 140 MB take about a third of a second on today's machines. Damage that
is not found by then is found when it is read."""


def migrations_folder() -> Path:
    """Alembic's folder: inside the package when installed, at the top of a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "_migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def revisions(folder: Path | None = None) -> list[str]:
    """The revisions that this program knows, oldest first, by the numbers in their file names.

    Args:
        folder: of migrations; this program's if left out.
    """
    versions = (folder or migrations_folder()) / "versions"
    return sorted(file.name.split("_", 1)[0] for file in versions.glob("[0-9]*_*.py"))


def migrate(url: URL, folder: Path | None = None) -> None:
    """Check a database and apply what it lacks, in one transaction.

    An SQLite file that is not new is copied first, to `FILE.REVISION.backup`. Of several processes
    that start at once one migrates, and the others wait for it.

    Args:
        url: as `bot.storage.database.parse` gives it.
        folder: of migrations, all of which are applied to a new database; this program's if left
            out, and then the tables of a new database are made at once.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
        StorageError: damaged, locked, full, out of reach, or not a database of this program.
    """
    known = revisions(folder)
    with translated(), _alembic_lock:
        file = file_of(url)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = open_for_migration(url)
        with engine.begin() as connection:
            lock_migrations(connection)
            if file is not None:
                check_integrity(connection)
            else:
                _check_encoding(connection)
            old, new = _revision(connection, known), known[-1]
            if old != new:
                if file is not None and old is not None:
                    log.info("backup made", file=str(_back_up(file, old)))
                if old is None and folder is None:
                    _create(connection, new)
                else:
                    _upgrade(connection, folder or migrations_folder())
                if file is not None:
                    _check_foreign_keys(connection)
                log.info("migrated", old=old, new=new)
        if file is not None:
            write_ahead(engine)


def _revision(connection: Connection, known: list[str]) -> str | None:
    """The revision of the database, `None` for an empty one."""
    inspector = inspect(connection)
    revision: str | None = None
    if inspector.has_table("alembic_version"):
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is None:
        # The first migration makes "messages", a later one drops it.
        taken = set(inspector.get_table_names()) & {*metadata.tables, "messages"}
        if taken:
            raise StorageError(
                "The database has tables of the same names that this program did not make: "
                f"{', '.join(sorted(taken))}. Give the bot a database of its own."
            )
    elif revision not in known:
        raise SchemaTooNew(
            f"The database was written by a newer version of this program (schema {revision}, "
            f"known here is {known[-1]}). Install that version, or go back to "
            "the copy that was made before the migration."
        )
    return revision


def _create(connection: Connection, revision: str) -> None:
    """Make the tables of a new database as they are today, without the steps that led there.

    `python -m bot.storage` checks that the steps lead to the same tables.
    """
    metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:revision)"),
        {"revision": revision},
    )


def _upgrade(connection: Connection, folder: Path) -> None:
    from alembic import command  # noqa: PLC0415 - see the module's docstring
    from alembic.config import Config  # noqa: PLC0415 - same

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))  # % interpolates
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _back_up(file: Path, revision: str) -> Path:
    """Copy a database, complete or not at all."""
    copy = file.with_name(f"{file.name}.{revision}.backup")
    partial = copy.with_name(f"{copy.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(copy)
        sync_folder(copy.parent)
        return copy
    finally:
        partial.unlink(missing_ok=True)


def check_integrity(connection: Connection, seconds: float = _CHECK_TIMEOUT_SECONDS) -> None:
    """Read the pages of a file, as far as time permits.

    Args:
        connection: to an SQLite file.
        seconds: after which the check is given up, and the file is taken as it is.

    Raises:
        StorageError: a page is damaged.
    """
    try:
        with _interrupted_after(connection, seconds):
            findings = connection.exec_driver_sql("PRAGMA quick_check(1)").scalars().all()
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code != sqlite3.SQLITE_INTERRUPT:
            raise
        log.info("database only partly checked, it is large", seconds=seconds)
        return
    if findings != ["ok"]:
        raise StorageError(
            f"The database file is damaged ({findings[0]}). Stop the bot and put a copy in its "
            "place, or try `sqlite3 FILE .recover`."
        )


def _check_encoding(connection: Connection) -> None:
    """See that a database on a server can hold all characters.

    Raises:
        StorageError: it cannot.
    """
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise StorageError(
            f"The database can only hold characters of {encoding}. Make one with ENCODING 'UTF8'."
        )


def _check_foreign_keys(connection: Connection) -> None:
    """Look for rows that refer to nothing, which a migration can leave.

    Raises:
        StorageError: there are some.
    """
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StorageError(
            f"The migration would leave rows of {broken[0]} without what they belong to; the "
            "database was left as it was."
        )


@contextmanager
def _interrupted_after(connection: Connection, seconds: float) -> Iterator[None]:
    # Not a progress handler: older versions of SQLite do not call one inside of this check.
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - tells the type checker
    timer = threading.Timer(seconds, driver.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # an interrupt after this would hit another statement
