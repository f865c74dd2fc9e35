"""`janus-bot export`: everything stored about a channel, as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bot.builders import database_location, open_storage
from bot.config import Config
from bot.errors import ConfigError, StorageError
from bot.models import ChannelKey


async def export_channel(config: Config, channel: str, output: Path | None) -> Path:
    """Write the export and return its path.

    Raises:
        ConfigError: not a channel, or nothing is stored about it.
        StorageError: the database or the file cannot be used.
    """
    try:
        key = ChannelKey.parse(channel)
    except ValueError as error:
        raise ConfigError(
            f"{channel} is not a channel. Write telegram:<chat>[:<topic>], discord:<channel> or "
            "web:<room>."
        ) from error
    where = database_location(config)
    if isinstance(where, Path) and not where.exists():
        raise StorageError(f"There is no database at {where} yet.")
    async with open_storage(config) as storage:
        data = await storage.records.export(key)
    if not data["turns"]:
        raise StorageError(f"Nothing is stored about {key}.")
    path = output or Path(re.sub(r"[^\w.-]", "_", str(key)) + ".json")
    try:
        path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
    return path
