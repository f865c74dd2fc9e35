"""What every scripted inbox of the tests remembers besides requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.actions import Action
from bot.i18n import Catalogue, Words
from bot.models import ChannelKey, Imagine, IncomingMessage, Notice, Person
from bot.turns.commands import Command
from bot.turns.dispatcher import Dispatcher


class RememberingInbox(Dispatcher):
    """A dispatcher that begins nothing: everything is written down, in memory.

    `news` is called after each, so that tests can wait for it.
    """

    def __init__(self, news: Callable[[], object] = lambda: None) -> None:
        self.edits: list[tuple[IncomingMessage, Command]] = []
        self.deletions: list[tuple[ChannelKey, str]] = []
        self.moves: list[tuple[ChannelKey, ChannelKey]] = []
        self.marks: dict[ChannelKey, str] = {}
        self.presses: list[tuple[IncomingMessage, Action]] = []
        self.press_notices: list[Notice] = []
        self.drawings: dict[str, Imagine] = {}
        self.prompts: list[str] = []
        self.catalogue = Catalogue()
        self.news = news

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        self.presses.append((message, action))
        self.news()
        return self.press_notices.pop(0) if self.press_notices else None

    async def drawing(self, turn_id: str) -> Imagine | None:
        return self.drawings.get(turn_id)

    async def recent_prompts(self, person: Person, beginning: str) -> Sequence[str]:
        del person
        return [prompt for prompt in self.prompts if prompt.startswith(beginning)]

    async def words(self, message: IncomingMessage) -> Words:
        return self.catalogue.words(message.person.language)

    async def edited(self, message: IncomingMessage, command: Command) -> None:
        self.edits.append((message, command))
        self.news()

    async def deleted(self, channel: ChannelKey, message_id: str) -> None:
        self.deletions.append((channel, message_id))
        self.news()

    async def moved(self, old: ChannelKey, new: ChannelKey) -> None:
        self.moves.append((old, new))
        self.news()

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        self.marks[channel] = max(self.marks.get(channel, "0"), message_id, key=int)
        self.news()

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        del since
        return [item for item in self.marks.items() if item[0].platform == platform]
