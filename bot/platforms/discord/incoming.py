"""From Discord's objects to the bot's values. Pure: nothing here waits or talks to Discord."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import discord

from bot.models import Address, Attachment, ChannelKey, IncomingMessage, Person
from bot.platforms.discord import people
from bot.platforms.discord.people import PLATFORM

TOKEN_LIFE = 15 * 60
"""Seconds for which an interaction's token works (Discord: "Receiving and Responding")."""

_PICTURE_SUFFIXES = frozenset(
    {"png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif"}
)
"""Also what the Space cannot read: saying so is better than not noticing the picture."""

_MENTION = re.compile(r"<(@!?|@&|#)(\d+)>")
_EMOJI = re.compile(r"<a?(:\w+:)\d+>")
_ANSWERABLE = frozenset({discord.MessageType.default, discord.MessageType.reply})
"""Everything else (pins, joins, boosts, …) is written by Discord and not by a person."""


def channel_key(channel_id: int) -> ChannelKey:
    """`discord:<channel>`; threads and direct messages have ids of the same kind."""
    return ChannelKey(PLATFORM, (str(channel_id),))


def from_message(
    message: discord.Message, me: discord.ClientUser, starter: discord.Message | None = None
) -> IncomingMessage:
    """A message that is addressed to the bot; its text is `question`.

    Pictures of the message that it answers come along if somebody else posted them: the bot's own
    are found through `reply_to`.

    Args:
        message: as delivered.
        me: the bot.
        starter: the message of another channel that this one's thread was started from, if the
            thread is new to the bot. Its pictures come along, whoever posted them.
    """
    answered = replied_to(message)
    attachments = pictures(message)
    if answered is not None and answered.author.id != me.id:
        attachments += pictures(answered)
    reply_to = message.reference.message_id if is_reply(message) and message.reference else None
    if starter is not None and reply_to is None:
        attachments = attachments or pictures(starter)
        reply_to = starter.id
    channel = str(message.channel.id)
    return IncomingMessage(
        channel=channel_key(message.channel.id),
        person=people.person(message.author),
        message_id=str(message.id),
        address=Address(PLATFORM, channel, {"channel_id": channel, "reply_to": str(message.id)}),
        attachments=attachments,
        reply_to=None if reply_to is None else str(reply_to),
        server="" if message.guild is None else str(message.guild.id),
        roles=people.roles(message.author),
        moderator=people.moderates(message.author, message.channel),
    )


def from_interaction(
    interaction: discord.Interaction,
    channel_id: int,
    received_at: float,
    placeholder: int | None,
    attachments: tuple[Attachment, ...] = (),
    reply_to: int | None = None,
) -> IncomingMessage:
    """A command, or the press of a button; what starts a turn is deferred before.

    Args:
        interaction: as delivered.
        channel_id: where; the same as `interaction.channel_id`, which is known by now.
        received_at: Unix seconds by this machine's clock, which the surface asks as well.
        placeholder: id of the "thinking" message that deferring made, if Discord told it.
        attachments: files given with the command.
        reply_to: the message that the command is about.
    """
    channel = str(channel_id)
    token = {
        "application_id": str(interaction.application_id),
        "token": interaction.token,
        "expires": received_at + TOKEN_LIFE,
        "message_id": None if placeholder is None else str(placeholder),
    }
    return IncomingMessage(
        channel=channel_key(channel_id),
        person=who(interaction),
        message_id=str(interaction.id),
        address=Address(
            PLATFORM,
            channel,
            {
                "channel_id": channel,
                "interaction": token,
                "member": not is_only_user_installed(interaction),
                "language": interaction.locale.value,
                "largest": interaction.filesize_limit,
            },
        ),
        attachments=attachments,
        reply_to=None if reply_to is None else str(reply_to),
        server="" if interaction.guild_id is None else str(interaction.guild_id),
        roles=people.roles(interaction.user),
        moderator=(
            people.may_manage(interaction.permissions)
            if interaction.guild_id is not None
            else people.moderates(interaction.user, interaction.channel)
        ),
    )


def from_press(interaction: discord.Interaction, channel_id: int) -> IncomingMessage:
    """A press whose reply is an ordinary message that refers to the one with the button."""
    pressed = from_interaction(interaction, channel_id, 0.0, None)
    data = {name: pressed.address.data[name] for name in ("channel_id", "language", "largest")}
    if interaction.message is not None:
        data["reply_to"] = str(interaction.message.id)
    return replace(pressed, address=replace(pressed.address, data=data))


def drawing(message: IncomingMessage) -> IncomingMessage:
    """The same request, its reply being known to show pictures in the end."""
    data = message.address.data | {"drawing": True}
    return replace(message, address=replace(message.address, data=data))


def leaves_a_trace(interaction: discord.Interaction) -> bool:
    """Whether the reply to a press must go through its interaction.

    That is where the bot itself is not, and under a message that only one person sees.
    """
    shown = interaction.message
    return is_only_user_installed(interaction) or (shown is not None and shown.flags.ephemeral)


def who(interaction: discord.Interaction) -> Person:
    """Who started an interaction."""
    return people.person(interaction.user, interaction.locale.value)


def is_only_user_installed(interaction: discord.Interaction) -> bool:
    """Whether a person brought the app along to a place where the bot itself is not."""
    return (
        interaction.is_user_integration()
        and not interaction.is_guild_integration()
        and not interaction.context.dm_channel
    )


def is_direct(message: discord.Message) -> bool:
    """Whether a message was written in a direct message."""
    return isinstance(message.channel, discord.DMChannel)


def is_addressed(message: discord.Message, me: discord.ClientUser) -> bool:
    """Whether the bot should answer: a direct message, a mention, or a reply to the bot."""
    if message.author.bot or message.webhook_id is not None or message.type not in _ANSWERABLE:
        return False
    if is_direct(message) or me in message.mentions:
        return True
    if any(_is_own_role(role, me) for role in message.role_mentions):
        return True
    answered = replied_to(message)
    return answered is not None and answered.author.id == me.id


def is_reply(message: discord.Message) -> bool:
    """Whether a message answers another one; a forwarded one does not."""
    return (
        message.reference is not None
        and message.reference.type is discord.MessageReferenceType.reply
    )


def replied_to(message: discord.Message) -> discord.Message | None:
    """The message that this one answers, if Discord sent it along."""
    if not is_reply(message) or message.reference is None:
        return None
    resolved = message.reference.resolved
    return resolved if isinstance(resolved, discord.Message) else None


def question(message: discord.Message, me: discord.ClientUser) -> str:
    """The text without the mention of the bot, other mentions by name as people see them."""
    users = {user.id: user.display_name for user in message.mentions}
    roles = {role.id: role.name for role in message.role_mentions}
    channels = {channel.id: channel.name for channel in message.channel_mentions}
    own = {me.id} | {role.id for role in message.role_mentions if _is_own_role(role, me)}

    def named(match: re.Match[str]) -> str:
        kind, number = match[1], int(match[2])
        if number in own:
            return ""
        if kind == "#":
            return f"#{channels.get(number, 'channel')}"
        names = roles if kind == "@&" else users
        return f"@{names.get(number, 'somebody')}"

    text = _EMOJI.sub(r"\1", _MENTION.sub(named, message.content))
    return re.sub(r"[ \t]{2,}", " ", text).strip()


def pictures(message: discord.Message) -> tuple[Attachment, ...]:
    """Attachments that look like pictures, forwarded ones included."""
    forwarded = (item for snapshot in message.message_snapshots for item in snapshot.attachments)
    return attachments((*message.attachments, *forwarded))


def attachments(items: Iterable[discord.Attachment]) -> tuple[Attachment, ...]:
    """Those that look like pictures."""
    return tuple(attachment(item) for item in items if _looks_like_picture(item))


def attachment(item: discord.Attachment) -> Attachment:
    """Any one file, as data. Its address is signed and works for about a day."""
    return Attachment(
        name=item.filename,
        source={"url": item.url, "id": str(item.id)},
        size=item.size,
        media_type=item.content_type,
    )


def _looks_like_picture(item: discord.Attachment) -> bool:
    claimed = (item.content_type or "").startswith("image/")
    return claimed or item.filename.rpartition(".")[2].lower() in _PICTURE_SUFFIXES


def _is_own_role(role: discord.Role, me: discord.ClientUser) -> bool:
    """People pick the role that Discord made for the bot as easily as the bot itself."""
    return role.tags is not None and role.tags.bot_id == me.id
