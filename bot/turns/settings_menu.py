"""Shows the settings of a channel and changes them, with buttons or in words."""

from __future__ import annotations

from bot.actions import Action, Button, Rows, Verb
from bot.i18n import Words, literal
from bot.models import IncomingMessage, Notice
from bot.turns.commands import CommandError, ShowSettings
from bot.turns.settings import (
    CHOICES,
    EVERYONE,
    NAMES,
    SERVER,
    ChannelSettings,
    Settings,
    parsed,
    scopes,
    server_scope,
    written,
)

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
            Button(Action(Verb.SET, name, value), f"● {value}" if value == now else value)
            for value in choices
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
            scope = scopes(message.channel, message.server)[-1]
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
