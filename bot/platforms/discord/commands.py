"""The slash commands and the context menus, as discord.py's command tree.

`/imagine` takes no picture: the model draws from words alone.
"""

from __future__ import annotations

from typing import TypeAlias

import discord
from discord import app_commands
from discord.app_commands import locale_str

from bot.i18n import Catalogue, Words
from bot.models import MAX_GUIDANCE, MAX_SEED, MIN_GUIDANCE, Ask
from bot.platforms.discord import incoming
from bot.platforms.discord.components import MOST_PROMPT
from bot.platforms.discord.interactions import MOST_CHOICES, Interactions
from bot.turns.commands import PLAIN, WORDS, CommandError, ShowRecipe, ShowSettings, imagine
from bot.turns.settings import CHOICES, NAMES, SERVER

Tree: TypeAlias = app_commands.CommandTree[discord.Client]
Prompt: TypeAlias = app_commands.Range[str, 1, MOST_PROMPT]
Seed: TypeAlias = app_commands.Range[int, 0, MAX_SEED]
Guidance: TypeAlias = app_commands.Range[float, MIN_GUIDANCE, MAX_GUIDANCE]

_KEY = "key"


class Translator(app_commands.Translator):
    """Finds what a command is called in the languages of the catalogue.

    The words of commands and options stay the same in all of them.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        # discord.py asks for every string in all of Discord's languages, thousands of times.
        spoken = {locale: catalogue.words(locale.value) for locale in discord.Locale}
        self._words = {
            locale: words
            for locale, words in spoken.items()
            if locale.value.partition("-")[0] == words.language.partition("-")[0]
        }

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """As `discord.app_commands.Translator.translate`."""
        del context
        key = string.extras.get(_KEY)
        words = self._words.get(locale)
        if key is None or words is None:
            return None
        said = words(key)
        return None if said == string.message else said


def add_commands(tree: Tree, interactions: Interactions, catalogue: Catalogue) -> None:
    """Put every command into the tree, for servers, threads, direct and group messages."""
    tree.allowed_contexts = app_commands.AppCommandContext(
        guild=True, dm_channel=True, private_channel=True
    )
    words = catalogue.words()
    _add_imagine(tree, interactions, words)
    _add_ask(tree, interactions, words)
    _add_settings(tree, interactions, words, catalogue)
    for word in WORDS:
        if word in PLAIN:
            _add_plain(tree, interactions, word, words)
    _add_menus(tree, interactions, words)


def _said(words: Words, key: str) -> locale_str:
    """A sentence, to be translated by its key."""
    return locale_str(words(key), **{_KEY: key})


def _add_imagine(tree: Tree, interactions: Interactions, words: Words) -> None:
    @tree.command(name="imagine", description=_said(words, "command-imagine"))
    @app_commands.describe(
        prompt=_said(words, "discord-option-prompt"),
        seed=_said(words, "discord-option-seed"),
        guidance=_said(words, "discord-option-guidance"),
    )
    async def draw(
        interaction: discord.Interaction,
        prompt: Prompt,
        seed: Seed | None = None,
        guidance: Guidance | None = None,
    ) -> None:
        try:
            command = imagine(prompt, seed, guidance)
        except CommandError as error:
            await interactions.refuse(interaction, error)
        else:
            await interactions.command(interaction, command)

    @draw.autocomplete("prompt")
    async def recent(
        interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        return await interactions.prompts(interaction, current)


def _add_ask(tree: Tree, interactions: Interactions, words: Words) -> None:
    @tree.command(name="ask", description=_said(words, "command-ask"))
    @app_commands.describe(
        question=_said(words, "discord-option-question"),
        image=_said(words, "discord-option-image"),
    )
    async def ask(
        interaction: discord.Interaction,
        question: str,
        image: discord.Attachment | None = None,
    ) -> None:
        pictures = () if image is None else (incoming.attachment(image),)
        await interactions.command(interaction, Ask(question.strip()), pictures)


def _add_plain(tree: Tree, interactions: Interactions, word: str, words: Words) -> None:
    @tree.command(name=word, description=_said(words, f"command-{word}"))
    async def run(interaction: discord.Interaction) -> None:
        await interactions.command(interaction, PLAIN[word])


def _add_settings(
    tree: Tree, interactions: Interactions, words: Words, catalogue: Catalogue
) -> None:
    names = [
        app_commands.Choice(name=_said(words, f"settings-{each}"), value=each) for each in NAMES
    ]

    @tree.command(name="settings", description=_said(words, "command-settings"))
    @app_commands.describe(
        name=_said(words, "discord-option-setting"),
        value=_said(words, "discord-option-value"),
        everywhere=_said(words, "discord-option-everywhere"),
    )
    @app_commands.choices(name=names)
    async def settings(
        interaction: discord.Interaction,
        name: str = "",
        value: str | None = None,
        everywhere: bool = False,
    ) -> None:
        asked = f"{SERVER}{name}" if everywhere and name else name
        await interactions.command(interaction, ShowSettings(asked, value))

    @settings.autocomplete("value")
    async def known(
        interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        name = str(interaction.namespace.name or "")
        known = catalogue.languages if name == "language" else CHOICES.get(name, ())
        fitting = [each for each in known if each.startswith(current.strip().lower())]
        return [app_commands.Choice(name=each, value=each) for each in fitting[:MOST_CHOICES]]


def _add_menus(tree: Tree, interactions: Interactions, words: Words) -> None:
    @tree.context_menu(name=_said(words, "discord-menu-ask"))
    async def about(interaction: discord.Interaction, message: discord.Message) -> None:
        pictures = incoming.pictures(message)
        if pictures:
            await interactions.command(interaction, Ask(), pictures, message.id)
        else:
            await interactions.refuse(interaction, CommandError("discord-no-image"))

    @tree.context_menu(name=_said(words, "discord-menu-recipe"))
    async def recipe(interaction: discord.Interaction, message: discord.Message) -> None:
        await interactions.command(interaction, ShowRecipe(str(message.id)))
