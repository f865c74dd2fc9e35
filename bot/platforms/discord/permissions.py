"""What the bot must be allowed to do before it starts to work, and how to say what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import discord

from bot.models import Imagine
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


def of_interaction(interaction: discord.Interaction) -> discord.Permissions | None:
    """What the bot may do where a command was given; `None` if that does not matter or is unknown.

    Discord says it with the interaction. Nothing at all counts as not said, because then the
    server's roles, which the gateway sent, know better.
    """
    if interaction.guild_id is None:
        return None
    if interaction.app_permissions.value:
        return interaction.app_permissions
    return _computed(interaction.guild, interaction.channel)


def of_message(message: discord.Message) -> discord.Permissions | None:
    """What the bot may do where a message was written; `None` as in `of_interaction`."""
    return _computed(message.guild, message.channel)


def missing(
    allowed: discord.Permissions | None, channel: object, command: Command, *, replies: bool
) -> tuple[str, ...]:
    """Names of the permissions that answering needs and the bot lacks.

    Args:
        allowed: what it may do; `None` for "all".
        channel: where; a thread has a permission of its own.
        command: pictures are only attached to what draws.
        replies: the answer refers to a message, which Discord shows only to those who may read
            the history.
    """
    if allowed is None:
        return ()
    in_thread = isinstance(channel, discord.Thread)
    needed = ["send_messages_in_threads" if in_thread else "send_messages"]
    if isinstance(command, Imagine | Retry):
        needed.append("attach_files")
    if replies:
        needed.append("read_message_history")
    return tuple(_NAMES[name] for name in needed if not getattr(allowed, name))


def is_place_for(command: Command, channel: object) -> bool:
    """Whether a channel is one for a command by the rule of age-restricted channels.

    Drawings belong only there, or where no server is; a thread is what its channel is.
    """
    if not isinstance(command, Imagine | Retry):
        return True
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return True
    is_restricted = getattr(channel, "is_nsfw", None)
    return is_restricted is not None and bool(is_restricted())


def check_message(message: discord.Message, command: Command, *, restricted: bool) -> None:
    """Refuse a message's command where it cannot be answered.

    Args:
        message: the answer refers to it.
        command: what it asks for.
        restricted: drawings belong in age-restricted channels only, as far as servers go.

    Raises:
        CommandError: with the reason.
    """
    if restricted and not is_place_for(command, message.channel):
        raise CommandError("discord-age-restricted")
    names = missing(of_message(message), message.channel, command, replies=True)
    if names:
        raise refusal(names)


def lacking(allowed: discord.Permissions) -> tuple[str, ...]:
    """Names of everything that the bot could need in a server and does not have."""
    if allowed.administrator:
        return ()
    return tuple(name for flag, name in _NAMES.items() if not getattr(allowed, flag))


def may_write(allowed: discord.Permissions | None, channel: object) -> bool:
    """Whether the bot can say anything there at all."""
    if allowed is None:
        return True
    in_thread = isinstance(channel, discord.Thread)
    return allowed.send_messages_in_threads if in_thread else allowed.send_messages


def is_hidden(interaction: discord.Interaction) -> bool:
    """Whether Discord shows the answer to nobody else.

    It does so where a person brought the app along and may not use such apps ("Use External Apps").
    """
    return interaction.guild_id is not None and not interaction.permissions.use_external_apps


def refusal(names: Sequence[str]) -> CommandError:
    """Tells a person what is missing and who can change it."""
    listed = ", ".join(f"**{name}**" for name in names)
    return CommandError("discord-lacking", count=len(names), names=listed)


def _computed(guild: discord.Guild | None, channel: object) -> discord.Permissions | None:
    """From the roles and overwrites that the gateway sent, as far as it did.

    Events come only from channels that the bot may view, so a result without that permission
    rests on something that was not sent, and is none.
    """
    if guild is None or guild.get_role(guild.id) is None or guild.me is None:
        return None
    if isinstance(channel, discord.Thread) and channel.parent is None:
        return None
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
        return None
    allowed = channel.permissions_for(guild.me)
    return allowed if allowed.view_channel else None
