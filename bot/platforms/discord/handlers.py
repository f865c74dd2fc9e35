"""What people do on Discord, handed to the core: messages, commands, presses of buttons and forms.

Discord waits three seconds for the first answer to an interaction, so whatever takes longer is
deferred before. Nothing is remembered about buttons and forms: they work whichever process made
them.
"""

from __future__ import annotations

import sys
import time
from asyncio import timeout
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import discord
import structlog
from cachetools import FIFOCache
from discord import app_commands

from bot.actions import Action, Verb
from bot.errors import BotError, StorageError
from bot.i18n import Catalogue, Words
from bot.models import Ask, Attachment, Imagine, Notice
from bot.platforms.discord import notices, parsing, permissions
from bot.platforms.discord.catch_up import catch_up
from bot.platforms.discord.components_v2 import prompt_form
from bot.platforms.discord.errors import NO_ANSWER
from bot.support import BackgroundTasks
from bot.turns import answers
from bot.turns.commands import Command, CommandError, Retry, imagine

if TYPE_CHECKING:
    # It is handed in; importing it here would load all that it works with, the database too.
    from bot.turns.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

_MAX_CHOICE_CHARS: Final = 100
"""Of one suggestion; a longer one cannot be picked."""

_FIRST_ANSWER_TIMEOUT_SECONDS: Final = 1.5
"""For what must be known before the first answer; half of what Discord waits."""

_MAX_THREAD_MESSAGES: Final = 50
"""Among so many the bot looks for its own; in a longer thread it has spoken."""

_MAX_KNOWN_THREADS: Final = 1000
"""They are not looked into again."""

_MAX_PEOPLE_TOLD: Final = 10_000
"""Who was told why nobody else sees their answers, and is not told again."""

_DRAWS: Final = frozenset({Verb.AGAIN, Verb.LESS, Verb.MORE})
_STARTS_TURN: Final = _DRAWS | {Verb.RETRY}
"""Presses whose reply everybody sees; only the core knows what is retried."""

_SPOKEN: Final = frozenset({discord.MessageType.default, discord.MessageType.reply})


class Handlers:
    """What a logged-in client hands on: events, and commands of its tree.

    With `age_restricted`, drawings in servers belong in age-restricted channels only. `tasks` are
    what is being handled, so that `DiscordAdapter.serve` can wait for its end.
    """

    def __init__(
        self,
        client: discord.Client,
        dispatcher: Dispatcher,
        catalogue: Catalogue,
        *,
        age_restricted: bool = False,
    ) -> None:
        if client.user is None:
            raise RuntimeError("nothing comes in before the login")
        self._client = client
        self._me = client.user
        self._dispatcher = dispatcher
        self._catalogue = catalogue
        self._check = partial(permissions.check, age_restricted=age_restricted)
        self._threads: FIFOCache[int, None] = FIFOCache(_MAX_KNOWN_THREADS)
        self._told: FIFOCache[tuple[int | None, int], None] = FIFOCache(_MAX_PEOPLE_TOLD)
        self.tasks = BackgroundTasks()

    async def on_message(self, message: discord.Message) -> bool:
        """Whether a message is for the bot; most that the gateway delivers are not."""
        if not parsing.is_addressed(message, self._me):
            return False
        await self.tasks.start(self._handle(message))
        return True

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """A message that its author changed, or that got a preview; in the cache or not."""
        message = payload.message
        if parsing.is_addressed(message, self._me):
            with suppress(CommandError):
                command = parsing.command_in(message, self._me)
                request = parsing.from_message(message, self._me)
                await self.tasks.start(self._dispatcher.edited(request, command))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        channel = parsing.channel_key(payload.channel_id)
        await self._dispatcher.deleted(channel, str(payload.message_id))

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Many at once, by a moderator or another bot."""
        channel = parsing.channel_key(payload.channel_id)
        for message_id in payload.message_ids:
            await self._dispatcher.deleted(channel, str(message_id))

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """What no handler of an event caught; discord.py goes on with the next event."""
        del kwargs  # people's text, as most of `args`
        log.error("event failed", event_name=event_method, exc_info=sys.exception())
        for each in args:
            if isinstance(each, discord.Interaction):
                await self.failed(each)

    async def catch_up(self, *, direct: bool) -> None:
        """Handle what was written while nobody listened; in direct messages too if wanted."""
        try:
            await catch_up(self._client, self._dispatcher, self.on_message, direct=direct)
        except BotError as error:
            log.warning("missed messages not caught up", reason=str(error))

    async def _handle(self, message: discord.Message) -> None:
        await self._answer(message)
        with suppress(StorageError):  # it is looked at once more after the next start
            channel = parsing.channel_key(message.channel.id)
            await self._dispatcher.saw(channel, str(message.id))

    async def _answer(self, message: discord.Message) -> None:
        allowed = permissions.computed(message.guild, message.channel)
        try:
            command = parsing.command_in(message, self._me)
            self._check(command, message.channel, allowed, replies=True)
        except CommandError as error:
            await self._refuse(message, error, allowed)
            return
        starter = None
        if parsing.replied_to(message) is None and not parsing.pictures(message):
            starter = await self._thread_starter(message)
        drawing = isinstance(command, Imagine)
        request = parsing.from_message(message, self._me, starter, drawing=drawing)
        try:
            notice = await self._dispatcher.handle(request, command)
        except BotError as error:
            notice = Notice(answers.reason(error, await self._words_for(message)))
        if notice is not None:
            await notices.reply(self._client.http, message, notice, await self._words_for(message))

    async def _refuse(
        self, message: discord.Message, reason: CommandError, allowed: discord.Permissions | None
    ) -> None:
        """Tell the author of a message why not, in the channel if the bot may write there."""
        words = await self._words_for(message)
        text = reason.said_in(words)
        if permissions.may_write(allowed, message.channel):
            refer = allowed is None or allowed.read_message_history
            await notices.reply(self._client.http, message, Notice(text), words, refer=refer)
            return
        try:
            await message.author.send(text, suppress_embeds=True)
        except NO_ANSWER as error:
            log.info("person not told", error=str(error))

    async def _words_for(self, message: discord.Message) -> Words:
        try:
            return await self._dispatcher.words(parsing.from_message(message, self._me))
        except StorageError:
            return self._catalogue.words()

    async def _thread_starter(self, message: discord.Message) -> discord.Message | None:
        """What a message's thread was started from, once, if the bot has not spoken there yet.

        A post of a forum and a thread that was opened by itself begin with their own first
        message, so there is none.

        Cancelling: the thread is not looked into again.
        """
        thread = message.channel
        if not isinstance(thread, discord.Thread) or thread.id in self._threads:
            return None
        self._threads[thread.id] = None
        count = 0
        try:
            async for earlier in thread.history(limit=_MAX_THREAD_MESSAGES, before=message):
                count += 1
                if earlier.author.id == self._me.id and earlier.type in _SPOKEN:
                    return None
            if count == _MAX_THREAD_MESSAGES or not isinstance(thread.parent, discord.TextChannel):
                return None
            return thread.starter_message or await thread.parent.fetch_message(thread.id)
        except NO_ANSWER as error:
            log.info("no message that the thread began with", reason=str(error))
            return None

    async def command(
        self,
        interaction: discord.Interaction,
        command: Command,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> None:
        """A slash command or context menu."""
        await self.tasks.start(self._carry_out(interaction, command, attachments, reply_to))

    async def recent_prompts(self, interaction: discord.Interaction, typed: str) -> Sequence[str]:
        """What the person drew lately, for the option of a command; nobody else sees it."""
        person = parsing.person_of(interaction.user, interaction.locale.value)
        try:
            async with timeout(_FIRST_ANSWER_TIMEOUT_SECONDS):
                found = await self._dispatcher.recent_prompts(person, typed)
        except (BotError, TimeoutError) as error:
            log.info("no suggestions", reason=str(error))
            return []
        return [each for each in found if len(each) <= _MAX_CHOICE_CHARS and each.isprintable()]

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Buttons and forms; discord.py hands commands to the tree."""
        if interaction.type is discord.InteractionType.component:
            await self.tasks.start(self._press(interaction))
        elif interaction.type is discord.InteractionType.modal_submit:
            await self.tasks.start(self._submitted(interaction))

    async def on_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        log.error("command failed", exc_info=error)
        await self.failed(interaction)

    async def refuse(
        self, interaction: discord.Interaction, error: CommandError | BotError | TimeoutError
    ) -> None:
        """Say at once why not, to nobody but who started the interaction, in their language."""
        words = self._words(interaction)
        if isinstance(error, CommandError):
            text = error.said_in(words)
        elif isinstance(error, BotError):
            text = answers.reason(error, words)
        else:
            text = words("discord-slow")
        await notices.send_ephemeral(interaction, text)

    async def failed(self, interaction: discord.Interaction) -> None:
        """Say that something went wrong, so that nobody waits for an answer that does not come."""
        words = self._words(interaction)
        notice = Notice(words("discord-failed"))
        if interaction.response.is_done():
            await notices.answer(interaction, notice, words)
        else:
            await notices.send_ephemeral(interaction, notice.text)

    async def _press(self, interaction: discord.Interaction) -> None:
        """A button was pressed, perhaps one that an earlier process made."""
        action = parsing.action_of(interaction)
        if action is None:
            await self.refuse(interaction, CommandError("press-gone"))
        elif interaction.channel_id is None:
            await self.refuse(interaction, CommandError("discord-no-channel"))
        elif action.verb is Verb.EDIT:
            await self._ask_for_prompt(interaction, action)
        else:
            await self._carry_out_press(interaction, action)

    async def _ask_for_prompt(self, interaction: discord.Interaction, action: Action) -> None:
        words = self._words(interaction)
        target = parsing.through_interaction(interaction, time.time())
        message = parsing.from_interaction(interaction, target)
        try:
            async with timeout(_FIRST_ANSWER_TIMEOUT_SECONDS):
                notice = await self._dispatcher.press(message, action)
                drawing = await self._dispatcher.drawing(action.target)
        except (BotError, TimeoutError) as error:
            await self.refuse(interaction, error)
            return
        if notice is not None or drawing is None:
            text = words("press-gone") if notice is None else notice.text
            await notices.send_ephemeral(interaction, text)
            return
        try:
            await interaction.response.send_modal(prompt_form(action, drawing.prompt, words))
        except NO_ANSWER as error:
            log.warning("form not shown", error=str(error))

    async def _submitted(self, interaction: discord.Interaction) -> None:
        """A form with a new prompt was submitted; the same seed is drawn with it."""
        action, drawing = parsing.action_of(interaction), None
        try:
            if action is not None:
                async with timeout(_FIRST_ANSWER_TIMEOUT_SECONDS):
                    drawing = await self._dispatcher.drawing(action.target)
            if drawing is None:
                await self.refuse(interaction, CommandError("press-gone"))
                return
            prompt = parsing.submitted_prompt(interaction)
            command = imagine(prompt, drawing.seed, drawing.guidance)
        except (CommandError, BotError, TimeoutError) as error:
            await self.refuse(interaction, error)
        else:
            await self._carry_out(interaction, command)

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
        drawing = isinstance(command, Imagine)
        target = await self._acknowledge(interaction, private=private, drawing=drawing)
        if target is None:
            return
        message = parsing.from_interaction(interaction, target, attachments, reply_to)
        notice = self._dispatcher.handle(message, command)
        if not await self._show(interaction, notice, placeholder=private) and not private:
            await self._say_if_hidden(interaction)

    async def _say_if_hidden(self, interaction: discord.Interaction) -> None:
        """Say why nobody else sees the answer; once to each person of a server.

        It is hidden where a person brought the app along and may not use such apps.
        """
        where = (interaction.guild_id, interaction.user.id)
        if interaction.guild_id is None or where in self._told:
            return
        may_show = interaction.permissions.use_external_apps
        if parsing.is_only_user_installed(interaction) and not may_show:
            self._told[where] = None
            words = self._words(interaction)
            await notices.answer(interaction, Notice(words("discord-external-apps")), words)

    async def _carry_out_press(self, interaction: discord.Interaction, action: Action) -> None:
        """A press that starts a turn, or whose answer is a notice or its message in another form.

        Who may start a turn, only the core knows, and a deferred answer that everybody sees could
        not be taken back unseen. So the press is acknowledged without a trace, a refusal is seen
        by nobody else, and the reply is an ordinary message; except where the bot itself is not,
        or only one person sees the button.
        """
        starts_turn = action.verb in _STARTS_TURN
        if starts_turn and await self._is_refused(interaction, Retry()):
            return
        slow = action.verb is Verb.FULL  # a file takes a while, so something is shown meanwhile
        pressed = interaction.message
        ephemeral = pressed is not None and pressed.flags.ephemeral
        through = starts_turn and (ephemeral or parsing.is_only_user_installed(interaction))
        target = await self._acknowledge(
            interaction, thinking=slow or through, private=slow, drawing=action.verb in _DRAWS
        )
        if target is None:
            return
        if starts_turn and not through:
            reply_to = None if pressed is None else str(pressed.id)
            target = replace(target, interaction=None, reply_to=reply_to)
        notice = self._dispatcher.press(parsing.from_interaction(interaction, target), action)
        await self._show(interaction, notice, placeholder=slow if slow or through else None)

    async def _is_refused(self, interaction: discord.Interaction, command: Command) -> bool:
        """Whether a command cannot be answered there; if so, the person was told."""
        if interaction.channel_id is None:
            await self.refuse(interaction, CommandError("discord-no-channel"))
            return True
        try:
            allowed = permissions.of_interaction(interaction)
            self._check(command, interaction.channel, allowed, replies=False)
        except CommandError as error:
            await self.refuse(interaction, error)
            return True
        return False

    async def _acknowledge(
        self,
        interaction: discord.Interaction,
        *,
        thinking: bool = True,
        private: bool,
        drawing: bool,
    ) -> parsing.DiscordTarget | None:
        """Acknowledge an interaction; a press without a trace unless it shows "thinking".

        Returns:
            Where a reply through the interaction goes; `None` if Discord does not wait any more.
        """
        received_at = time.time()
        try:
            answered = await interaction.response.defer(thinking=thinking, ephemeral=private)
        except NO_ANSWER as error:
            # Too late, or taken by another process with this token: the person sees that it
            # failed, and answering in spite of it would be a surprise.
            log.warning("interaction not acknowledged", error=str(error))
            return None
        placeholder = answered.message_id if answered is not None and thinking else None
        return parsing.through_interaction(interaction, received_at, placeholder, drawing=drawing)

    async def _show(
        self,
        interaction: discord.Interaction,
        notice: Awaitable[Notice | None],
        *,
        placeholder: bool | None,
    ) -> bool:
        """Show what the core says, or why it cannot say anything; whether there was anything."""
        words = self._words(interaction)
        try:
            said = await notice
        except BotError as error:
            said = Notice(answers.reason(error, words))
        if said is not None:
            await notices.answer(interaction, said, words, placeholder=placeholder)
        return said is not None

    def _words(self, interaction: discord.Interaction) -> Words:
        return self._catalogue.words(interaction.locale.value)
