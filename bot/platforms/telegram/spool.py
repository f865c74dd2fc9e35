"""Updates that were acknowledged before they could be committed, one file each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog

from bot.errors import StorageError
from bot.platforms.telegram.updates import is_update

_log = structlog.get_logger(__name__)

_OWNER_ONLY = 0o600
"""What people wrote is in there."""


class Spool:
    """A folder of updates. All of it blocks.

    Args:
        folder: made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, update: dict[str, Any]) -> None:
        """Write an update down; when this returns, it outlives a crash of the machine.

        Raises:
            StorageError: it cannot be written.
        """
        path = self._path(update["update_id"])
        draft = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(update, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            self._sync()
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written to ({error.strerror}). Check its disk and owner."
            ) from error

    def drop(self, update_ids: Iterable[int]) -> None:
        """Forget updates. One that stays is committed again later, which changes nothing."""
        for update_id in update_ids:
            try:
                self._path(update_id).unlink(missing_ok=True)
            except OSError as error:
                _log.warning("update not forgotten", update=update_id, error=str(error))

    def kept(self) -> list[dict[str, Any]]:
        """All updates in their order; a file that cannot be read is passed over."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                update = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                _log.warning("kept update cannot be read", file=path.name, error=str(error))
                continue
            if is_update(update):
                found.append(update)
        return sorted(found, key=lambda update: update["update_id"])

    def _path(self, update_id: int) -> Path:
        return self._folder / f"{update_id}.json"

    def _sync(self) -> None:
        """Make the new name in the folder last, too."""
        number = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
