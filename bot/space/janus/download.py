"""Fetches a model into the cache of Hugging Face.

A download goes on where it stopped, in the same process or a later one, and a file counts only once
its hash is the one that the hub names. huggingface_hub begins a file again when the process was
ended, and compares sizes alone; so contents are fetched here, and it only gives them their names.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from huggingface_hub import get_session, get_token, hf_hub_download, hf_hub_url

from bot.space.engine import STARTING, Progress
from bot.space.janus.files import Hub, ModelOutOfReach, RemoteFile, refusal
from bot.space.janus.machine import free_disk, gigabytes
from bot.space.janus.plan import duration
from bot.space.janus.shape import ModelUnusable
from bot.space.janus.sizes import DISK_MARGIN_BYTES

FIRST_PATIENCE_SECONDS = 15.0
"""How long to try before anything has come at all."""
PATIENCE_SECONDS = 600.0
"""How long to go on trying when nothing comes any more."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_READ_TIMEOUT_SECONDS = 30
_REPORT_SECONDS = 0.25
_RATE_SECONDS = 20.0
"""Over which the speed is measured."""
_PARTIAL, _NOT_SATISFIABLE = 206, 416
_SHA256_DIGITS = 64

Report = Callable[[Progress], None]
Result = TypeVar("Result")


def fetch(hub: Hub, model: str, report: Report, *, patience: float = PATIENCE_SECONDS) -> Path:
    """Fetch what is missing of a model; blocks.

    Args:
        hub: where from, and where to.
        model: a folder, or a repository.
        report: told how far it is, in percent, a few times a second.
        patience: seconds to go on trying when nothing comes any more.

    Returns:
        The folder with all files.

    Raises:
        ModelUnusable: a file is not what the hub says it is.
        ModelOutOfReach: the hub cannot be reached or refuses, or there is no room.
    """
    folder = hub.find(model)
    if folder is not None:
        return folder
    report(Progress(0, 100, "Asking for the model's files", STARTING))
    listing = _Trying(min(FIRST_PATIENCE_SECONDS, patience)).until_done(lambda: hub.listing(model))
    missing = sum(hub.missing_of(model, file) for file in listing.files)
    _check_disk(hub, model, missing)
    with _full_disk_told(hub):
        (hub.storage(model) / "blobs").mkdir(parents=True, exist_ok=True)
    counter = _Counter(sum(file.size for file in listing.files), missing, report)
    trying = _Trying(patience, counter.is_stalled)
    for file in listing.files:
        _fetch_file(hub, model, file, listing.commit, counter, trying)
    paths = [
        trying.until_done(lambda name=file.name: _named(hub, model, name, listing.commit))  # type: ignore[misc]
        for file in listing.files  # the weights last: a snapshot that has them has everything
    ]
    return paths[-1].parent


class _Trying:
    """Tries again after longer and longer pauses, until nothing has worked for too long.

    Args:
        patience: seconds.
        stalled: told before each pause.
    """

    def __init__(self, patience: float, stalled: Callable[[], None] = lambda: None) -> None:
        self._patience = patience
        self._stalled = stalled
        self.something_came()

    def something_came(self) -> None:
        self._since = time.monotonic()
        self._pause = _FIRST_PAUSE_SECONDS

    def until_done(self, work: Callable[[], Result]) -> Result:
        """Raises the last `ModelOutOfReach` if patience ends, or at once if it will not pass."""
        while True:
            try:
                result = work()
            except ModelOutOfReach as error:
                waited = time.monotonic() - self._since
                if not error.is_passing or waited + self._pause > self._patience:
                    raise
                self._stalled()
                time.sleep(self._pause)
                self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
            else:
                self.something_came()
                return result


class _Counter:
    """Says how far a download is: in percent of all bytes, and how long it still takes."""

    def __init__(self, total: int, missing: int, report: Report) -> None:
        self._total = max(1, total)
        self._done = total - missing
        self._report = report
        self._recent = deque([(time.monotonic(), self._done)])
        self._say("")

    def add(self, size: int) -> None:
        """Count bytes that came; less than 0 if they were thrown away."""
        now = time.monotonic()
        self._done += size
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and self._recent[1][0] < now - _RATE_SECONDS:  # noqa: PLR2004 - two points make a speed
            self._recent.popleft()
        before, elapsed = self._recent[0][1], now - self._recent[0][0]
        rate = (self._done - before) / elapsed if elapsed > 0.5 else 0  # noqa: PLR2004 - too short to tell
        percent = 100 * self._done // self._total
        if now - self._said_at < _REPORT_SECONDS and percent == self._percent:
            return
        left = (self._total - self._done) / rate if rate > 0 else 0
        self._say(f", {duration(left)}" if left else "")

    def is_stalled(self) -> None:
        self._recent.clear()
        self._recent.append((time.monotonic(), self._done))
        self._say(": no connection, trying again")

    def is_checking(self) -> None:
        self._say(": checking what came")

    def _say(self, more: str) -> None:
        self._said_at = time.monotonic()
        self._percent = percent = 100 * self._done // self._total
        self._report(
            Progress(min(percent, 100), 100, f"Downloading the model, {percent} %{more}", STARTING)
        )


def _fetch_file(
    hub: Hub, model: str, file: RemoteFile, commit: str, counter: _Counter, trying: _Trying
) -> None:
    """Have the content of a file in the cache, checked."""
    blob, part = hub.blob(model, file), hub.part(model, file)
    with _full_disk_told(hub), FileLock(part.with_suffix(".lock")):  # another process may fetch it
        if blob.exists():
            return
        trying.until_done(lambda: _go_on(hub, model, file, commit, counter, trying))
        counter.is_checking()
        if digest(part, file) != file.digest:
            part.unlink()
            raise ModelUnusable(
                f"{file.name} of {model} came damaged and was thrown away. Start again."
            )
        os.replace(part, blob)  # noqa: PTH105 - both names lie in one folder


def _go_on(
    hub: Hub, model: str, file: RemoteFile, commit: str, counter: _Counter, trying: _Trying
) -> None:
    """Fetch what is missing of a file; whatever comes is kept."""
    part = hub.part(model, file)
    have = part.stat().st_size if part.exists() else 0
    if have == file.size and have:
        return
    headers = {"accept-encoding": "identity"}
    if token := get_token():
        headers["authorization"] = f"Bearer {token}"
    if have:
        headers["range"] = f"bytes={have}-"
    url = hf_hub_url(model, file.name, revision=commit, endpoint=hub.endpoint)
    with (
        hub.failures_told(model),
        get_session().stream(
            "GET", url, headers=headers, timeout=_READ_TIMEOUT_SECONDS
        ) as response,
    ):
        if response.status_code == _NOT_SATISFIABLE:  # more is here than there ever was
            part.unlink()
            counter.add(-have)
            raise ModelOutOfReach(f"{file.name} has to be fetched again.", is_passing=True)
        if response.is_error:
            raise refusal(response.status_code, hub.endpoint)
        goes_on = response.status_code == _PARTIAL
        if have and not goes_on:
            counter.add(-have)
        with part.open("ab" if goes_on else "wb") as out:
            for chunk in response.iter_bytes():
                out.write(chunk)
                counter.add(len(chunk))
                trying.something_came()


def _named(hub: Hub, model: str, name: str, commit: str) -> Path:
    """Give a content that is in the cache its name in the snapshot."""
    with hub.failures_told(model):
        path = hf_hub_download(
            model, name, revision=commit, endpoint=hub.endpoint, cache_dir=hub.cache
        )
    return Path(path)


def digest(path: Path, file: RemoteFile) -> str:
    """The hash by which the hub names a file: that of the content, or git's for small files."""
    if len(file.digest) == _SHA256_DIGITS:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    whole = path.read_bytes()
    git = hashlib.sha1(b"blob %d\0" % len(whole), usedforsecurity=False)
    git.update(whole)
    return git.hexdigest()


def _check_disk(hub: Hub, model: str, missing: int) -> None:
    free = free_disk(hub.cache)
    if missing and missing + DISK_MARGIN_BYTES > free:
        raise _no_room(hub, f"{gigabytes(missing, 10**9)} GB of {model} are still to be fetched")


@contextmanager
def _full_disk_told(hub: Hub) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _no_room(hub, "The disk is full") from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise ModelOutOfReach(
                f"Nothing can be written to {hub.cache}. Set HF_HOME to a folder of yours."
            ) from error
        raise


def _no_room(hub: Hub, why: str) -> ModelOutOfReach:
    free = gigabytes(free_disk(hub.cache), 10**9)
    return ModelOutOfReach(
        f"{why}, and {free} GB are free in {hub.cache}. Make room, or set HF_HOME to a folder on "
        "another disk."
    )
