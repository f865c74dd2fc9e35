"""The slash commands and the context menus, and telling Discord about them when it has others.

`/imagine` takes no picture: the model draws from words alone.
"""

from __future__ import annotations

from asyncio import timeout
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import discord
import structlog
from discord import app_commands
from discord.app_commands import locale_str
from discord.http import Route

from bot.i18n import Catalogue, Words
from bot.models import MAX_GUIDANCE, MAX_SEED, MIN_GUIDANCE, Ask
from bot.platforms.discord import parsing
from bot.platforms.discord.components_v2 import MAX_PROMPT_CHARS
from bot.platforms.discord.errors import NO_ANSWER
from bot.platforms.discord.handlers import Handlers
from bot.turns.commands import PLAIN, WORDS, CommandError, ShowRecipe, ShowSettings, imagine
from bot.turns.settings import CHOICES, NAMES, SERVER

log = structlog.get_logger(__name__)

LIST_TIMEOUT_SECONDS: Final = 5.0
"""For what Discord has; commands from before work meanwhile, so a start is not held up."""

SYNC_TIMEOUT_SECONDS: Final = 30.0

_MAX_CHOICES: Final = 25

_FIELDS = frozenset(
    {"type", "name", "description", "options", "required", "choices", "autocomplete"}
    | {"min_value", "max_value", "min_length", "max_length", "contexts", "value"}
)
_TRANSLATED = frozenset({"name_localizations", "description_localizations"})
"""What this program says about its commands. Discord adds ids, versions and defaults."""

Tree: TypeAlias = app_commands.CommandTree[discord.Client]
Prompt: TypeAlias = app_commands.Range[str, 1, MAX_PROMPT_CHARS]
Seed: TypeAlias = app_commands.Range[int, 0, MAX_SEED]
Guidance: TypeAlias = app_commands.Range[float, MIN_GUIDANCE, MAX_GUIDANCE]

_KEY = "key"


class Translator(app_commands.Translator):
    """Finds descriptions and the names of menus; words that people type are never translated."""

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
        del context
        key = string.extras.get(_KEY)
        words = self._words.get(locale)
        if key is None or words is None:
            return None
        said = words(key)
        return None if said == string.message else said


def add_commands(tree: Tree, handlers: Handlers, catalogue: Catalogue) -> None:
    """Put every command into the tree, for servers, threads, direct and group messages."""
    tree.allowed_contexts = app_commands.AppCommandContext(
        guild=True, dm_channel=True, private_channel=True
    )
    words = catalogue.words()
    _add_imagine(tree, handlers, words)
    _add_ask(tree, handlers, words)
    _add_settings(tree, handlers, words, catalogue)
    for word in WORDS:
        if word in PLAIN:
            _add_plain(tree, handlers, word, words)
    _add_menus(tree, handlers, words)


async def sync_commands(tree: Tree, guild_ids: Sequence[int]) -> None:
    """Make Discord's list of commands the tree's, if it is another one.

    Failing is a warning: commands that were there before go on working. In the servers
    `guild_ids` a change shows at once; if there are none, it is made for all places.
    """
    for guild_id in guild_ids or (None,):
        guild = None if guild_id is None else discord.Object(guild_id)
        if guild is not None:
            tree.copy_global_to(guild=guild)
        try:
            if await _known(tree, guild) == await _wanted(tree, guild):
                continue
            async with timeout(SYNC_TIMEOUT_SECONDS):
                await tree.sync(guild=guild)
        except discord.Forbidden:
            log.warning(
                "commands not registered",
                guild=guild_id,
                remedy="invite the bot to this server again, with the scope applications.commands",
            )
        except NO_ANSWER as error:
            log.warning("commands not registered", guild=guild_id, error=str(error))
        else:
            log.info("commands registered", guild=guild_id)


def _said(words: Words, key: str) -> locale_str:
    """A sentence, to be translated by its key."""
    return locale_str(words(key), **{_KEY: key})


def _choices(values: Sequence[str]) -> list[app_commands.Choice[str]]:
    """Suggestions for an option; Discord shows no more."""
    return [app_commands.Choice(name=each, value=each) for each in values[:_MAX_CHOICES]]


def _add_imagine(tree: Tree, handlers: Handlers, words: Words) -> None:
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
            await handlers.refuse(interaction, error)
        else:
            await handlers.command(interaction, command)

    @draw.autocomplete("prompt")
    async def recent(
        interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(await handlers.recent_prompts(interaction, current))


def _add_ask(tree: Tree, handlers: Handlers, words: Words) -> None:
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
        pictures = () if image is None else (parsing.attachment(image),)
        await handlers.command(interaction, Ask(question.strip()), pictures)


def _add_plain(tree: Tree, handlers: Handlers, word: str, words: Words) -> None:
    @tree.command(name=word, description=_said(words, f"command-{word}"))
    async def run(interaction: discord.Interaction) -> None:
        await handlers.command(interaction, PLAIN[word])


def _add_settings(tree: Tree, handlers: Handlers, words: Words, catalogue: Catalogue) -> None:
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
        await handlers.command(interaction, ShowSettings(asked, value))

    @settings.autocomplete("value")
    async def known(
        interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        name = str(interaction.namespace.name or "")
        known = catalogue.languages if name == "language" else CHOICES.get(name, ())
        return _choices([each for each in known if each.startswith(current.strip().lower())])


def _add_menus(tree: Tree, handlers: Handlers, words: Words) -> None:
    @tree.context_menu(name=_said(words, "discord-menu-ask"))
    async def about(interaction: discord.Interaction, message: discord.Message) -> None:
        pictures = parsing.pictures(message)
        if pictures:
            await handlers.command(interaction, Ask(), pictures, message.id)
        else:
            await handlers.refuse(interaction, CommandError("discord-no-image"))

    @tree.context_menu(name=_said(words, "discord-menu-recipe"))
    async def recipe(interaction: discord.Interaction, message: discord.Message) -> None:
        await handlers.command(interaction, ShowRecipe(str(message.id)))


async def _known(tree: Tree, guild: discord.Object | None) -> list[Any] | None:
    """What Discord has; `None` if it does not say, e.g. through a proxy that lacks this route."""
    where = "" if guild is None else f"/guilds/{guild.id}"
    route = Route("GET", f"/applications/{tree.client.application_id}{where}/commands")
    localized = {"with_localizations": "true"}
    try:
        async with timeout(LIST_TIMEOUT_SECONDS):
            answer: object = await tree.client.http.request(route, params=localized)
    except (discord.HTTPException, TimeoutError):
        return None
    return _listed(answer, guild) if isinstance(answer, list) else None


async def _wanted(tree: Tree, guild: discord.Object | None) -> list[Any]:
    if tree.translator is None:
        raise RuntimeError("commands are told in all languages")
    commands = tree.get_commands(guild=guild)
    told = [await command.get_translated_payload(tree, tree.translator) for command in commands]
    return _listed(told, guild)


def _listed(commands: list[Any], guild: discord.Object | None) -> list[Any]:
    essential = [_essence(command) for command in commands]
    if guild is not None:  # only global commands have contexts
        essential = [{**command, "contexts": None} for command in essential]
    return sorted(essential, key=lambda command: (command.get("type", 1), command["name"]))


def _essence(value: Any) -> Any:
    """Without what Discord adds, and without what it leaves out because it is the default."""
    if isinstance(value, dict):
        kept = {key: _essence(item) for key, item in value.items() if key in _FIELDS}
        kept |= {key: item for key, item in value.items() if key in _TRANSLATED}
        return {key: item for key, item in kept.items() if item not in (None, False, [], "", {})}
    if isinstance(value, list):
        return [_essence(item) for item in value]
    return value
