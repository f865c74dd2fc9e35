"""What an operator should know about the bot's account on Discord."""

from __future__ import annotations

import aiohttp
import discord

from bot.platforms.discord import permissions
from bot.platforms.discord.client import BotClient

_MOST_SERVERS = 200
"""As many as Discord lists in one answer; a bot in more of them was invited well."""

_CONTENT = (
    "The message content intent is off. Direct messages, mentions, replies to the bot and commands "
    "work, but not questions about a picture in the message that somebody replies to. Switch it on "
    "at https://discord.com/developers/applications, on the application's Bot page."
)


def invitation(application_id: int) -> str:
    """The address under which somebody adds the bot to a server, with exactly what it needs."""
    return discord.utils.oauth_url(
        application_id,
        permissions=permissions.WANTED,
        scopes=("bot", "applications.commands"),
    )


async def advice(client: BotClient) -> list[str]:
    """Sentences about intents, servers and permissions; `client` is logged in."""
    found = [] if client.reads_messages else [_CONTENT]
    if client.application_id is None:
        return found
    link = invitation(client.application_id)
    try:
        servers = await client.http.get_guilds(_MOST_SERVERS, with_counts=False)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        return [*found, f"Discord does not say which servers the bot is in: {error}"]
    if not servers:
        found.append(f"The bot is in no server yet. Invite it: {link}")
    for server in servers:
        allowed = discord.Permissions(int(server["permissions"]))
        lacking = permissions.lacking(allowed)
        if lacking:
            found.append(
                f"In the server {server['name']} the bot's roles lack {', '.join(lacking)}. "
                f"Change them there, or invite it again: {link}"
            )
    return found
