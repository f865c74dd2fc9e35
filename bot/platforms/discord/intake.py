"""What people do on Discord, handed to the inbox; and the bot's own short answers to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import discord
import structlog

from bot.errors import BotError
from bot.messages import Attachment, IncomingMessage
from bot.platforms.discord import incoming, permissions
from bot.turn import Ask, Imagine
from bot.turns.commands import Command, CommandError, Retry, parse
from bot.turns.ports import Inbox, Notice

log = structlog.get_logger(__name__)

NO_ANSWER = (discord.DiscordException, aiohttp.ClientError, OSError)
"""Discord did not take a short answer. Nobody can be told, so it is logged."""

NO_CHANNEL = "Discord did not tell me where this is. Try it in another channel."


class Intake:
    """Takes in what people do, from the start of `DiscordAdapter.serve` to its end."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._running: set[asyncio.Task[object]] = set()

    async def command(
        self,
        interaction: discord.Interaction,
        command: Command,
        attachments: tuple[Attachment, ...] = (),
        reply_to: int | None = None,
    ) -> None:
        """A slash command or context menu.

        It is deferred before anything is waited for: Discord gives up after 3 s.
        """
        with self._counted():
            lacking = permissions.missing(
                permissions.of_interaction(interaction),
                interaction.channel,
                command,
                replies=False,
            )
            if interaction.channel_id is None:
                await self.refuse(interaction, NO_CHANNEL)
            elif lacking and not incoming.is_only_user_installed(interaction):
                await self.refuse(interaction, permissions.sentence(lacking))
            else:
                message = await self._deferred(
                    interaction, interaction.channel_id, command, attachments, reply_to
                )
                if message is None:
                    return
                notice = await self._handle(message, command)
                if notice is not None:
                    await _answer(interaction, notice, deferred_private=not _makes_turn(command))

    async def refuse(self, interaction: discord.Interaction, text: str) -> None:
        """Answer an interaction at once, to nobody but who started it."""
        try:
            await interaction.response.send_message(text, ephemeral=True)
        except NO_ANSWER as error:
            log.warning("interaction not answered", error=str(error))

    async def message(self, message: discord.Message, me: discord.ClientUser) -> None:
        """Any message that the gateway delivers; most are not for the bot."""
        if not incoming.is_addressed(message, me):
            return
        with self._counted():
            try:
                command = _command(message, me)
            except CommandError as error:
                await _reply(message, str(error))
                return
            allowed = permissions.of_message(message)
            lacking = permissions.missing(allowed, message.channel, command, replies=True)
            if lacking:
                await _tell(message, permissions.sentence(lacking), allowed)
                return
            notice = await self._handle(incoming.from_message(message, me), command)
            if notice is not None:
                await _reply(message, notice.text)

    async def finish(self, seconds: float) -> None:
        """Let what has begun come to its end, then cut it off.

        Cancelling: cuts it off at once.
        """
        try:
            if self._running:
                await asyncio.wait(self._running, timeout=seconds)
        finally:
            for task in self._running:
                task.cancel()

    async def _deferred(
        self,
        interaction: discord.Interaction,
        channel_id: int,
        command: Command,
        attachments: tuple[Attachment, ...],
        reply_to: int | None,
    ) -> IncomingMessage | None:
        """Defer; `None` if Discord does not wait for an answer any more."""
        received_at = time.time()
        try:
            answered = await interaction.response.defer(
                thinking=True, ephemeral=not _makes_turn(command)
            )
        except NO_ANSWER as error:
            # Too late, or taken by another process with this token: the person sees that it
            # failed, and answering in spite of it would be a surprise.
            log.warning("interaction not deferred", error=str(error))
            return None
        placeholder = answered.message_id if answered is not None else None
        return incoming.from_interaction(
            interaction, channel_id, received_at, placeholder, attachments, reply_to
        )

    async def _handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        try:
            return await self._inbox.handle(message, command)
        except (BotError, CommandError) as error:
            return Notice(str(error))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """discord.py runs each event in a task of its own and keeps no account of them."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("events are handled in tasks")
        self._running.add(task)
        try:
            yield
        finally:
            self._running.discard(task)


def _makes_turn(command: Command) -> bool:
    return isinstance(command, Ask | Imagine | Retry)


def _command(message: discord.Message, me: discord.ClientUser) -> Command:
    """What a message asks for. In a direct message people also type commands out.

    Raises:
        CommandError: a command with a value that cannot be used.
    """
    text = incoming.question(message, me)
    typed = parse(text) if incoming.is_direct(message) else None
    return Ask(text) if typed is None else typed


async def _answer(
    interaction: discord.Interaction, notice: Notice, *, deferred_private: bool
) -> None:
    """Answer a deferred interaction. Only deferring decides who sees it, so that may be redone."""
    try:
        if notice.private == deferred_private:
            await interaction.edit_original_response(content=notice.text)
            return
        await interaction.delete_original_response()
        await interaction.followup.send(notice.text, ephemeral=notice.private, wait=True)
    except NO_ANSWER as error:
        log.warning("interaction not answered", error=str(error))


async def _tell(message: discord.Message, text: str, allowed: discord.Permissions | None) -> None:
    """Tell the author of a message something, in the channel if possible."""
    if permissions.may_write(allowed, message.channel):
        await _reply(message, text, refer=allowed is None or allowed.read_message_history)
        return
    try:
        await message.author.send(text)
    except NO_ANSWER as error:
        log.info("person not told", error=str(error))


async def _reply(message: discord.Message, text: str, *, refer: bool = True) -> None:
    try:
        if refer:
            reference = message.to_reference(fail_if_not_exists=False)
            await message.channel.send(text, reference=reference, nonce=message.id)
        else:
            await message.channel.send(text, nonce=message.id)
    except NO_ANSWER as error:
        log.warning("message not answered", error=str(error))
