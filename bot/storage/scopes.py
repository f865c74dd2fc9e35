"""What is set in channels and servers."""

from __future__ import annotations

import time

from sqlalchemy import delete, select

from bot.models import JsonObject
from bot.storage.database import Database
from bot.storage.engines import insert
from bot.storage.schema import settings


class Scopes:
    """Settings by scope: a channel in its written form, or a server.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: as for `Store`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, scope: str) -> JsonObject:
        """What is set there; empty if nothing is."""
        async with self._database.read() as connection:
            values: JsonObject | None = await connection.scalar(
                select(settings.c["values"]).where(settings.c.scope == scope)
            )
        return values or {}

    async def save_settings(self, scope: str, values: JsonObject) -> None:
        """Set it durably, instead of all that was set there; nothing is left of empty values."""
        async with self._database.write(durable=True) as connection:
            if not values:
                await connection.execute(delete(settings).where(settings.c.scope == scope))
                return
            new = {"values": values, "changed_at": time.time()}
            await connection.execute(
                insert(connection, settings)
                .values({"scope": scope, **new})
                .on_conflict_do_update(index_elements=[settings.c.scope], set_=new)
            )
