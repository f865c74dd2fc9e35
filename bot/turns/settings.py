"""How the bot works in a channel: values, what each may be, and where they come from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from cachetools import LRUCache

from bot.i18n import Catalogue, Words, literal
from bot.models import MAX_GUIDANCE, MIN_GUIDANCE, ChannelKey, JsonObject, Person
from bot.storage import Store
from bot.turns.commands import CommandError

_MAX_PERSONA_CHARS: Final = 2000
"""Each question carries it along."""
_MAX_SCOPES_READ: Final = 5000
"""Channels and servers whose settings are kept in memory."""

ADMINS, EVERYONE = "admins", "everyone"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that hold in a channel, or the defaults of them.

    Attributes:
        language: tag of the language that the bot speaks; empty: each person's own.
        persona: said to the model before every conversation; may be empty.
        guidance: for drawings that name none, 1.0 to 10.0.
        temperature: of drawings, above 0.0 to 1.0.
        images: whether the bot draws here.
        history: earlier messages sent with a question at most; 0 for none.
        retention: days for which messages and pictures are kept; 0 for ever.
        changers: who may change these: `"admins"` of the channel, or `"everyone"`.
    """

    language: str = ""
    persona: str = ""
    guidance: float = 5.0
    temperature: float = 1.0
    images: bool = True
    history: int = 20
    retention: int = 90
    changers: str = ADMINS


NAMES: Final = tuple(each.name for each in fields(Settings))
"""Names of settings, in the order in which they are listed."""

CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "guidance": ("3", "5", "7", "9"),
    "temperature": ("0.5", "0.8", "1"),
    "images": ("on", "off"),
    "history": ("0", "10", "20", "50"),
    "retention": ("7", "30", "90", "0"),
    "changers": (ADMINS, EVERYONE),
}
"""What is offered as buttons; other values can be typed."""

SERVER: Final = "server."
"""Before the name of a setting: it is for the whole server and not for the channel."""


def scopes(channel: ChannelKey, server: str) -> tuple[str, ...]:
    """Under which keys settings are stored, the weakest first."""
    own = str(channel)
    return (server_scope(channel, server), own) if server else (own,)


def server_scope(channel: ChannelKey, server: str) -> str:
    """The key of a server's settings; never one of a channel."""
    return f"server:{channel.platform}:{server}"


def merged(defaults: Settings, *stored: JsonObject) -> Settings:
    """The settings that hold, from the weakest to the strongest.

    What a newer version stored and this one does not know is passed over.
    """
    values = asdict(defaults)
    for one in stored:
        values |= {name: value for name, value in one.items() if name in values}
    return Settings(**values)


def parsed(name: str, text: str, catalogue: Catalogue) -> Any:
    """The value of a setting from what a person wrote.

    Raises:
        CommandError: no such setting, or not one of its values.
    """
    reader = _READERS.get(name)
    if reader is None:
        raise CommandError("settings-unknown", name=literal(name[:40]), names=", ".join(NAMES))
    if name == "language":
        return _language(text, catalogue)
    try:
        return reader(text.strip())
    except ValueError:
        raise CommandError(f"settings-bad-{name}") from None


def written(value: Any) -> str:
    """A value as it is shown and typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _language(text: str, catalogue: Catalogue) -> str:
    wanted = text.strip().lower()
    if wanted not in {each.lower() for each in catalogue.languages}:
        raise CommandError("settings-bad-language", languages=", ".join(catalogue.languages))
    return wanted


def _persona(text: str) -> str:
    if len(text) > _MAX_PERSONA_CHARS:
        raise ValueError("too long")
    return text


def _between(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text.replace(",", "."))
        if not least <= value <= most:
            raise ValueError("out of range")
        return value

    return read


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 100_000:  # noqa: PLR2004 - more is a slip of the finger
        raise ValueError("out of range")
    return value


def _switch(text: str) -> bool:
    words = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
    if text.lower() not in words:
        raise ValueError("neither on nor off")
    return words[text.lower()]


def _changers(text: str) -> str:
    if text.lower() not in CHOICES["changers"]:
        raise ValueError("neither of the two")
    return text.lower()


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "language": str,
    "persona": _persona,
    "guidance": _between(MIN_GUIDANCE, MAX_GUIDANCE),
    "temperature": _between(0.01, 1.0),
    "images": _switch,
    "history": _count,
    "retention": _count,
    "changers": _changers,
}


class ChannelSettings:
    """Finds the settings that hold in a channel, and the language to speak there.

    Args:
        store: where they are stored; nobody else may change them there.
        catalogue: the languages.
        defaults: hold where nothing else is set; may be replaced while running.
        language: spoken where neither channel nor person has one that the bot knows.

    Raises:
        StorageError: from any method, when the database cannot be used.
    """

    def __init__(
        self, store: Store, catalogue: Catalogue, defaults: Settings, language: str
    ) -> None:
        self._store = store
        self.catalogue = catalogue
        self.defaults = defaults
        self.language = language
        self._read: LRUCache[str, JsonObject] = LRUCache(maxsize=_MAX_SCOPES_READ)

    async def of(self, channel: ChannelKey, server: str) -> Settings:
        """What holds in a channel: its own settings, else its server's, else the defaults."""
        return merged(self.defaults, *[await self.stored(key) for key in scopes(channel, server)])

    async def words(self, channel: ChannelKey, server: str, person: Person) -> Words:
        """The channel's language, else the person's, else the configured one."""
        settings = await self.of(channel, server)
        return self.catalogue.words(settings.language, person.language, self.language)

    async def stored(self, scope: str) -> JsonObject:
        """What is set in a channel or a server itself."""
        values = self._read.get(scope)
        if values is None:
            values = self._read[scope] = await self._store.settings(scope)
        return values

    async def change(self, scope: str, name: str, value: Any | None) -> None:
        """Set a value, or take it away so that the weaker ones hold."""
        values = {key: each for key, each in (await self.stored(scope)).items() if key != name}
        if value is not None:
            values[name] = value
        await self._store.save_settings(scope, values)
        self._read[scope] = values

    def forget(self) -> None:
        """Read all settings anew: something else changed them."""
        self._read.clear()
