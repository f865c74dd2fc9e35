"""Builds parts of the bot from the configuration, for the bot itself and for single commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from aiohttp import ClientSession

from bot.config import Config
from bot.i18n import Catalogue
from bot.own_space import OwnJanus, OwnSpace, OwnSpaceProvider
from bot.platforms.adapter import Adapter
from bot.provider import DeepseekAI_JanusPro7b, Spaces, open_session
from bot.storage import Storage
from bot.turns.access import Allowance, Policy, Rules
from bot.turns.settings import Settings


def has_platform(config: Config) -> bool:
    """Whether any chat platform has a token."""
    return bool(config.telegram.token.get_secret_value() or config.discord.token.get_secret_value())


def chat_adapters(config: Config, catalogue: Catalogue) -> Sequence[Adapter]:
    """The adapters of all chat platforms that have a token, not opened yet."""
    adapters: list[Adapter] = []
    if token := config.telegram.token.get_secret_value():
        from bot.platforms.telegram.adapter import TelegramAdapter  # noqa: PLC0415 - half a second

        section = config.telegram
        hook = None
        if section.webhook_url:
            from bot.platforms.telegram.webhook import Hook  # noqa: PLC0415 - loads a web server

            hook = Hook(
                section.webhook_url,
                section.webhook_secret.get_secret_value(),
                tuple(ip_network(each) for each in section.webhook_sources),
                config.bot.data_dir / "telegram",
            )
        adapters.append(
            TelegramAdapter(
                token=token,
                api_url=section.api_url,
                catalogue=catalogue,
                hook=hook,
                folds=section.long_answers == "quote",
                inline=section.inline,
                language=config.bot.language,
            )
        )
    if token := config.discord.token.get_secret_value():
        from bot.platforms.discord.adapter import DiscordAdapter  # noqa: PLC0415 - likewise

        adapters.append(
            DiscordAdapter(
                token=token,
                api_url=config.discord.api_url,
                gateway_url=config.discord.gateway_url,
                guild_ids=config.discord.guild_ids,
                shards=config.discord.shards,
                shard_ids=config.discord.shard_ids,
                spoiler=config.discord.spoiler,
                age_restricted=config.discord.age_restricted_only,
                recipe_in_png=config.discord.picture_format == "png",
                catalogue=catalogue,
            )
        )
    return adapters


@asynccontextmanager
async def open_spaces(
    config: Config,
    own_space: Callable[[str], OwnSpace] = OwnSpace.of_model,
    *,
    shows_addresses: bool = True,
    public_names: bool = True,
) -> AsyncIterator[Spaces]:
    """All configured Spaces, tried in their order; those with a model are started, and end after.

    Args:
        config: everything that can be set.
        own_space: makes what is started for a model.
        shows_addresses: errors tell where a Space is; without it, they tell its public name.
        public_names: Spaces without a name or an id are called so; without it, by their address.
    """
    proxy = config.provider.proxy.get_secret_value() or None
    timeout = config.provider.timeout or None
    async with AsyncExitStack() as stack:
        trusted = config.provider.ca_file or None
        session = await stack.enter_async_context(open_session(proxy, ca_file=trusted))
        at_home = await stack.enter_async_context(open_session())  # a proxy does not reach it
        providers: list[DeepseekAI_JanusPro7b | OwnSpaceProvider] = []
        for section in config.spaces:
            name = section.public_name if public_names else section.name
            if section.model:
                space = await stack.enter_async_context(own_space(section.model))
                connect = partial(
                    _at_home,
                    session=at_home,
                    timeout=timeout,
                    name=section.public_name,
                    shows_address=shows_addresses,
                )
                providers.append(OwnSpaceProvider(space, connect, name=section.public_name))
            else:
                providers.append(
                    DeepseekAI_JanusPro7b(
                        space=section.id or None,
                        api_url=section.url or None,
                        hf_token=section.hf_token.get_secret_value() or None,
                        access_token=section.access_token.get_secret_value() or None,
                        session=session,
                        proxy=proxy,
                        timeout=timeout,
                        ca_file=trusted,
                        name=name,
                        shows_address=shows_addresses,
                    )
                )
        yield Spaces(providers, concurrency=[section.concurrency for section in config.spaces])


def _at_home(
    url: str, *, session: ClientSession, timeout: float | None, name: str, shows_address: bool
) -> OwnJanus:
    return OwnJanus(
        api_url=url, session=session, timeout=timeout, name=name, shows_address=shows_address
    )


def database_location(config: Config) -> str | Path:
    """The configured database: a URL, or the SQLite file in the data folder."""
    return config.storage.url.get_secret_value() or config.bot.data_dir / "janus.sqlite3"


def open_storage(config: Config) -> AbstractAsyncContextManager[Storage]:
    """The configured database and the pictures in the data folder. Raises as `Storage.open`."""
    return Storage.open(database_location(config), config.bot.data_dir / "images")


def policy(config: Config) -> Policy:
    """Who may use the bot, and how much."""
    limits = config.limits
    return Policy(
        Allowance(
            limits.turns_per_minute,
            limits.images_per_day,
            limits.queued_turns,
            limits.images_per_day_total,
        ),
        Rules(
            frozenset(config.access.allow),
            frozenset(config.access.deny),
            frozenset(config.bot.admins),
        ),
    )


def defaults(config: Config) -> Settings:
    """What holds in a channel where nothing else is set."""
    return Settings(
        persona=config.bot.system_prompt,
        previews=config.bot.previews,
        history=config.history.messages,
        retention=config.history.retention_days,
    )
