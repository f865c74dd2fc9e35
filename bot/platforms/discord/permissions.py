"""What the bot must be allowed to do, and how people and the operator learn what is missing."""

from __future__ import annotations

from typing import Final

import discord

from bot.models import Imagine
from bot.platforms.discord.errors import NO_ANSWER
from bot.platforms.discord.parsing import is_only_user_installed
from bot.turns.commands import Command, CommandError, Retry

_NAMES: Final = {
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "attach_files": "Attach Files",
    "read_message_history": "Read Message History",
}
"""Permissions and their names in Discord's own settings."""

WANTED: Final = discord.Permissions(view_channel=True, **dict.fromkeys(_NAMES, True))
"""What an invitation should ask for."""

_MAX_SERVERS: Final = 200
"""As many as Discord lists in one answer; a bot in more of them was invited well."""

_CONTENT_INTENT: Final = (
    "The message content intent is off. Direct messages, mentions, replies to the bot and commands "
    "work, but not questions about a picture in the message that somebody replies to. Switch it on "
    "at https://discord.com/developers/applications, on the application's Bot page."
)


def of_interaction(interaction: discord.Interaction) -> discord.Permissions | None:
    """What the bot may do where a command was given; `None` if that does not matter or is unknown.

    Discord says it with the interaction. Nothing at all counts as not said, because then the
    server's roles, which the gateway sent, know better. Where the bot itself is not, it answers
    through the interaction, which needs no permission.
    """
    if interaction.guild_id is None or is_only_user_installed(interaction):
        return None
    if interaction.app_permissions.value:
        return interaction.app_permissions
    return computed(interaction.guild, interaction.channel)


def computed(guild: discord.Guild | None, channel: object) -> discord.Permissions | None:
    """What the bot may do in a channel, by the roles and overwrites that the gateway sent.

    Events come only from channels that the bot may view, so a result without that permission
    rests on something that was not sent, and counts as unknown: `None`.
    """
    if guild is None or guild.get_role(guild.id) is None or guild.me is None:
        return None
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
        return None
    if isinstance(channel, discord.Thread) and channel.parent is None:
        return None
    allowed = channel.permissions_for(guild.me)
    return allowed if allowed.view_channel else None


def check(
    command: Command,
    channel: object,
    allowed: discord.Permissions | None,
    *,
    age_restricted: bool,
    replies: bool,
) -> None:
    """Refuse a command where it cannot be answered.

    Args:
        command: only drawings and what repeats them need to attach files.
        channel: a thread is age-restricted if its channel is.
        allowed: what the bot may do there; `None` for "all".
        age_restricted: in servers, drawings belong in age-restricted channels only.
        replies: the answer refers to a message, which needs a permission as well.

    Raises:
        CommandError: with what is in the way, and who can change it.
    """
    draws = isinstance(command, Imagine | Retry)
    in_server = isinstance(channel, discord.abc.GuildChannel | discord.Thread)
    if age_restricted and draws and in_server:
        is_restricted = getattr(channel, "is_nsfw", None)
        if is_restricted is None or not is_restricted():
            raise CommandError("discord-age-restricted")
    if allowed is None:
        return
    needed = [_writing(channel)]
    if draws:
        needed.append("attach_files")
    if replies:
        needed.append("read_message_history")
    lacking = [_NAMES[flag] for flag in needed if not getattr(allowed, flag)]
    if lacking:
        listed = ", ".join(f"**{name}**" for name in lacking)
        raise CommandError("discord-lacking", count=len(lacking), names=listed)


def may_write(allowed: discord.Permissions | None, channel: object) -> bool:
    """Whether the bot can say anything there at all."""
    return allowed is None or bool(getattr(allowed, _writing(channel)))


async def advice(client: discord.Client, intents: discord.Intents) -> list[str]:
    """What the operator should know about intents, servers and the bot's roles there."""
    found = [] if intents.message_content else [_CONTENT_INTENT]
    if client.application_id is None:
        return found
    link = discord.utils.oauth_url(
        client.application_id, permissions=WANTED, scopes=("bot", "applications.commands")
    )
    try:
        servers = await client.http.get_guilds(_MAX_SERVERS, with_counts=False)
    except NO_ANSWER as error:
        return [*found, f"Discord does not say which servers the bot is in: {error}"]
    if not servers:
        found.append(f"The bot is in no server yet. Invite it: {link}")
    for server in servers:
        allowed = discord.Permissions(int(server["permissions"]))
        lacking = [name for flag, name in _NAMES.items() if not getattr(allowed, flag)]
        if lacking and not allowed.administrator:
            found.append(
                f"In the server {server['name']} the bot's roles lack {', '.join(lacking)}. "
                f"Change them there, or invite it again: {link}"
            )
    return found


def _writing(channel: object) -> str:
    return "send_messages_in_threads" if isinstance(channel, discord.Thread) else "send_messages"
