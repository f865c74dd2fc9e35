"""Messages that people write, change and delete on Discord, handed to the inbox."""

from __future__ import annotations

from contextlib import suppress

import discord
import structlog

from bot.errors import BotError, StorageError
from bot.i18n import Catalogue, Words
from bot.models import Ask, Imagine
from bot.platforms.discord import incoming, notices, permissions
from bot.platforms.discord.catch_up import catch_up
from bot.platforms.discord.counted import Counted
from bot.platforms.discord.faults import NO_ANSWER
from bot.platforms.discord.interactions import Interactions
from bot.platforms.discord.parents import Parents
from bot.platforms.discord.presses import Presses
from bot.turns import answers
from bot.turns.commands import Command, CommandError, parse
from bot.turns.inbox import Inbox, Notice

log = structlog.get_logger(__name__)


class Intake:
    """Takes in what people do, from the start of `DiscordAdapter.serve` to its end.

    Args:
        client: logged in.
        inbox: where it goes.
        catalogue: what the bot says, in all its languages.
        restricted: drawings belong in age-restricted channels only, as far as servers go.

    Attributes:
        interactions: takes commands in.
        presses: takes presses of buttons in.
    """

    def __init__(
        self,
        client: discord.Client,
        inbox: Inbox,
        catalogue: Catalogue,
        *,
        restricted: bool = False,
    ) -> None:
        self._restricted = restricted
        self._client = client
        self._inbox = inbox
        self._catalogue = catalogue
        self._counted = Counted()
        self._parents = Parents()
        self.interactions = Interactions(inbox, catalogue, self._counted, restricted=restricted)
        self.presses = Presses(inbox, self.interactions, self._counted)

    async def message(self, message: discord.Message, me: discord.ClientUser) -> bool:
        """Any message that the gateway delivers; most are not for the bot.

        Returns:
            Whether this one is.
        """
        if not incoming.is_addressed(message, me):
            return False
        with self._counted():
            await self._take(message, me)
            with suppress(StorageError):  # it is looked at once more after the next start
                await self._inbox.saw(incoming.channel_key(message.channel.id), str(message.id))
        return True

    async def edited(self, message: discord.Message, me: discord.ClientUser) -> None:
        """A message that its author changed, or that got a preview."""
        if incoming.is_addressed(message, me):
            with self._counted(), suppress(CommandError):
                command = _command(message, me)
                await self._inbox.edited(incoming.from_message(message, me), command)

    async def deleted(self, channel_id: int, message_id: int) -> None:
        """A message that is no more, whosever it was."""
        with self._counted():
            await self._inbox.deleted(incoming.channel_key(channel_id), str(message_id))

    async def catch_up(self, *, direct: bool) -> None:
        """Take in what was written while nobody listened; in direct messages too if wanted.

        Cancelling: a message that is just being taken in is.
        """
        try:
            await catch_up(self._client, self._inbox, self.message, direct=direct)
        except BotError as error:
            log.warning("missed messages not caught up", reason=str(error))

    async def finish(self, seconds: float) -> None:
        """Let what has begun come to its end, then cut it off.

        Cancelling: cuts it off at once.
        """
        await self._counted.finish(seconds)

    async def _take(self, message: discord.Message, me: discord.ClientUser) -> None:
        allowed = permissions.of_message(message)
        try:
            command = _command(message, me)
            permissions.check_message(message, command, restricted=self._restricted)
        except CommandError as error:
            words = await self._words(message, me)
            await self._tell(message, error.said_in(words), allowed, words)
            return
        starter = None
        if incoming.replied_to(message) is None and not incoming.pictures(message):
            starter = await self._parents.starter(message, me)
        request = incoming.from_message(message, me, starter)
        if isinstance(command, Imagine):
            request = incoming.drawing(request)
        try:
            notice = await self._inbox.handle(request, command)
        except BotError as error:
            notice = Notice(answers.reason(error, await self._words(message, me)))
        if notice is not None:
            words = await self._words(message, me)
            await notices.reply(message, self._client, notice, words)

    async def _tell(
        self,
        message: discord.Message,
        text: str,
        allowed: discord.Permissions | None,
        words: Words,
    ) -> None:
        """Tell the author of a message something, in the channel if possible."""
        if permissions.may_write(allowed, message.channel):
            refer = allowed is None or allowed.read_message_history
            await notices.reply(message, self._client, Notice(text), words, refer=refer)
            return
        try:
            await message.author.send(text, suppress_embeds=True)
        except NO_ANSWER as error:
            log.info("person not told", error=str(error))

    async def _words(self, message: discord.Message, me: discord.ClientUser) -> Words:
        try:
            return await self._inbox.words(incoming.from_message(message, me))
        except StorageError:
            return self._catalogue.words()


def _command(message: discord.Message, me: discord.ClientUser) -> Command:
    """What a message asks for. In a direct message people also type commands out.

    Raises:
        CommandError: a command with a value that cannot be used.
    """
    text = incoming.question(message, me)
    typed = parse(text) if incoming.is_direct(message) else None
    return Ask(text) if typed is None else typed
