"""How long turns are kept, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.models import FINAL, ChannelKey
from bot.storage.schema import channels, settings, turns

DAY = 86_400.0
"""Seconds."""

_SETTING = "retention"
"""Name of the days among a channel's settings."""


async def due(connection: AsyncConnection, now: float, default_days: int) -> dict[str, float]:
    """Channels that may hold turns older than they keep them, with the moment before which.

    Args:
        connection: to read with.
        now: Unix time.
        default_days: for channels that set no days, and whose server sets none; 0 for ever.
    """
    days = await _days(connection)
    limited = [each for each in (default_days, *days.values()) if each > 0]
    if not limited:
        return {}
    old = exists().where(turns.c.channel == channels.c.key, _before(now - min(limited) * DAY))
    keys = (await connection.scalars(select(channels.c.key).where(old))).all()
    kept = {key: await _kept(connection, key, days, default_days) for key in keys}
    return {key: now - each * DAY for key, each in kept.items() if each > 0}


def outdated(channel: str, moment: float) -> ColumnElement[bool]:
    """Which turns of a channel were accepted before a moment, and are finished."""
    finished = turns.c.state.in_([str(state) for state in FINAL])
    return (turns.c.channel == channel) & _before(moment) & finished


def _before(moment: float) -> ColumnElement[bool]:
    # Both kinds are named, so that the index of a channel's turns by kind and time is used.
    return turns.c.drawing.in_([False, True]) & (turns.c.accepted_at < moment)


async def _days(connection: AsyncConnection) -> dict[str, int]:
    """Days for which turns are kept, by scope, where something is set."""
    rows = await connection.execute(select(settings.c.scope, settings.c["values"]))
    return {scope: values[_SETTING] for scope, values in rows if _SETTING in values}


async def _kept(
    connection: AsyncConnection, channel: str, days: Mapping[str, int], default_days: int
) -> int:
    """Days for which a channel keeps turns: its own setting, else its server's, else the default.

    The server is the one that its newest turn came from.
    """
    if channel in days:
        return days[channel]
    if not any(scope.startswith("server:") for scope in days):
        return default_days
    server = await connection.scalar(
        select(turns.c.server)
        .where(turns.c.channel == channel)
        .order_by(turns.c.epoch.desc(), turns.c.position.desc())
        .limit(1)
    )
    return days.get(f"server:{ChannelKey.parse(channel).platform}:{server}", default_days)
