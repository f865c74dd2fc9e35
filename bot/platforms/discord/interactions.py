"""Commands, presses of buttons, and forms that people send in: handed to the inbox and answered.

Discord waits three seconds for the first answer, so whatever takes longer is deferred before.
"""

from __future__ import annotations

import time
from asyncio import timeout
from collections.abc import Awaitable

import discord
import structlog
from discord import app_commands

from bot.actions import Action, Verb
from bot.errors import BotError
from bot.language import Catalogue, Words
from bot.messages import Attachment, IncomingMessage
from bot.platforms.discord import components, incoming, notices, permissions
from bot.platforms.discord.counted import Counted
from bot.platforms.discord.faults import NO_ANSWER
from bot.turn import Ask, Imagine
from bot.turns.commands import Command, CommandError, Retry, imagine
from bot.turns.inbox import Inbox, Notice

log = structlog.get_logger(__name__)

QUICKLY = 1.5
"""Seconds for what must be known before the first answer; half of what Discord waits."""

MOST_CHOICES = 25
MOST_CHOICE = 100
"""Suggestions for an option, and characters of one; a longer one cannot be picked."""

_BEGINS = frozenset({Verb.AGAIN, Verb.LESS, Verb.MORE, Verb.RETRY})
"""Presses that start a turn, whose reply everybody sees."""


class Interactions:
    """Takes interactions in, from the start of `DiscordAdapter.serve` to its end.

    Args:
        inbox: where they go.
        catalogue: what the bot says, in all its languages.
        counted: each is counted here while it is handled.
    """

    def __init__(self, inbox: Inbox, catalogue: Catalogue, counted: Counted) -> None:
        self._inbox = inbox
        self._catalogue = catalogue
        self._counted = counted

    async def command(
        self,
        interaction: discord.Interaction,
        command: Command,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> None:
        """A slash command or context menu."""
        with self._counted():
            await self._carry_out(interaction, command, attachments, reply_to)

    async def refuse(self, interaction: discord.Interaction, reason: CommandError) -> None:
        """Answer an interaction at once, to nobody but who started it, in their language."""
        await notices.whisper(interaction, reason.said_in(self._words(interaction)))

    async def press(self, interaction: discord.Interaction) -> None:
        """A button was pressed, perhaps one that an earlier process made."""
        with self._counted():
            action = components.action(interaction)
            if action is None:
                await self.refuse(interaction, CommandError("press-gone"))
            elif interaction.channel_id is None:
                await self.refuse(interaction, CommandError("discord-no-channel"))
            elif action.verb is Verb.EDIT:
                await self._ask_for_prompt(interaction, interaction.channel_id, action)
            elif action.verb in _BEGINS:
                await self._begin(interaction, interaction.channel_id, action)
            else:
                await self._at_once(interaction, interaction.channel_id, action)

    async def submitted(self, interaction: discord.Interaction) -> None:
        """A form with a new prompt was sent in; the same seed is drawn with it."""
        with self._counted():
            action = components.action(interaction)
            try:
                async with timeout(QUICKLY):
                    found = None if action is None else await self._inbox.drawing(action.target)
                command = _with_prompt(found, components.sent_prompt(interaction))
            except CommandError as error:
                await self.refuse(interaction, error)
            except TimeoutError:
                await self.refuse(interaction, CommandError("discord-slow"))
            except BotError as error:
                await notices.whisper(interaction, str(error))
            else:
                await self._carry_out(interaction, command)

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
        notice = Notice(self._words(interaction)("discord-failed"))
        if interaction.response.is_done():
            await notices.follow(interaction, notice, self._words(interaction))
        else:
            await notices.whisper(interaction, notice.text)

    async def _carry_out(
        self,
        interaction: discord.Interaction,
        command: Command,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> None:
        if await self._is_refused(interaction, command):
            return
        private = not isinstance(command, Ask | Imagine | Retry)
        message = await self._deferred(
            interaction, private=private, attachments=attachments, reply_to=reply_to
        )
        if message is not None:
            notice = await _or_reason(self._inbox.handle(message, command))
            await self._fill_in(interaction, notice, private=private)

    async def _is_refused(self, interaction: discord.Interaction, command: Command) -> bool:
        """Whether a command cannot be answered there; if so, that was said."""
        if interaction.channel_id is None:
            await self.refuse(interaction, CommandError("discord-no-channel"))
            return True
        lacking = permissions.missing(
            permissions.of_interaction(interaction), interaction.channel, command, replies=False
        )
        if not lacking or incoming.is_only_user_installed(interaction):
            return False
        await self.refuse(interaction, permissions.refusal(lacking))
        return True

    async def _ask_for_prompt(
        self, interaction: discord.Interaction, channel_id: int, action: Action
    ) -> None:
        message = incoming.from_interaction(interaction, channel_id, time.time(), None)
        words = self._words(interaction)
        try:
            async with timeout(QUICKLY):
                notice = await self._inbox.press(message, action)
                drawing = await self._inbox.drawing(action.target)
        except TimeoutError:
            notice, drawing = Notice(words("discord-slow")), None
        except BotError as error:
            notice, drawing = Notice(str(error)), None
        if notice is not None or drawing is None:
            text = words("press-gone") if notice is None else notice.text
            await notices.whisper(interaction, text)
            return
        try:
            await interaction.response.send_modal(
                components.prompt_form(action, drawing.prompt, words)
            )
        except NO_ANSWER as error:
            log.warning("form not shown", error=str(error))

    async def _begin(
        self, interaction: discord.Interaction, channel_id: int, action: Action
    ) -> None:
        """A press that starts a turn. Who may not press learns it where nobody else sees it.

        Only the inbox knows who may, and a deferred answer that everybody sees could not be taken
        back unseen. So the press is acknowledged without a trace, and the reply is an ordinary
        message; except where the bot may send none, or only one person sees the button.
        """
        if await self._is_refused(interaction, Retry()):
            return
        if incoming.leaves_a_trace(interaction):
            message = await self._deferred(interaction, private=False)
            if message is not None:
                notice = await _or_reason(self._inbox.press(message, action))
                await self._fill_in(interaction, notice, private=False)
        elif await self._acknowledged(interaction):
            message = incoming.from_press(interaction, channel_id)
            notice = await _or_reason(self._inbox.press(message, action))
            if notice is not None:
                await notices.follow(interaction, notice, self._words(interaction))

    async def _at_once(
        self, interaction: discord.Interaction, channel_id: int, action: Action
    ) -> None:
        """A press whose answer is a notice, or the message itself in another form."""
        slow = action.verb is Verb.FULL  # a file takes a while, so something is shown meanwhile
        if not await self._acknowledged(interaction, thinking=slow):
            return
        message = incoming.from_interaction(interaction, channel_id, time.time(), None)
        notice = await _or_reason(self._inbox.press(message, action))
        if slow:
            await self._fill_in(interaction, notice, private=True)
        elif notice is not None:
            await notices.follow(interaction, notice, self._words(interaction))

    async def _acknowledged(
        self, interaction: discord.Interaction, *, thinking: bool = False
    ) -> bool:
        """Acknowledge a press, for nobody or one person to see; whether Discord took that."""
        try:
            await interaction.response.defer(thinking=thinking, ephemeral=thinking)
        except NO_ANSWER as error:
            log.warning("press not acknowledged", error=str(error))
            return False
        return True

    async def _deferred(
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

    async def _fill_in(
        self, interaction: discord.Interaction, notice: Notice | None, *, private: bool
    ) -> None:
        if notice is not None:
            await notices.fill_in(interaction, notice, self._words(interaction), private=private)

    def _words(self, interaction: discord.Interaction) -> Words:
        return self._catalogue.words(interaction.locale.value)


async def _or_reason(answer: Awaitable[Notice | None]) -> Notice | None:
    """What the inbox says, or why it cannot say anything."""
    try:
        return await answer
    except BotError as error:
        return Notice(str(error))


def _with_prompt(drawing: Imagine | None, prompt: str) -> Imagine:
    """The same drawing of something else.

    Raises:
        CommandError: there is no such drawing any more, or no prompt.
    """
    if drawing is None:
        raise CommandError("press-gone")
    return imagine(prompt, drawing.seed, drawing.guidance)
