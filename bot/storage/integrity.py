"""Is a database what it should be? Looked at while starting and after a migration."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bot.errors import StorageError

log = structlog.get_logger(__name__)

PATIENCE = 2.0
"""Seconds for the check. 100,000 messages (140 MB) take about a third of a second on a machine of
these days; what is not looked at by then is found damaged when it is read."""


def check_integrity(connection: Connection, patience: float = PATIENCE) -> None:
    """Read the pages of a file, as far as time permits.

    Args:
        connection: to an SQLite file.
        patience: seconds after which the check is given up, and the file is taken as it is.

    Raises:
        StorageError: a page is damaged.
    """
    try:
        with _interrupted_after(connection, patience):
            findings = connection.exec_driver_sql("PRAGMA quick_check(1)").scalars().all()
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code != sqlite3.SQLITE_INTERRUPT:
            raise
        log.info("database only partly checked, it is large", seconds=patience)
        return
    if findings != ["ok"]:
        raise StorageError(
            f"The database file is damaged ({findings[0]}). Stop the bot and put a copy in its "
            "place, or try `sqlite3 FILE .recover`."
        )


def check_encoding(connection: Connection) -> None:
    """See that a database on a server can hold all characters.

    Raises:
        StorageError: it cannot.
    """
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise StorageError(
            f"The database can only hold characters of {encoding}. Make one with ENCODING 'UTF8'."
        )


def check_foreign_keys(connection: Connection) -> None:
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
