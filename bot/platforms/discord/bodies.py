"""The bodies of requests that make or change messages, and what comes back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import discord
from discord.http import MultipartParameters, handle_message_parameters

from bot.files import File
from bot.models import JsonObject
from bot.platforms.discord.components import view
from bot.platforms.discord.look import box
from bot.reply.surface import Content


def request_body(
    content: Content,
    *,
    keep: bool,
    boxed: bool,
    spoiler: bool,
    ephemeral: bool = False,
    **options: Any,
) -> MultipartParameters:
    """The request for `content`. Nothing in it can ping anybody or unfold a link's preview.

    Args:
        content: all that the message shows.
        keep: leave the attachments alone that the message has.
        boxed: as a box, which has neither a text nor previews of its own.
        spoiler: cover the attachments.
        ephemeral: only for one person; only where a message follows an interaction.
        options: further arguments of `handle_message_parameters`.
    """
    if not keep:
        # In a box the gallery covers them; elsewhere their names say that they are covered.
        options["attachments"] = _files(content.files, spoiler and not boxed)
    return handle_message_parameters(
        content=None if boxed else content.text or None,
        view=box(content, spoiler=spoiler) if boxed else view(content.buttons),
        allowed_mentions=discord.AllowedMentions.none(),
        flags=discord.MessageFlags(suppress_embeds=not boxed, ephemeral=ephemeral),
        **options,
    )


def _files(uploads: Sequence[File], spoiler: bool) -> list[discord.File]:
    return [
        discord.File(
            io.BytesIO(upload.data),
            upload.name,
            spoiler=spoiler,
            description=upload.alt or None,
        )
        for upload in uploads
    ]


def message_in(data: Any) -> JsonObject:
    """The message in an answer.

    Raises:
        discord.DiscordException: something that is not Discord answered with a success.
    """
    if not isinstance(data, dict) or "id" not in data:
        raise discord.InvalidData("no message in the answer")
    return data
