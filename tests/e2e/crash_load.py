"""People who go on asking while things die around them."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.e2e.rooms import Asked, DiscordRoom, Room, TelegramRoom, can_draw, outcome
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer

DRAWING = 20
"""Each so many-th request asks for pictures."""
CATCH_UP = 15.0
"""Seconds after connecting in which a bot may still find what was said while it was away."""


def make_rooms(telegram: TelegramServer, discord: DiscordServer, count: int) -> list[Room]:
    """In turn a private chat, a group, and a Discord channel or direct message."""
    guild = discord.guild()
    rooms: list[Room] = []
    for number in range(count):
        person = telegram.person(f"Ann{number}")
        match number % 3:
            case 0:
                rooms.append(TelegramRoom(telegram, telegram.private(person), person))
            case 1:
                rooms.append(TelegramRoom(telegram, telegram.group(f"Group {number}"), person))
            case _:
                user = discord.person(f"Bea{number}")
                direct = number % 6 == 2
                channel = discord.dm(user) if direct else discord.channel(guild)
                rooms.append(DiscordRoom(discord, channel, user))
    return rooms


class Load:
    """One person per room, who asks, waits for the answer, and asks again.

    Args:
        rooms: where.
        database: the bot's, to see what it accepted.
        patience: seconds after which a request counts as lost; its room asks nothing more.
        more: whether to go on after so many requests.
        say: is told of trouble.

    Attributes:
        asked: every request.
        missed: numbers of those that no bot saw, because it was away when they were made.
        listening: monotonic times at which a bot was connected to all platforms.
    """

    def __init__(
        self,
        rooms: Sequence[Room],
        database: Path,
        patience: float,
        more: Callable[[int], bool],
        say: Callable[[str], None],
    ) -> None:
        self.rooms = rooms
        self.asked: list[Asked] = []
        self.missed: set[int] = set()
        self.listening: list[float] = []
        self._database = database
        self._patience = patience
        self._more = more
        self._say = say
        self._numbers = itertools.count(1)

    async def run(self) -> None:
        """Go on until there is enough, and everything was answered or given up."""
        async with asyncio.TaskGroup() as rooms:
            for room in self.rooms:
                rooms.create_task(self._converse(room))

    async def _converse(self, room: Room) -> None:
        while self._more(len(self.asked) - len(self.missed)):
            number = next(self._numbers)
            drawing = number % DRAWING == 0 and can_draw(room)
            message_id = await room.ask(number, drawing=drawing)
            if message_id is None:
                await asyncio.sleep(0.2)  # as people look again after a while
                continue
            asked = Asked(number, room, message_id, drawing, time.monotonic())
            self.asked.append(asked)
            if not await self._settled(asked):
                self._say(f"request {number} in {room.key} got no answer in {self._patience} s")
                return

    async def _settled(self, asked: Asked) -> bool:
        while time.monotonic() < asked.at + self._patience:
            if await asked.room.until(lambda: outcome(asked).answered, 2.0):
                return True
            if self._was_missed(asked):
                self.missed.add(asked.number)
                return True
        return False

    def _was_missed(self, asked: Asked) -> bool:
        """Whether it was said while the bot was away, and those that came after did not find it.

        Only on Discord: Telegram delivers again what was not confirmed.
        """
        if asked.room.platform != "discord" or outcome(asked).orphans:
            return False
        later = [moment for moment in self.listening if moment > asked.at]
        if not later or (len(later) == 1 and time.monotonic() < later[0] + CATCH_UP):
            return False
        return not self._is_accepted(asked)

    def _is_accepted(self, asked: Asked) -> bool:
        query = "SELECT 1 FROM turns WHERE channel = ? AND message_id = ?"
        where = f"file:{self._database}?mode=ro"
        with closing(sqlite3.connect(where, uri=True, timeout=10)) as database:
            found = database.execute(query, (asked.room.key, asked.message_id)).fetchone()
        return found is not None
