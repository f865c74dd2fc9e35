"""Who somebody on Discord is, and what they may do where they write. Pure."""

from __future__ import annotations

from typing import Final

import discord

from bot.models import Person

PLATFORM: Final = "discord"


def roles(user: discord.User | discord.Member) -> tuple[str, ...]:
    """Ids of a member's roles, `@everyone` included, as far as the server's roles are known."""
    known = user.roles if isinstance(user, discord.Member) else ()
    return tuple(str(role.id) for role in known)


def moderates(user: discord.User | discord.Member, channel: object) -> bool:
    """Whether somebody may manage what others write in a channel.

    A direct message belongs to both who are in it, a group of people to its owner.
    """
    if isinstance(channel, discord.DMChannel):
        return True
    if isinstance(channel, discord.GroupChannel):
        return channel.owner_id == user.id
    if not isinstance(user, discord.Member):
        return False
    if isinstance(channel, discord.Thread) and channel.parent is None:
        return may_manage(user.guild_permissions)
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
        return False
    return may_manage(channel.permissions_for(user))


def may_manage(allowed: discord.Permissions) -> bool:
    """Whether permissions are those of somebody who manages what others write."""
    return allowed.administrator or allowed.manage_messages


def person(user: discord.User | discord.Member, language: str = "") -> Person:
    """Somebody as the rest of the bot knows them."""
    return Person(PLATFORM, str(user.id), user.display_name, language)
