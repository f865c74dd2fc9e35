"""Checks that every test has the same id in every process: `python -m tests.check_ids [PATHS]`.

Test processes compare what they collected and give up when they disagree. An id that was made from
the clock, from an address, from the order of a set or from something random lets them disagree only
now and then. So all tests are collected twice here, in two processes with different seeds for
hashes, different time zones, and one with its clock `_AHEAD_SECONDS` ahead; nothing is run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import zip_longest

import pytest

# More than a year, and neither whole days nor whole hours: no part of a date or a time is the same.
_AHEAD_SECONDS = 400 * 86_400 + 5 * 3600 + 61
_MAX_SHOWN = 10
_COLLECT_AHEAD = "--collect-ahead"


def main(arguments: Sequence[str]) -> str | int:
    """Compare two collections of `arguments`, or else of all tests.

    Returns:
        What `sys.exit` takes: 0, or a sentence that names the ids which differ.
    """
    if arguments[:1] == [_COLLECT_AHEAD]:
        _set_clock_ahead(float(arguments[1]))
        return pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *arguments[2:]])
    # Side by side: most of the time goes into imports, and there is often a second core.
    first, second = (
        _start(arguments, PYTHONHASHSEED="1", TZ="UTC"),
        _start(arguments, _AHEAD_SECONDS, PYTHONHASHSEED="2", TZ="Pacific/Kiritimati"),
    )
    printed = [first.communicate()[0], second.communicate()[0]]
    for process, text in zip((first, second), printed, strict=True):
        if process.returncode:
            return f"{text}\nThe tests could not be collected."
    return _difference(*([line for line in text.splitlines() if "::" in line] for text in printed))


def _start(
    paths: Sequence[str], ahead_seconds: float = 0, **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", __spec__.name, _COLLECT_AHEAD, str(ahead_seconds), *paths],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def _set_clock_ahead(seconds: float) -> None:
    """Change what Python code reads from the clock; `date.today` reads `time.time`, too.

    `datetime.now` does not, but differs by itself: it counts microseconds.
    """
    now, local, utc, written = time.time, time.localtime, time.gmtime, time.strftime
    time.time = lambda: now() + seconds
    time.time_ns = lambda: int(time.time() * 1e9)
    time.localtime = lambda at=None: local(time.time() if at is None else at)
    time.gmtime = lambda at=None: utc(time.time() if at is None else at)
    time.strftime = lambda text, *at: written(text, *(at or [time.localtime()]))


def _difference(first: Sequence[str], second: Sequence[str]) -> str | int:
    """A sentence on how two collections differ, or 0."""
    if first == second:
        return 0
    only = sorted({*first} - {*second}), sorted({*second} - {*first})
    pairs = [*zip_longest(*only, fillvalue="(none)")]
    # The same ids in another order: that, too, makes test processes give up.
    pairs = pairs or [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    shown = [f"  {one}\n  {other}\n" for one, other in pairs[:_MAX_SHOWN]]
    return (
        f"{len(pairs)} tests have another id, or another place, in another process. First of all:\n"
        + "".join(shown)
        + 'Name such parameters, as in pytest.param(…, id="in an hour"), or sort them.'
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
