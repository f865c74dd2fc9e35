"""Commands and suggestions for their options, handed to the inbox and answered.

Discord waits three seconds for the first answer, so whatever takes longer is deferred before.
"""

from __future__ import annotations

import time
from asyncio import timeout
from collections.abc import Awaitable

import discord
import structlog
from discord import app_commands

from bot.errors import BotError
from bot.i18n import Catalogue, Words
from bot.models import Ask, Attachment, Imagine, IncomingMessage
from bot.platforms.discord import incoming, notices, permissions
from bot.platforms.discord.counted import Counted
from bot.platforms.discord.faults import NO_ANSWER
from bot.turns import answers
from bot.turns.commands import Command, CommandError, Retry
from bot.turns.inbox import Inbox, Notice

log = structlog.get_logger(__name__)

QUICKLY = 1.5
"""Seconds for what must be known before the first answer; half of what Discord waits."""

MOST_CHOICES = 25
MOST_CHOICE = 100
"""Suggestions for an option, and characters of one; a longer one cannot be picked."""


class Interactions:
    """Takes interactions in, from the start of `DiscordAdapter.serve` to its end.

    Args:
        inbox: where they go.
        catalogue: what the bot says, in all its languages.
        counted: each is counted here while it is handled.
        restricted: drawings belong in age-restricted channels only, as far as servers go.
    """

    def __init__(
        self, inbox: Inbox, catalogue: Catalogue, counted: Counted, *, restricted: bool = False
    ) -> None:
        self._restricted = restricted
        self._inbox = inbox
        self._catalogue = catalogue
        self._counted = counted
        self._told: set[tuple[int | None, int]] = set()

    async def command(
        self,
        interaction: discord.Interaction,
        command: Command,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> None:
        """A slash command or context menu."""
        with self._counted():
            await self.carry_out(interaction, command, attachments, reply_to)

    async def refuse(self, interaction: discord.Interaction, reason: CommandError) -> None:
        """Answer an interaction at once, to nobody but who started it, in their language."""
        await notices.whisper(interaction, reason.said_in(self.words(interaction)))

    async def prompts(
        self, interaction: discord.Interaction, beginning: str
    ) -> list[app_commands.Choice[str]]:
        """What the person drew lately, for the option of a command; nobody else sees it."""
        try:
            async with timeout(QUICKLY):
                found = await self._inbox.recent_prompts(incoming.who(interaction), beginning)
        except (BotError, TimeoutError) as error:
            log.info("no suggestions", reason=str(error))
            return []
        fitting = [each for each in found if len(each) <= MOST_CHOICE and each.isprintable()]
        return [app_commands.Choice(name=each, value=each) for each in fitting[:MOST_CHOICES]]

    async def failed(self, interaction: discord.Interaction) -> None:
        """Say that something went wrong, so that nobody waits for an answer that does not come."""
        notice = Notice(self.words(interaction)("discord-failed"))
        if interaction.response.is_done():
            await notices.follow(interaction, notice, self.words(interaction))
        else:
            await notices.whisper(interaction, notice.text)

    async def carry_out(
        self,
        interaction: discord.Interaction,
        command: Command,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> None:
        """As `command`, for who counts by themselves."""
        if await self.is_refused(interaction, command):
            return
        private = not isinstance(command, Ask | Imagine | Retry)
        message = await self.deferred(
            interaction, private=private, attachments=attachments, reply_to=reply_to
        )
        if message is not None:
            if isinstance(command, Imagine):
                message = incoming.drawing(message)
            notice = await or_reason(self._inbox.handle(message, command), self.words(interaction))
            await self.fill_in(interaction, notice, private=private)
            if not private and notice is None:
                await self._say_if_hidden(interaction)

    async def _say_if_hidden(self, interaction: discord.Interaction) -> None:
        """Say why nobody else sees the answer; once to each person of a server."""
        where = (interaction.guild_id, interaction.user.id)
        if where in self._told or not incoming.is_only_user_installed(interaction):
            return
        if permissions.is_hidden(interaction):
            self._told.add(where)
            words = self.words(interaction)
            await notices.follow(interaction, Notice(words("discord-external-apps")), words)

    async def is_refused(self, interaction: discord.Interaction, command: Command) -> bool:
        """Whether a command cannot be answered there; if so, that was said."""
        if interaction.channel_id is None:
            await self.refuse(interaction, CommandError("discord-no-channel"))
            return True
        if self._restricted and not permissions.is_place_for(command, interaction.channel):
            await self.refuse(interaction, CommandError("discord-age-restricted"))
            return True
        lacking = permissions.missing(
            permissions.of_interaction(interaction), interaction.channel, command, replies=False
        )
        if not lacking or incoming.is_only_user_installed(interaction):
            return False
        await self.refuse(interaction, permissions.refusal(lacking))
        return True

    async def deferred(
        self,
        interaction: discord.Interaction,
        *,
        private: bool,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> IncomingMessage | None:
        """Defer; `None` if Discord does not wait for an answer any more."""
        received_at = time.time()
        try:
            answered = await interaction.response.defer(thinking=True, ephemeral=private)
        except NO_ANSWER as error:
            # Too late, or taken by another process with this token: the person sees that it
            # failed, and answering in spite of it would be a surprise.
            log.warning("interaction not deferred", error=str(error))
            return None
        placeholder = answered.message_id if answered is not None else None
        channel_id = interaction.channel_id or 0  # looked at before
        return incoming.from_interaction(
            interaction, channel_id, received_at, placeholder, attachments, reply_to
        )

    async def fill_in(
        self, interaction: discord.Interaction, notice: Notice | None, *, private: bool
    ) -> None:
        """Put a notice, if there is one, in the place of a deferred answer."""
        if notice is not None:
            await notices.fill_in(interaction, notice, self.words(interaction), private=private)

    def words(self, interaction: discord.Interaction) -> Words:
        """The language of who started an interaction."""
        return self._catalogue.words(interaction.locale.value)


async def or_reason(answer: Awaitable[Notice | None], words: Words) -> Notice | None:
    """What the inbox says, or why it cannot say anything."""
    try:
        return await answer
    except BotError as error:
        return Notice(answers.reason(error, words))
