"""The whole configuration as one frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, PrivateAttr, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.config.sections import (
    PUBLIC_SPACE,
    AccessSection,
    BotSection,
    DiscordSection,
    HistorySection,
    HttpSection,
    LimitsSection,
    LogSection,
    ProviderSection,
    SpaceSection,
    StorageSection,
    TelegramSection,
)

PREFIX = "JANUS_BOT_"
"""What the names of all environment variables begin with."""


class Config(BaseSettings):
    """The whole configuration. `Config()` is the default one; `load` reads a real one."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    bot: BotSection = BotSection()
    spaces: tuple[SpaceSection, ...] = (SpaceSection(id=PUBLIC_SPACE),)
    provider: ProviderSection = ProviderSection()
    discord: DiscordSection = DiscordSection()
    telegram: TelegramSection = TelegramSection()
    http: HttpSection = HttpSection()
    history: HistorySection = HistorySection()
    limits: LimitsSection = LimitsSection()
    access: AccessSection = AccessSection()
    storage: StorageSection = StorageSection()
    log: LogSection = LogSection()

    @field_validator("spaces")
    @classmethod
    def _not_none_at_all(cls, spaces: tuple[SpaceSection, ...]) -> tuple[SpaceSection, ...]:
        if not spaces:
            raise ValueError("needs one Space at least")
        return spaces

    @field_validator("http")
    @classmethod
    def _receives_deliveries(cls, http: HttpSection, info: ValidationInfo) -> HttpSection:
        telegram = info.data.get("telegram")  # missing if it has a problem of its own
        if telegram is not None and telegram.webhook_url and not http.enabled:
            raise ValueError(
                "must be enabled, because Telegram delivers to it as [telegram] webhook_url says"
            )
        return http

    _warnings: tuple[str, ...] = PrivateAttr(())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,  # noqa: ARG003 - same
        **named: PydanticBaseSettingsSource,  # noqa: ARG003 - same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """No hidden sources: `load` names its own."""
        return (init_settings,)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works but was probably not meant; a sentence each, for the log."""
        return self._warnings

    def with_warnings(self, warnings: Sequence[str]) -> Self:
        """The same configuration with these warnings."""
        copy = self.model_copy()
        copy._warnings = tuple(warnings)  # noqa: SLF001 - its own class
        return copy

    def secrets(self) -> frozenset[str]:
        """All secret values that are set, for `bot.logs.configure` to keep out of the logs."""
        return frozenset(_secrets(self))


def _secrets(section: BaseModel) -> Iterator[str]:
    """Walk through a section and everything in it."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, BaseModel):
                yield from _secrets(part)
            elif isinstance(part, SecretStr):
                yield from _parts(part.get_secret_value())


def _parts(secret: str) -> Iterator[str]:
    """A URL is a secret only for the password in it."""
    if "://" not in secret:
        yield from filter(None, [secret])
    elif password := urlsplit(secret).password:
        yield from (secret, password, unquote(password))
