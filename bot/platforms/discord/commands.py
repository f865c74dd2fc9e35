"""The slash commands and the context menu, as discord.py's command tree."""

from __future__ import annotations

from typing import TypeAlias

import discord
from discord import app_commands

from bot.platforms.discord import incoming
from bot.platforms.discord.intake import Intake
from bot.turn import MAX_GUIDANCE, MAX_SEED, MIN_GUIDANCE, Ask
from bot.turns.commands import WORDS, Command, CommandError, Help, Reset, Retry, Stop, imagine

ABOUT_IMAGE = "Ask about this image"
NO_IMAGE = "There is no picture in this message."

Seed: TypeAlias = app_commands.Range[int, 0, MAX_SEED]
Guidance: TypeAlias = app_commands.Range[float, MIN_GUIDANCE, MAX_GUIDANCE]

_PLAIN: dict[str, Command] = {
    "retry": Retry(),
    "stop": Stop(),
    "reset": Reset(),
    "help": Help(),
}
"""Commands without options."""


def add_commands(tree: app_commands.CommandTree[discord.Client], intake: Intake) -> None:
    """Put every command into the tree, for servers, threads, direct and group messages."""
    tree.allowed_contexts = app_commands.AppCommandContext(
        guild=True, dm_channel=True, private_channel=True
    )
    _add_imagine(tree, intake)
    _add_ask(tree, intake)
    for word, command in _PLAIN.items():
        _add_plain(tree, intake, word, command)
    _add_menu(tree, intake)


def _add_imagine(tree: app_commands.CommandTree[discord.Client], intake: Intake) -> None:
    @tree.command(name="imagine", description=WORDS["imagine"])
    @app_commands.describe(
        prompt="What to draw",
        seed="The same seed draws the same pictures again",
        guidance="How closely to follow the description",
    )
    async def draw(
        interaction: discord.Interaction,
        prompt: str,
        seed: Seed | None = None,
        guidance: Guidance | None = None,
    ) -> None:
        try:
            command = imagine(prompt, seed, guidance)
        except CommandError as error:
            await intake.refuse(interaction, str(error))
        else:
            await intake.command(interaction, command)


def _add_ask(tree: app_commands.CommandTree[discord.Client], intake: Intake) -> None:
    @tree.command(name="ask", description=WORDS["ask"])
    @app_commands.describe(
        question="What you want to know",
        image="The picture that it is about",
    )
    async def ask(
        interaction: discord.Interaction,
        question: str,
        image: discord.Attachment | None = None,
    ) -> None:
        pictures = () if image is None else (incoming.attachment(image),)
        await intake.command(interaction, Ask(question.strip()), pictures)


def _add_plain(
    tree: app_commands.CommandTree[discord.Client], intake: Intake, word: str, command: Command
) -> None:
    @tree.command(name=word, description=WORDS[word])
    async def run(interaction: discord.Interaction) -> None:
        await intake.command(interaction, command)


def _add_menu(tree: app_commands.CommandTree[discord.Client], intake: Intake) -> None:
    @tree.context_menu(name=ABOUT_IMAGE)
    async def about(interaction: discord.Interaction, message: discord.Message) -> None:
        pictures = incoming.pictures(message)
        if pictures:
            await intake.command(interaction, Ask(), pictures, message.id)
        else:
            await intake.refuse(interaction, NO_IMAGE)
