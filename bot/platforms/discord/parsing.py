"""Messages, commands and presses of Discord as the bot's values, and the address of a reply.

Pure: nothing here waits or talks to Discord.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import discord

from bot.actions import Action
from bot.models import Address, Ask, Attachment, ChannelKey, IncomingMessage, Person
from bot.turns.commands import Command, parse

PLATFORM: Final = "discord"

TOKEN_LIFE_SECONDS: Final = 15 * 60
"""For so long an interaction's token works (Discord: "Receiving and Responding")."""

MAX_FILE_BYTES: Final = 10 * 2**20
"""Of a file in a direct message; elsewhere Discord says how much it takes."""

PROMPT_FIELD: Final = "prompt"
"""Id of the prompt's field in the form that asks for one."""

_PICTURE_SUFFIXES = frozenset(
    {"png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif"}
)
"""Also what the Space cannot read: saying so is better than not noticing the picture."""

_MENTION = re.compile(r"<(@!?|@&|#)(\d+)>")
_EMOJI = re.compile(r"<a?(:\w+:)\d+>")
_ANSWERABLE = frozenset({discord.MessageType.default, discord.MessageType.reply})
"""Everything else (pins, joins, boosts, …) is written by Discord and not by a person."""


@dataclass(frozen=True, slots=True)
class InteractionToken:
    """What lets the bot answer an interaction, wherever that was started.

    Attributes:
        application_id: the bot's own.
        token: a secret, for as long as it works.
        expires: Unix seconds by this machine's clock.
        message_id: of the "thinking" message that deferring made, if Discord told it.
    """

    application_id: str
    token: str = field(repr=False)
    expires: float
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class DiscordTarget:
    """Where a reply goes on Discord; the typed form of this platform's `Address`.

    Attributes:
        channel_id: a channel, thread or direct message.
        reply_to: the message that the reply refers to.
        interaction: if the reply answers one; used while its token works.
        member: the bot itself is there. If not, the interaction is the only way in.
        language: of the person's client; empty where Discord does not tell it.
        max_file_bytes: that a file may have there.
        drawing: the reply will show pictures in the end.
        private: it is a direct message to the bot.
    """

    channel_id: str
    reply_to: str | None = None
    interaction: InteractionToken | None = None
    member: bool = True
    language: str = ""
    max_file_bytes: int = MAX_FILE_BYTES
    drawing: bool = False
    private: bool = False

    def to_address(self) -> Address:
        data = asdict(self)
        data["largest"] = data.pop("max_file_bytes")  # its name in addresses that are stored
        return Address(PLATFORM, self.channel_id, data)

    @classmethod
    def from_address(cls, address: Address) -> Self:
        """Read what `to_address` made, in this or an older version."""
        data = address.data
        interaction = data.get("interaction")
        return cls(
            channel_id=data["channel_id"],
            reply_to=data.get("reply_to"),
            interaction=InteractionToken(**interaction) if interaction else None,
            member=data.get("member", True),
            language=data.get("language", ""),
            max_file_bytes=data.get("largest", MAX_FILE_BYTES),
            drawing=data.get("drawing", False),
            private=data.get("private", False),
        )


def channel_key(channel_id: int | str) -> ChannelKey:
    """`discord:<channel>`; threads and direct messages have ids of the same kind."""
    return ChannelKey(PLATFORM, (str(channel_id),))


def from_message(
    message: discord.Message,
    me: discord.ClientUser,
    starter: discord.Message | None = None,
    *,
    drawing: bool = False,
) -> IncomingMessage:
    """A message that is addressed to the bot, and asks for pictures if it is a `drawing`.

    Pictures of the message that it answers come along if somebody else posted them: the bot's own
    are found through `reply_to`. If its thread is new to the bot, the `starter` is the message of
    another channel that the thread was started from; its pictures come along, whoever posted them.
    """
    answered = replied_to(message)
    attachments = pictures(message)
    if answered is not None and answered.author.id != me.id:
        attachments += pictures(answered)
    reference = _reference(message)
    reply_to = None if reference is None else reference.message_id
    if starter is not None and reply_to is None:
        attachments = attachments or pictures(starter)
        reply_to = starter.id
    target = DiscordTarget(
        str(message.channel.id),
        reply_to=str(message.id),
        drawing=drawing,
        private=message.guild is None,
    )
    return IncomingMessage(
        channel=channel_key(message.channel.id),
        person=person_of(message.author),
        message_id=str(message.id),
        address=target.to_address(),
        attachments=attachments,
        reply_to=None if reply_to is None else str(reply_to),
        server="" if message.guild is None else str(message.guild.id),
        roles=_roles(message.author),
        moderator=_moderates(message.author, message.channel),
    )


def from_interaction(
    interaction: discord.Interaction,
    target: DiscordTarget,
    attachments: tuple[Attachment, ...] = (),
    reply_to: int | None = None,
) -> IncomingMessage:
    """A command, perhaps about the message `reply_to`, or the press of a button."""
    return IncomingMessage(
        channel=channel_key(target.channel_id),
        person=person_of(interaction.user, interaction.locale.value),
        message_id=str(interaction.id),
        address=target.to_address(),
        attachments=attachments,
        reply_to=None if reply_to is None else str(reply_to),
        server="" if interaction.guild_id is None else str(interaction.guild_id),
        roles=_roles(interaction.user),
        moderator=(
            _may_manage(interaction.permissions)
            if interaction.guild_id is not None
            else _moderates(interaction.user, interaction.channel)
        ),
    )


def through_interaction(
    interaction: discord.Interaction,
    received_at: float,
    placeholder: int | None = None,
    *,
    drawing: bool = False,
) -> DiscordTarget:
    """A reply that answers the interaction itself.

    Args:
        interaction: with a channel; deferred by now if it starts a turn.
        received_at: Unix seconds by this machine's clock, which the surface asks as well.
        placeholder: id of the "thinking" message that deferring made, if Discord told it.
        drawing: the reply will show pictures in the end.
    """
    return DiscordTarget(
        str(interaction.channel_id),
        interaction=InteractionToken(
            application_id=str(interaction.application_id),
            token=interaction.token,
            expires=received_at + TOKEN_LIFE_SECONDS,
            message_id=None if placeholder is None else str(placeholder),
        ),
        member=not is_only_user_installed(interaction),
        language=interaction.locale.value,
        max_file_bytes=interaction.filesize_limit,
        drawing=drawing,
        private=interaction.context.dm_channel,
    )


def is_only_user_installed(interaction: discord.Interaction) -> bool:
    """Whether a person brought the app along to a place where the bot itself is not."""
    return (
        interaction.is_user_integration()
        and not interaction.is_guild_integration()
        and not interaction.context.dm_channel
    )


def is_addressed(message: discord.Message, me: discord.ClientUser) -> bool:
    """Whether the bot should answer: a direct message, a mention, or a reply to the bot."""
    if message.author.bot or message.webhook_id is not None or message.type not in _ANSWERABLE:
        return False
    if isinstance(message.channel, discord.DMChannel) or me in message.mentions:
        return True
    if any(_is_own_role(role, me) for role in message.role_mentions):
        return True
    answered = replied_to(message)
    return answered is not None and answered.author.id == me.id


def replied_to(message: discord.Message) -> discord.Message | None:
    """The message that this one answers, if Discord sent it along."""
    reference = _reference(message)
    resolved = None if reference is None else reference.resolved
    return resolved if isinstance(resolved, discord.Message) else None


def _reference(message: discord.Message) -> discord.MessageReference | None:
    """Which message this one answers; a forwarded one answers none."""
    reference = message.reference
    is_reply = reference is not None and reference.type is discord.MessageReferenceType.reply
    return reference if is_reply else None


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


def command_in(message: discord.Message, me: discord.ClientUser) -> Command:
    """What a message asks for. In a direct message people also type commands out.

    Raises:
        CommandError: a command with a value that cannot be used.
    """
    text = question(message, me)
    typed = parse(text) if isinstance(message.channel, discord.DMChannel) else None
    return Ask(text) if typed is None else typed


def pictures(message: discord.Message) -> tuple[Attachment, ...]:
    """Attachments that look like pictures, forwarded ones included."""
    forwarded = (item for snapshot in message.message_snapshots for item in snapshot.attachments)
    items = (*message.attachments, *forwarded)
    return tuple(attachment(item) for item in items if _looks_like_picture(item))


def attachment(item: discord.Attachment) -> Attachment:
    """Any one file, as data. Its address is signed and works for about a day."""
    return Attachment(
        name=item.filename,
        source={"url": item.url, "id": str(item.id)},
        size=item.size,
        media_type=item.content_type,
    )


def action_of(interaction: discord.Interaction) -> Action | None:
    """What a pressed button or a submitted form means; `None` if this version does not know it."""
    data: Any = interaction.data or {}
    try:
        return Action.parse(data.get("custom_id", ""))
    except ValueError:
        return None


def submitted_prompt(interaction: discord.Interaction) -> str:
    """What stands in the prompt's field of a submitted form."""
    data: Any = interaction.data or {}
    pending = list(data.get("components", []))
    while pending:  # fields stand in rows, under labels or by themselves, as they were sent
        each = pending.pop()
        if each.get("custom_id") == PROMPT_FIELD:
            return str(each.get("value", ""))
        pending += each.get("components", [])
        if "component" in each:
            pending.append(each["component"])
    return ""


def person_of(user: discord.User | discord.Member, language: str = "") -> Person:
    return Person(PLATFORM, str(user.id), user.display_name, language)


def _roles(user: discord.User | discord.Member) -> tuple[str, ...]:
    """Ids of a member's roles, `@everyone` included, as far as the server's roles are known."""
    known = user.roles if isinstance(user, discord.Member) else ()
    return tuple(str(role.id) for role in known)


def _moderates(user: discord.User | discord.Member, channel: object) -> bool:
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
        return _may_manage(user.guild_permissions)
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
        return False
    return _may_manage(channel.permissions_for(user))


def _may_manage(allowed: discord.Permissions) -> bool:
    return allowed.administrator or allowed.manage_messages


def _looks_like_picture(item: discord.Attachment) -> bool:
    claimed = (item.content_type or "").startswith("image/")
    return claimed or item.filename.rpartition(".")[2].lower() in _PICTURE_SUFFIXES


def _is_own_role(role: discord.Role, me: discord.ClientUser) -> bool:
    """People pick the role that Discord made for the bot as easily as the bot itself."""
    return role.tags is not None and role.tags.bot_id == me.id
