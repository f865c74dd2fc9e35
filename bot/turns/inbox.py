"""Where platforms deliver what people do, and what they get at once. `Dispatcher` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.actions import Action, Rows
from bot.files import File
from bot.i18n import Words
from bot.models import ChannelKey, Imagine, IncomingMessage, Person
from bot.turns.commands import Command


@dataclass(frozen=True, slots=True)
class Notice:
    """An answer of the bot itself, at once, without a turn.

    Attributes:
        text: Markdown.
        private: concerns only who asked; shown to nobody else where the platform can do that.
        files: sent with it, or after it where that is not possible.
        buttons: under it, in rows.
        replaces: after a press: it takes the place of the message whose button was pressed.
    """

    text: str
    private: bool = True
    files: tuple[File, ...] = ()
    buttons: Rows = ()
    replaces: bool = False


class Inbox(Protocol):
    """Where platforms deliver what people want; implemented by `Engine`."""

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """Take a command in.

        Returns when a turn is committed, its first sign of life on the way; the reply itself goes
        on in the background. A message delivered before changes nothing.

        Returns:
            What to answer at once, or `None` if a turn's reply is the answer.
        """
        ...

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        """Take the press of a button in.

        Args:
            message: who pressed, where, and where a reply goes; its id is that of the press.
            action: as the button carried it. `Verb.EDIT` begins nothing: `None` says only that the
                turn is this person's. A platform then asks for the new prompt (see `drawing`) and
                hands it to `handle`.

        Returns:
            As `handle`. Somebody else's press gets a private notice, and changes nothing.
        """
        ...

    async def drawing(self, turn_id: str) -> Imagine | None:
        """The prompt, seed and guidance of a turn that drew; `None` if there is no such turn."""
        ...

    async def recent_prompts(self, person: Person, beginning: str) -> Sequence[str]:
        """What a person drew lately, newest first, each prompt once.

        Args:
            person: whose; nobody else is shown them.
            beginning: only prompts that begin like this, whatever the case.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def words(self, message: IncomingMessage) -> Words:
        """The language to speak: the channel's, else the person's, else the configured one."""
        ...

    async def edited(self, message: IncomingMessage, command: Command) -> None:
        """A person edited a message: its turn is begun again in the same reply, if not finished.

        A message that made no turn makes none now.
        """
        ...

    async def deleted(self, channel: ChannelKey, message_id: str) -> None:
        """A person deleted a message: its turn, if not finished, ends and its reply goes."""
        ...

    async def moved(self, old: ChannelKey, new: ChannelKey) -> None:
        """The platform gave a channel another id: all that belongs to it goes along.

        Raises:
            StorageError: the database cannot be used; to be called again.
        """
        ...

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        """A message was handled, whatever came of it; for platforms that do not deliver again.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        """Channels in which messages were handled after `since` (Unix seconds), newest first.

        Returns:
            Each with the largest id handled there.

        Raises:
            StorageError: the database cannot be used.
        """
        ...
