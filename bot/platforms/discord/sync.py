"""Telling Discord which commands there are, when it does not know them yet."""

from __future__ import annotations

from asyncio import timeout
from collections.abc import Sequence
from typing import Any

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.http import Route

log = structlog.get_logger(__name__)

LOOK_TIMEOUT = 5.0
SYNC_TIMEOUT = 30.0
"""Seconds; commands that Discord has from before work meanwhile, so a start is not held up."""

_FIELDS = frozenset(
    {"type", "name", "description", "options", "required", "choices", "autocomplete"}
    | {"min_value", "max_value", "min_length", "max_length", "contexts", "value"}
)
_TRANSLATED = frozenset({"name_localizations", "description_localizations"})
"""What this program says about its commands. Discord adds ids, versions and defaults."""


async def sync_commands(
    tree: app_commands.CommandTree[discord.Client], guild_ids: Sequence[int]
) -> None:
    """Make Discord's list of commands the tree's, if it is another one.

    Failing is a warning: commands that were there before go on working.

    Args:
        tree: with its commands; the client is logged in.
        guild_ids: servers to tell, where a change shows at once; empty for all places.
    """
    for guild_id in guild_ids or (None,):
        guild = None if guild_id is None else discord.Object(guild_id)
        if guild is not None:
            tree.copy_global_to(guild=guild)
        try:
            if await _known(tree, guild) == await _wanted(tree, guild):
                continue
            async with timeout(SYNC_TIMEOUT):
                await tree.sync(guild=guild)
        except discord.Forbidden:
            log.warning(
                "commands not registered",
                guild=guild_id,
                remedy="invite the bot to this server again, with the scope applications.commands",
            )
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("commands not registered", guild=guild_id, error=str(error))
        else:
            log.info("commands registered", guild=guild_id)


async def _known(
    tree: app_commands.CommandTree[discord.Client], guild: discord.Object | None
) -> list[Any] | None:
    """What Discord has; `None` if it does not say, e.g. through a proxy that lacks this route."""
    client = tree.client
    if client.application_id is None:
        raise discord.MissingApplicationID
    where = "" if guild is None else f"/guilds/{guild.id}"
    path = f"/applications/{client.application_id}{where}/commands"
    try:
        async with timeout(LOOK_TIMEOUT):
            answer: object = await client.http.request(
                Route("GET", path), params={"with_localizations": "true"}
            )
    except (discord.HTTPException, TimeoutError):
        return None
    return _listed(answer, guild) if isinstance(answer, list) else None


async def _wanted(
    tree: app_commands.CommandTree[discord.Client], guild: discord.Object | None
) -> list[Any]:
    commands = tree.get_commands(guild=guild)
    if tree.translator is None:
        return _listed([command.to_dict(tree) for command in commands], guild)
    translator = tree.translator
    told = [await command.get_translated_payload(tree, translator) for command in commands]
    return _listed(told, guild)


def _listed(commands: list[Any], guild: discord.Object | None) -> list[Any]:
    essential = [_essence(command) for command in commands]
    if guild is not None:  # only global commands have contexts
        essential = [{**command, "contexts": None} for command in essential]
    return sorted(essential, key=lambda command: (command.get("type", 1), command["name"]))


def _essence(value: Any) -> Any:
    """Without what Discord adds, and without what it leaves out because it is the default."""
    if isinstance(value, dict):
        kept = {key: _essence(item) for key, item in value.items() if key in _FIELDS}
        kept |= {key: item for key, item in value.items() if key in _TRANSLATED}
        return {key: item for key, item in kept.items() if item not in (None, False, [], "", {})}
    if isinstance(value, list):
        return [_essence(item) for item in value]
    return value
