"""Finds the settings that hold in a channel, and the language to speak there."""

from __future__ import annotations

from typing import Any, Protocol

from bot.language import Catalogue, Words
from bot.messages import ChannelKey, JsonObject, Person
from bot.turns.settings import Settings, merged, scopes

MOST_KEPT = 5000
"""Channels and servers whose settings are kept in memory."""


class SettingsStore(Protocol):
    """Settings by scope: a channel in its written form, or a server.

    Raises:
        StorageError: from any method, when the database cannot be used.
    """

    async def settings(self, scope: str) -> JsonObject:
        """What is set there; empty if nothing is."""
        ...

    async def save_settings(self, scope: str, values: JsonObject) -> None:
        """Set it, durably."""
        ...


class Preferences:
    """The settings of all channels, read once and kept.

    Args:
        store: where they are stored; nobody else may change them there.
        catalogue: the languages.
        defaults: hold where nothing else is set; may be replaced while running.
        language: spoken where neither channel nor person has one that the bot knows.

    Raises:
        StorageError: from any method, when the database cannot be used.
    """

    def __init__(
        self, store: SettingsStore, catalogue: Catalogue, defaults: Settings, language: str
    ) -> None:
        self._store = store
        self.catalogue = catalogue
        self.defaults = defaults
        self.language = language
        self._kept: dict[str, JsonObject] = {}

    async def of(self, channel: ChannelKey, server: str) -> Settings:
        """What holds in a channel: its own settings, else its server's, else the defaults."""
        return merged(self.defaults, *[await self.stored(key) for key in scopes(channel, server)])

    async def words(self, channel: ChannelKey, server: str, person: Person) -> Words:
        """The channel's language, else the person's, else the configured one."""
        settings = await self.of(channel, server)
        return self.catalogue.words(settings.language, person.language, self.language)

    async def stored(self, scope: str) -> JsonObject:
        """What is set in a channel or a server itself."""
        if scope not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[scope] = await self._store.settings(scope)
        return self._kept[scope]

    async def change(self, scope: str, name: str, value: Any | None) -> None:
        """Set a value, or take it away so that the weaker ones hold."""
        values = {key: each for key, each in (await self.stored(scope)).items() if key != name}
        if value is not None:
            values[name] = value
        await self._store.save_settings(scope, values)
        self._kept[scope] = values

    def forget(self) -> None:
        """Read all settings anew: something else changed them."""
        self._kept.clear()
