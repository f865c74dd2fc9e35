"""`python -m bot.storage`: is there a migration for every change of the tables?

Migrates a new database and compares it with `bot.storage.schema`. Exit code 1, and the differences
one a line, if they are not the same.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL

from bot.storage.database import open_for_migration, parse
from bot.storage.migrations import migrate, migrations_folder
from bot.storage.schema import metadata


def differences(url: URL | None = None, folder: Path | None = None) -> list[Any]:
    """What a migrated database lacks, or has too much of, in Alembic's terms.

    Args:
        url: of a new database, as `bot.storage.database.parse` gives it; a temporary file if left
            out.
        folder: of migrations; this program's if left out.
    """
    with tempfile.TemporaryDirectory() as scratch:
        fresh = url or parse(Path(scratch) / "fresh.sqlite3")
        migrate(fresh, folder or migrations_folder())
        with open_for_migration(fresh).connect() as connection:
            return list(compare_metadata(MigrationContext.configure(connection), metadata))


def main() -> int:
    """Print the differences and return the exit code."""
    found = differences()
    for difference in found:
        sys.stderr.write(f"{difference}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
