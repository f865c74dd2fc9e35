"""Bringing a database to the present schema, with a copy of it kept.

Synchronous: Alembic and the backup run in a thread, once, before the database is opened.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, inspect

from bot.errors import SchemaTooNew, StorageError
from bot.storage.engines import file_of, open_for_migration, write_ahead
from bot.storage.faults import translated
from bot.storage.schema import metadata

log = structlog.get_logger(__name__)

_one_at_a_time = threading.Lock()
"""Held while Alembic runs: `alembic.op` stands for one migration of the whole process."""


def migrations_folder() -> Path:
    """Alembic's folder: inside the package when installed, at the top of a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "_migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def migrate(url: URL, folder: Path | None = None) -> None:
    """Check a database and apply what it lacks, in one transaction.

    An SQLite file that is not new is copied first, to `FILE.REVISION.backup`.

    Args:
        url: as `bot.storage.engines.parse` gives it.
        folder: of migrations; this program's if left out.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
        StorageError: damaged, locked, full, or not a database of this program.
    """
    config = Config()
    location = str(folder or migrations_folder())
    config.set_main_option("script_location", location.replace("%", "%%"))  # % interpolates
    script = ScriptDirectory.from_config(config)
    with translated(), _one_at_a_time:
        file = file_of(url)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = open_for_migration(url)
        with engine.begin() as connection:
            if file is not None:
                _check_integrity(connection)
            old, new = _revision(connection, script), script.get_current_head()
            if old != new:
                if file is not None and old is not None:
                    log.info("backup made", file=str(_back_up(file, old)))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if file is not None:
                    _check_foreign_keys(connection)
                log.info("migrated", old=old, new=new)
        if file is not None:
            write_ahead(engine)


def _revision(connection: Connection, script: ScriptDirectory) -> str | None:
    """The revision of the database, `None` for an empty one."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        taken = set(inspect(connection).get_table_names()) & set(metadata.tables)
        if taken:
            raise StorageError(
                "The database has tables of the same names that this program did not make: "
                f"{', '.join(sorted(taken))}. Give the bot a database of its own."
            )
    elif revision not in {each.revision for each in script.walk_revisions()}:
        raise SchemaTooNew(
            f"The database was written by a newer version of this program (schema {revision}, "
            f"known here is {script.get_current_head()}). Install that version, or go back to "
            "the copy that was made before the migration."
        )
    return revision


def _check_integrity(connection: Connection) -> None:
    findings = connection.exec_driver_sql("PRAGMA quick_check(1)").scalars().all()
    if findings != ["ok"]:
        raise StorageError(
            f"The database file is damaged ({findings[0]}). Put a copy in its place, or try "
            "`sqlite3 FILE .recover`."
        )


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StorageError(
            f"The migration would leave rows of {broken[0]} without what they belong to; the "
            "database was left as it was."
        )


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
        return partial.replace(copy)
    finally:
        partial.unlink(missing_ok=True)
