"""The bot's own short answers, with their files and buttons.

They go through the same endpoints as replies, so that nothing in them can ping anybody either.
"""

from __future__ import annotations

from typing import Final

import discord
import structlog
from discord.http import HTTPClient

from bot.i18n import Words
from bot.models import Notice
from bot.platforms.discord.components_v2 import OutgoingMessage
from bot.platforms.discord.endpoints import ORIGINAL, ChannelEndpoint, InteractionEndpoint
from bot.platforms.discord.errors import NO_ANSWER
from bot.platforms.discord.files import fitting
from bot.platforms.discord.parsing import MAX_FILE_BYTES
from bot.reply.splitting import split

log = structlog.get_logger(__name__)

MAX_MESSAGE_CHARS: Final = 2000


async def send_ephemeral(interaction: discord.Interaction, text: str) -> None:
    """Answer an interaction at once, to nobody but who started it."""
    try:
        await interaction.response.send_message(
            text[:MAX_MESSAGE_CHARS], ephemeral=True, suppress_embeds=True
        )
    except NO_ANSWER as error:
        log.warning("interaction not answered", error=str(error))


async def answer(
    interaction: discord.Interaction,
    notice: Notice,
    words: Words,
    *,
    placeholder: bool | None = None,
) -> None:
    """Answer an interaction that was acknowledged.

    `placeholder` tells whether the message that says "thinking" is private; `None` if there is no
    such message. That was decided when the interaction was acknowledged, so where the notice needs
    the other kind, the placeholder is removed and the notice follows.
    """
    http, token = interaction.client.http, interaction.token
    endpoint = InteractionEndpoint(http, interaction.application_id, token)
    messages = _messages(notice, interaction.filesize_limit, words)
    try:
        if placeholder is None:
            if notice.replaces:
                await endpoint.edit(ORIGINAL, messages.pop(0))
        elif placeholder == notice.private:
            await endpoint.create(messages.pop(0), first=True)
        else:
            await endpoint.delete(ORIGINAL)
        for each in messages:
            await endpoint.create(each, first=False, ephemeral=notice.private)
    except NO_ANSWER as error:
        log.warning("interaction not answered", error=str(error))


async def reply(
    http: HTTPClient, message: discord.Message, notice: Notice, words: Words, *, refer: bool = True
) -> None:
    """Answer a message where it was written; to `refer` to it needs a permission."""
    max_file_bytes = MAX_FILE_BYTES if message.guild is None else message.guild.filesize_limit
    reply_to = message.id if refer else None
    endpoint = ChannelEndpoint(http, message.channel.id, reply_to=reply_to)
    try:
        for number, each in enumerate(_messages(notice, max_file_bytes, words)):
            await endpoint.create(each, f"{message.id}-{number}", first=False)
    except NO_ANSWER as error:
        log.warning("message not answered", error=str(error))


def _messages(notice: Notice, max_file_bytes: int, words: Words) -> list[OutgoingMessage]:
    """The messages that a notice consists of: one at least, files and buttons with the last.

    Files that are too large are named instead.
    """
    files, left_out = fitting(notice.files, max_file_bytes)
    lines = [
        words("discord-file-too-large", name=each.name, size=f"{len(each.data) / 2**20:.1f}")
        for each in left_out
    ]
    text = "\n\n".join([notice.text, *lines])
    pieces = [piece.shown for piece in split(text, MAX_MESSAGE_CHARS, len)]
    *before, last = [piece for piece in pieces if piece.strip()] or [words("answer-none")]
    return [
        *(OutgoingMessage(piece) for piece in before),
        OutgoingMessage(last, files, buttons=notice.buttons),
    ]
