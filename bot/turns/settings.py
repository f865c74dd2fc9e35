"""How the bot works in a channel: settings, what each may be, where it comes from, the menu."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache

from bot.actions import Action, Button, Rows, Verb
from bot.i18n import Catalogue, Words, literal
from bot.models import (
    MAX_GUIDANCE,
    MIN_GUIDANCE,
    ChannelKey,
    IncomingMessage,
    JsonObject,
    Notice,
    Person,
)
from bot.reply.surface import Limits
from bot.turns.commands import CommandError, ShowSettings

if TYPE_CHECKING:
    from bot.storage import ChannelStore

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
        previews: whether drawings are shown while they are made: `"on"`, `"off"`, or `"private"`
            for where one person reads.
        history: earlier messages sent with a question at most; 0 for none.
        retention: days for which messages and pictures are kept; 0 for ever.
        changers: who may change these: `"admins"` of the channel, or `"everyone"`.
    """

    language: str = ""
    persona: str = ""
    guidance: float = 5.0
    temperature: float = 1.0
    images: bool = True
    previews: str = "private"
    history: int = 20
    retention: int = 90
    changers: str = ADMINS

    def previews_in(self, limits: Limits) -> bool:
        """Whether they are shown where these limits hold."""
        wanted = self.previews == "on" or (self.previews == "private" and limits.private)
        return wanted and limits.preview_seconds is not None


NAMES: Final = tuple(each.name for each in fields(Settings))
"""Names of settings, in the order in which they are listed."""

CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "guidance": ("3", "5", "7", "9"),
    "temperature": ("0.5", "0.8", "1"),
    "images": ("on", "off"),
    "previews": ("on", "private", "off"),
    "history": ("0", "10", "20", "50"),
    "retention": ("7", "30", "90", "0"),
    "changers": (ADMINS, EVERYONE),
}
"""What is offered as buttons; other values can be typed."""

SERVER: Final = "server."
"""Before the name of a setting: it is for the whole server and not for the channel."""


def server_scope(channel: ChannelKey, server: str) -> str:
    """The key of a server's settings; never one of a channel."""
    return f"server:{channel.platform}:{server}"


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


def _one_of(name: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in CHOICES[name]:
            raise ValueError("none of them")
        return text.lower()

    return read


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "language": str,
    "persona": _persona,
    "guidance": _between(MIN_GUIDANCE, MAX_GUIDANCE),
    "temperature": _between(0.01, 1.0),
    "images": _switch,
    "previews": _one_of("previews"),
    "history": _count,
    "retention": _count,
    "changers": _one_of("changers"),
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
        self, store: ChannelStore, catalogue: Catalogue, defaults: Settings, language: str
    ) -> None:
        self._store = store
        self.catalogue = catalogue
        self.defaults = defaults
        self.language = language
        self._read: LRUCache[str, JsonObject] = LRUCache(maxsize=_MAX_SCOPES_READ)

    async def of(self, channel: ChannelKey, server: str) -> Settings:
        """What holds in a channel: its own settings, else its server's, else the defaults.

        What a newer version stored and this one does not know is passed over.
        """
        values = asdict(self.defaults)
        weakest_first = [server_scope(channel, server)] if server else []
        for scope in (*weakest_first, str(channel)):
            stored = await self.stored(scope)
            values |= {name: value for name, value in stored.items() if name in values}
        return Settings(**values)

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


IN_A_ROW = 4
"""Buttons in a row that a phone shows without cutting their labels."""

RESET = "-"
"""In place of a value: take it away."""


class SettingsMenu:
    """What `/settings` does.

    Args:
        settings: the settings of all channels.
    """

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings

    async def show(
        self, message: IncomingMessage, command: ShowSettings, admin: bool, words: Words
    ) -> Notice:
        """Answer `/settings`, `/settings NAME` and `/settings NAME VALUE`.

        Args:
            message: where it was asked.
            command: what was asked.
            admin: whether the person is an admin of the bot or of the channel.
            words: the language to answer in.

        Raises:
            StorageError: the database cannot be used.
        """
        if not command.name:
            return await self._overview(message, admin, words)
        try:
            if command.value is None:
                return await self._one(message, command.name, admin, words)
            return await self._set(message, command.name, command.value, admin, words)
        except CommandError as error:
            return Notice(error.said_in(words))

    async def press(
        self, message: IncomingMessage, action: Action, admin: bool, words: Words
    ) -> Notice:
        """A press of one of the menu's buttons. Raises as `show`."""
        command = ShowSettings(action.target, action.value or None)
        notice = await self.show(message, command, admin, words)
        return Notice(notice.text, buttons=notice.buttons, replaces=True)

    async def _overview(self, message: IncomingMessage, admin: bool, words: Words) -> Notice:
        settings = await self._settings.of(message.channel, message.server)
        lines = [words("settings-heading"), ""]
        lines += [
            f"- **{words(f'settings-{name}')}** (`{name}`): {_shown(settings, name, words)}"
            for name in NAMES
        ]
        if not self._may(settings, admin):
            lines += ["", words("settings-not-yours")]
            return Notice("\n".join(lines))
        lines += ["", words("settings-how")]
        buttons = [
            Button(Action(Verb.SET, name), words(f"settings-{name}"))
            for name in NAMES
            if name != "persona"
        ]
        return Notice("\n".join(lines), buttons=_rows(buttons))

    async def _one(self, message: IncomingMessage, name: str, admin: bool, words: Words) -> Notice:
        plain = name.removeprefix(SERVER)
        if plain not in NAMES:
            raise CommandError("settings-unknown", name=literal(name[:40]), names=", ".join(NAMES))
        settings = await self._settings.of(message.channel, message.server)
        text = words(
            "settings-one",
            name=words(f"settings-{plain}"),
            value=_shown(settings, plain, words),
            about=words(f"settings-about-{plain}"),
        )
        if not self._may(settings, admin):
            return Notice(f"{text}\n\n{words('settings-not-yours')}")
        choices = CHOICES.get(plain, ())
        if plain == "language":
            choices = self._settings.catalogue.languages
        now = written(getattr(settings, plain))
        buttons = [
            Button(Action(Verb.SET, name, value), value, chosen=value == now) for value in choices
        ]
        buttons.append(Button(Action(Verb.SET, name, RESET), words("settings-default")))
        back = (Button(Action(Verb.SET), words("settings-back")),)
        return Notice(text, buttons=(*_rows(buttons), back))

    async def _set(
        self, message: IncomingMessage, name: str, text: str, admin: bool, words: Words
    ) -> Notice:
        plain = name.removeprefix(SERVER)
        settings = await self._settings.of(message.channel, message.server)
        for_server = name != plain
        if not self._may(settings, admin) or (for_server and not admin):
            return Notice(words("settings-not-yours"))
        if plain == "changers" and not admin:
            return Notice(words("settings-not-yours"))
        value = None if text == RESET else parsed(plain, text, self._settings.catalogue)
        if value is None and plain not in NAMES:
            raise CommandError("settings-unknown", name=literal(name[:40]), names=", ".join(NAMES))
        if for_server:
            if not message.server:
                raise CommandError("settings-no-server")
            scope = server_scope(message.channel, message.server)
        else:
            scope = str(message.channel)
        await self._settings.change(scope, plain, value)
        if plain == "language":
            words = await self._settings.words(message.channel, message.server, message.person)
        return await self._one(message, name, admin, words)

    @staticmethod
    def _may(settings: Settings, admin: bool) -> bool:
        return admin or settings.changers == EVERYONE


def _shown(settings: Settings, name: str, words: Words) -> str:
    value = written(getattr(settings, name))
    if name == "persona":
        value = " ".join(value.split())
        value = f"{value[:79]}…" if len(value) > 80 else value  # noqa: PLR2004 - one line on a phone
    return literal(value) or words(f"settings-empty-{name}")


def _rows(buttons: list[Button]) -> Rows:
    return tuple(
        tuple(buttons[start : start + IN_A_ROW]) for start in range(0, len(buttons), IN_A_ROW)
    )
