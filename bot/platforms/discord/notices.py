"""Shows the bot's own short answers, with their files and buttons.

They go through the same endpoints as replies, so that nothing in them can ping anybody either.
"""

from __future__ import annotations

from typing import Final

import discord
import structlog

from bot.files import File
from bot.i18n import Words
from bot.platforms.discord.endpoints import ORIGINAL, ChannelEndpoint, InteractionEndpoint
from bot.platforms.discord.faults import NO_ANSWER
from bot.reply.splitting import split
from bot.reply.surface import Content, Mood
from bot.turns.inbox import Notice

log = structlog.get_logger(__name__)

LONGEST: Final = 2000
"""Characters of a message."""

LARGEST: Final = 10 * 2**20
"""Bytes of a file in a direct message; elsewhere Discord says."""
MOST_IN_REQUEST: Final = 25 * 2**20
"""Bytes of all files in one request."""


async def whisper(interaction: discord.Interaction, text: str) -> None:
    """Answer an interaction at once, to nobody but who started it."""
    try:
        await interaction.response.send_message(
            text[:LONGEST], ephemeral=True, suppress_embeds=True
        )
    except NO_ANSWER as error:
        log.warning("interaction not answered", error=str(error))


async def fill_in(
    interaction: discord.Interaction, notice: Notice, words: Words, *, private: bool
) -> None:
    """Answer an interaction that was deferred with a message that says "thinking".

    Args:
        interaction: which.
        notice: the answer.
        words: the language of what is added to it.
        private: whether that message is shown to nobody else. Only deferring decides that, so
            where the notice needs the other it is done again.
    """
    endpoint = _endpoint(interaction)
    first, *more = contents(notice, interaction.filesize_limit, words)
    try:
        if notice.private == private:
            await endpoint.create(first, "", first=True)
        else:
            await endpoint.delete(ORIGINAL)
            more.insert(0, first)
        for content in more:
            await endpoint.create(content, "", first=False, ephemeral=notice.private)
    except NO_ANSWER as error:
        log.warning("interaction not answered", error=str(error))


async def follow(interaction: discord.Interaction, notice: Notice, words: Words) -> None:
    """Answer the press of a button that was acknowledged and shows nothing yet."""
    endpoint = _endpoint(interaction)
    shown = contents(notice, interaction.filesize_limit, words)
    try:
        if notice.replaces:
            await endpoint.edit(ORIGINAL, shown.pop(0), keep=False)
        for content in shown:
            await endpoint.create(content, "", first=False, ephemeral=notice.private)
    except NO_ANSWER as error:
        log.warning("press not answered", error=str(error))


async def reply(
    message: discord.Message,
    client: discord.Client,
    notice: Notice,
    words: Words,
    *,
    refer: bool = True,
) -> None:
    """Answer a message where it was written.

    Args:
        message: which.
        client: logged in.
        notice: the answer.
        words: the language of what is added to it.
        refer: show which message it answers, which needs a permission.
    """
    if client.user is None:
        raise RuntimeError("nothing comes in before the login")
    largest = LARGEST if message.guild is None else message.guild.filesize_limit
    endpoint = ChannelEndpoint(
        client.http,
        message.channel.id,
        me=client.user.id,
        reply_to=message.id if refer else None,
        placeholder=None,
    )
    try:
        for number, content in enumerate(contents(notice, largest, words)):
            await endpoint.create(content, f"{message.id}-{number}", first=False)
    except NO_ANSWER as error:
        log.warning("message not answered", error=str(error))


def contents(notice: Notice, largest: int, words: Words) -> list[Content]:
    """The messages that a notice consists of: one at least, files and buttons with the last.

    Args:
        notice: what to show.
        largest: bytes that a file may have; those over it are named instead.
        words: the language to name them in.
    """
    files, left_out = _fitting(notice.files, largest)
    lines = [
        words("discord-file-too-large", name=each.name, size=_megabytes(len(each.data)))
        for each in left_out
    ]
    text = "\n\n".join([notice.text, *lines])
    pieces = [piece.shown for piece in split(text, LONGEST, len)]
    *before, last = [piece for piece in pieces if piece.strip()] or [words("answer-none")]
    uploads = tuple(files)
    return [
        *(Content(piece, mood=Mood.DONE) for piece in before),
        Content(last, uploads, Mood.DONE, notice.buttons),
    ]


def _fitting(files: tuple[File, ...], largest: int) -> tuple[list[File], list[File]]:
    """Files that can be sent in one request, and the others."""
    fitting: list[File] = []
    left_out: list[File] = []
    total = 0
    for each in files:
        if len(each.data) <= largest and total + len(each.data) <= MOST_IN_REQUEST:
            fitting.append(each)
            total += len(each.data)
        else:
            left_out.append(each)
    return fitting, left_out


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.1f}"


def _endpoint(interaction: discord.Interaction) -> InteractionEndpoint:
    return InteractionEndpoint(
        interaction.client.http, interaction.application_id, interaction.token
    )
