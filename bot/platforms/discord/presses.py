"""Presses of buttons, and the form for a new prompt that one of them opens.

Nothing is remembered about them, so they work whichever process made the button.
"""

from __future__ import annotations

import time
from asyncio import timeout
from typing import Final

import discord
import structlog

from bot.actions import Action, Verb
from bot.errors import BotError
from bot.models import Imagine, IncomingMessage
from bot.platforms.discord import components, incoming, notices
from bot.platforms.discord.counted import Counted
from bot.platforms.discord.faults import NO_ANSWER
from bot.platforms.discord.interactions import QUICKLY, Interactions, or_reason
from bot.turns import answers
from bot.turns.commands import CommandError, Retry, imagine
from bot.turns.inbox import Inbox, Notice

log = structlog.get_logger(__name__)

_DRAWS: Final = frozenset({Verb.AGAIN, Verb.LESS, Verb.MORE})
_BEGINS: Final = _DRAWS | {Verb.RETRY}
"""Presses that start a turn, whose reply everybody sees; only the core knows what is retried."""


class Presses:
    """Takes presses in, from the start of `DiscordAdapter.serve` to its end.

    Args:
        inbox: where they go.
        desk: answers interactions.
        counted: each is counted here while it is handled.
    """

    def __init__(self, inbox: Inbox, desk: Interactions, counted: Counted) -> None:
        self._inbox = inbox
        self._desk = desk
        self._counted = counted

    async def press(self, interaction: discord.Interaction) -> None:
        """A button was pressed, perhaps one that an earlier process made."""
        with self._counted():
            action = components.action(interaction)
            if action is None:
                await self._desk.refuse(interaction, CommandError("press-gone"))
            elif interaction.channel_id is None:
                await self._desk.refuse(interaction, CommandError("discord-no-channel"))
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
                await self._desk.refuse(interaction, error)
            except TimeoutError:
                await self._desk.refuse(interaction, CommandError("discord-slow"))
            except BotError as error:
                said = answers.reason(error, self._desk.words(interaction))
                await notices.whisper(interaction, said)
            else:
                await self._desk.carry_out(interaction, command)

    async def _ask_for_prompt(
        self, interaction: discord.Interaction, channel_id: int, action: Action
    ) -> None:
        message = incoming.from_interaction(interaction, channel_id, time.time(), None)
        words = self._desk.words(interaction)
        try:
            async with timeout(QUICKLY):
                notice = await self._inbox.press(message, action)
                drawing = await self._inbox.drawing(action.target)
        except TimeoutError:
            notice, drawing = Notice(words("discord-slow")), None
        except BotError as error:
            notice, drawing = Notice(answers.reason(error, words)), None
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
        if await self._desk.is_refused(interaction, Retry()):
            return
        if incoming.leaves_a_trace(interaction):
            message = await self._desk.deferred(interaction, private=False)
            if message is not None:
                notice = await or_reason(
                    self._inbox.press(_request(message, action), action),
                    self._desk.words(interaction),
                )
                await self._desk.fill_in(interaction, notice, private=False)
        elif await self._acknowledged(interaction):
            message = _request(incoming.from_press(interaction, channel_id), action)
            notice = await or_reason(
                self._inbox.press(message, action), self._desk.words(interaction)
            )
            if notice is not None:
                await notices.follow(interaction, notice, self._desk.words(interaction))

    async def _at_once(
        self, interaction: discord.Interaction, channel_id: int, action: Action
    ) -> None:
        """A press whose answer is a notice, or the message itself in another form."""
        slow = action.verb is Verb.FULL  # a file takes a while, so something is shown meanwhile
        if not await self._acknowledged(interaction, thinking=slow):
            return
        message = incoming.from_interaction(interaction, channel_id, time.time(), None)
        notice = await or_reason(self._inbox.press(message, action), self._desk.words(interaction))
        if slow:
            await self._desk.fill_in(interaction, notice, private=True)
        elif notice is not None:
            await notices.follow(interaction, notice, self._desk.words(interaction))

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


def _request(message: IncomingMessage, action: Action) -> IncomingMessage:
    return incoming.drawing(message) if action.verb in _DRAWS else message


def _with_prompt(drawing: Imagine | None, prompt: str) -> Imagine:
    """The same drawing of something else.

    Raises:
        CommandError: there is no such drawing any more, or no prompt.
    """
    if drawing is None:
        raise CommandError("press-gone")
    return imagine(prompt, drawing.seed, drawing.guidance)
