"""Bringing a database to the present schema, with a copy of it kept.

Synchronous: this runs in a thread, once, before the database is opened. Nearly every start finds
the schema as it should be, so Alembic, which takes longer to import than the rest of storage, is
imported only when there is something for it to do.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import structlog
from sqlalchemy import URL, Connection, inspect, text

from bot.errors import SchemaTooNew, StorageError
from bot.storage.engines import file_of, one_at_a_time, open_for_migration, write_ahead
from bot.storage.faults import translated
from bot.storage.integrity import check_encoding, check_foreign_keys, check_integrity
from bot.storage.schema import metadata

log = structlog.get_logger(__name__)

_one_at_a_time = threading.Lock()
"""Held while Alembic runs: `alembic.op` stands for one migration of the whole process."""


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
        url: as `bot.storage.engines.parse` gives it.
        folder: of migrations; this program's if left out.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
        StorageError: damaged, locked, full, out of reach, or not a database of this program.
    """
    known = revisions(folder)
    with translated(), _one_at_a_time:
        file = file_of(url)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = open_for_migration(url)
        with engine.begin() as connection:
            one_at_a_time(connection)
            if file is not None:
                check_integrity(connection)
            else:
                check_encoding(connection)
            old, new = _revision(connection, known), known[-1]
            if old != new:
                if file is not None and old is not None:
                    log.info("backup made", file=str(_back_up(file, old)))
                _upgrade(connection, folder or migrations_folder())
                if file is not None:
                    check_foreign_keys(connection)
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
        taken = set(inspector.get_table_names()) & set(metadata.tables)
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
        return partial.replace(copy)
    finally:
        partial.unlink(missing_ok=True)
