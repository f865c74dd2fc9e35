"""Errors of databases and file systems become `StorageError`, here and nowhere else.

What a wrong query would raise (`IntegrityError`, `ProgrammingError`, `DataError`) is a mistake in
this program and passes as it is.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from bot.errors import StorageError

_OUR_MISTAKES = (
    exc.IntegrityError,
    exc.ProgrammingError,
    exc.DataError,
    exc.NotSupportedError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)

_FULL = "The disk that holds the data folder is full. Make room; nothing accepted so far is lost."
_READ_ONLY = "The data folder cannot be written to. Check its owner, its permissions and its mount."

_LOCKED = "The database is locked by another program. Close what else has it open."

_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # no room for the index of the write-ahead log
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened. Check that the data folder is "
    "there, that this account may read and write it, and that its disk is not mounted read-only.",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_NOTADB: "The database file is not an SQLite database. Move it away, or put a "
    "copy of the right one in its place.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Stop the bot and put a copy in its "
    "place, or try `sqlite3 FILE .recover`.",
    sqlite3.SQLITE_IOERR: "The disk failed while the database was read or written. Check the disk.",
}
"""By result code, https://sqlite.org/rescode.html; a primary code stands for its extended ones."""

_OUT_OF_REACH = "No connection to the database server ({}). Nothing accepted so far is lost."
_OVERLOADED = "The database server is too busy ({}). Try again in a moment."

_POSTGRESQL = {
    "08": _OUT_OF_REACH,
    "57P": _OUT_OF_REACH,
    "53100": "The disk of the database server is full. Make room; nothing accepted so far is lost.",
    "53": _OVERLOADED,
    "40": _OVERLOADED,
    "55": _OVERLOADED,
    "57014": _OVERLOADED,
    "25006": "The database server takes no changes now ({}). Is it a standby?",
    "42501": "The account in the storage URL lacks a right ({}). Make it the owner of the "
    "database.",
    "XX": "The database server found damage ({}). Look at its log, and restore a copy if needed.",
}
"""By the beginning of the SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html;
the longest that fits counts."""

_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
}


@contextmanager
def translated() -> Iterator[None]:
    """Run a block whose errors leave it as sentences.

    Raises:
        StorageError: the database or the file system refused.
    """
    try:
        yield
    except (exc.DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        known = _of_sqlite(cause)
        if known is None and isinstance(error, exc.DBAPIError):
            known = _of_a_server(error)
        if known is None and isinstance(error, _OUR_MISTAKES):
            raise
        raise StorageError(known or f"The database cannot be used: {cause}.") from error
    except exc.TimeoutError as error:
        raise StorageError("The database is too busy to answer. Try again in a moment.") from error
    except OSError as error:
        raise StorageError(_ERRNO.get(error.errno or 0, f"The data folder: {error}.")) from error


def _of_sqlite(error: BaseException | None) -> str | None:
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0)
    # Extended result codes carry the primary one in their lowest byte.
    return _SQLITE.get(code) or _SQLITE.get(code & 0xFF)


def _of_a_server(error: exc.DBAPIError) -> str | None:
    """The sentence for an error of psycopg, which need not be installed."""
    first_line = str(error.orig).partition("\n")[0]
    state = getattr(error.orig, "sqlstate", "")
    if state is None and isinstance(error, exc.OperationalError):
        return _OUT_OF_REACH.format(first_line)  # the server had no chance to say more
    for length in (5, 3, 2):
        if sentence := _POSTGRESQL.get((state or "")[:length]):
            return sentence.format(first_line)
    return None
