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
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened. Check that the data folder is "
    "there and that this account may read and write it.",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_NOTADB: "The database file is not an SQLite database. Move it away, or put a "
    "copy of the right one in its place.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Stop the bot and put a copy in its "
    "place, or try `sqlite3 FILE .recover`.",
    sqlite3.SQLITE_IOERR: "The disk failed while the database was read or written. Check the disk.",
}
"""By primary result code, https://sqlite.org/rescode.html."""

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
    except _OUR_MISTAKES:
        raise
    except exc.DBAPIError as error:
        raise StorageError(_sentence(error.orig)) from error
    except sqlite3.Error as error:
        raise StorageError(_sentence(error)) from error
    except exc.TimeoutError as error:
        raise StorageError("The database is too busy to answer. Try again in a moment.") from error
    except OSError as error:
        raise StorageError(_ERRNO.get(error.errno or 0, f"The data folder: {error}.")) from error


def _sentence(error: BaseException | None) -> str:
    # Extended result codes carry the primary one in their lowest byte.
    code = getattr(error, "sqlite_errorcode", None)
    known = None if code is None else _SQLITE.get(code & 0xFF)
    return known or f"The database cannot be used: {error}."
