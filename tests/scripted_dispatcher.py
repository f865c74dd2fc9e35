"""Dispatchers of which a test decides what they say to a message, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bot.actions import Action
from bot.i18n import Catalogue, Words
from bot.models import ChannelKey, Imagine, IncomingMessage, Notice, Person
from bot.turns.commands import Command
from bot.turns.dispatcher import Dispatcher


class RememberingDispatcher(Dispatcher):
    """A dispatcher that begins nothing: everything is written down, in memory.

    `news` is called after each, so that tests can wait for it elsewhere than here.
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
        self._changed = asyncio.Event()

    def notify(self) -> None:
        self._changed.set()
        self.news()

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Wait until something is so that changes only when this dispatcher is told something."""
        async with asyncio.timeout(50):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        self.presses.append((message, action))
        self.notify()
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
        self.notify()

    async def deleted(self, channel: ChannelKey, message_id: str) -> None:
        self.deletions.append((channel, message_id))
        self.notify()

    async def moved(self, old: ChannelKey, new: ChannelKey) -> None:
        self.moves.append((old, new))
        self.notify()

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        self.marks[channel] = max(self.marks.get(channel, "0"), message_id, key=int)
        self.notify()

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        del since
        return [item for item in self.marks.items() if item[0].platform == platform]


class Taken(NamedTuple):
    """A message that was taken in."""

    message: IncomingMessage
    command: Command


@dataclass
class ScriptedDispatcher(RememberingDispatcher):
    """Takes messages in; what it answers, and when, is up to the test.

    Attributes:
        notices: what messages are answered with, in order; after the last, `notice`.
        failures: raised by the next messages, one each, in place of taking them in.
        press_failure: raised by every press.
        gate: messages wait until it is set.
        begun: messages that came, taken in or not.
    """

    notices: list[Notice] = field(default_factory=list)
    notice: Notice | None = None
    failures: list[Exception] = field(default_factory=list)
    press_failure: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    got: list[Taken] = field(default_factory=list)
    news: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        super().__init__(self.news)
        self.gate.set()

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        self.begun += 1
        self.notify()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.got.append(Taken(message, command))
        self.notify()
        return self.notices.pop(0) if self.notices else self.notice

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        if self.press_failure is not None:
            raise self.press_failure
        return await super().press(message, action)

    @property
    def commands(self) -> list[Command]:
        return [one.command for one in self.got]

    async def wait(self, count: int) -> list[Taken]:
        """Wait until so many messages were taken in."""
        await self.wait_for(lambda: len(self.got) >= count)
        return self.got
