"""Takes commands in, and keeps every accepted turn going."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import structlog

from bot.errors import StorageError
from bot.messages import IncomingMessage, Person
from bot.turn import FINAL, Ask, Imagine, Turn, TurnState
from bot.turns import answers
from bot.turns.access import DAY, MINUTE, Allowance, Usage, refusal
from bot.turns.commands import Command, Help, Reset, Retry, Stop
from bot.turns.lanes import Lanes
from bot.turns.ports import Notice, Tools
from bot.turns.run import TurnRun

log = structlog.get_logger(__name__)

LAST_WORDS = 3.0
"""Seconds in which suspended turns may say so before the process goes on stopping."""


class Engine:
    """The `Inbox` of all platforms.

    Args:
        tools: what turns work with.
        allowance: what one person may ask.
        tasks: runs the turns; must outlive every call of `handle`.
    """

    def __init__(self, tools: Tools, allowance: Allowance, tasks: asyncio.TaskGroup) -> None:
        self._tools = tools
        self._allowance = allowance
        self._tasks = tasks
        self._lanes = Lanes()
        self._runs: dict[str, tuple[TurnRun, asyncio.Task[None]]] = {}
        self._door = asyncio.Lock()  # between counting and accepting nobody else is accepted
        self._closing = False

    @property
    def unfinished(self) -> int:
        """Turns on their way in this process."""
        return len(self._runs)

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """As `bot.turns.ports.Inbox.handle`.

        Cancelling: the turn is accepted or it is not; a message delivered again tells which.
        """
        if self._closing:
            return Notice(answers.RESTARTING)
        try:
            return await self._carry_out(message, command)
        except StorageError as error:
            log.error("request refused", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            return Notice(answers.NO_STORAGE)

    async def _carry_out(self, message: IncomingMessage, command: Command) -> Notice | None:
        match command:
            case Ask() | Imagine():
                return await self._accept(Turn.accept(message, command))
            case Retry():
                return await self._retry(message)
            case Stop():
                return self._stop(message)
            case Reset():
                await self._tools.store.reset(message.channel)
                return Notice(answers.RESET, private=False)
            case Help():
                return Notice(answers.HELP)

    def resume_later(self, platform: str) -> None:
        """Take up, in the background, the platform's turns that an earlier process left."""
        self._tasks.create_task(self._resume(platform), name=f"resume {platform}")

    async def _resume(self, platform: str) -> None:
        count = 0
        try:
            turns = await self._tools.store.unfinished()
        except StorageError as error:
            log.error("nothing resumed", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            return
        for turn in turns:
            if turn.channel.platform == platform and turn.id not in self._runs:
                ready = turn.to(TurnState.QUEUED) if turn.state is TurnState.RUNNING else turn
                self._start(ready, resumed=True)
                count += 1
        if count:
            log.info("turns resumed", platform=platform, count=count)

    async def drain(self, grace: float) -> None:
        """Accept nothing more; give running turns `grace` seconds and suspend the rest.

        Every task of a turn has ended when this returns, so the database may close.
        """
        self._closing = True
        if not await self._ended(grace):
            for run, _ in list(self._runs.values()):
                run.suspend()
            if not await self._ended(LAST_WORDS):
                for _, task in list(self._runs.values()):
                    task.cancel()
                await self._ended(None)

    async def _ended(self, seconds: float | None) -> bool:
        tasks = [task for _, task in self._runs.values()]
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=seconds)
        return not pending

    async def _accept(self, turn: Turn) -> Notice | None:
        store = self._tools.store
        async with self._door:
            refused = await self._refusal(turn)
            if refused is not None:
                known = await store.turn_of_message(turn.channel, turn.message_id)
                return None if known is not None else Notice(refused)
            if not await store.accept(turn):
                log.info("delivered again", channel=str(turn.channel), message=turn.message_id)
                return None
        log.info("turn accepted", turn=turn.id, channel=str(turn.channel))
        self._start(turn)
        return None

    async def _refusal(self, turn: Turn) -> str | None:
        now = time.time()
        store, person = self._tools.store, turn.person
        usage = Usage(
            unfinished=sum(_same(run.turn.person, person) for run, _ in self._runs.values()),
            turns=await store.accepted_since(person, now - MINUTE, drawings=False),
            images=await store.accepted_since(person, now - DAY, drawings=True),
        )
        return refusal(self._allowance, usage, turn.command, now)

    def _start(self, turn: Turn, *, resumed: bool = False) -> None:
        run = TurnRun(turn, self._lanes.join(turn), self._tools, resumed=resumed)
        task = self._tasks.create_task(run.run(), name=f"run {turn.id}")
        self._runs[turn.id] = (run, task)
        task.add_done_callback(lambda _: self._runs.pop(turn.id, None))

    async def _retry(self, message: IncomingMessage) -> Notice | None:
        before = await self._tools.store.newest(message.channel)
        if before is None:
            return Notice(answers.NOTHING_TO_RETRY)
        if before.state not in FINAL:
            return Notice(answers.STILL_WORKING)
        command = before.command
        if isinstance(command, Imagine):
            command = replace(command, seed=None)  # the same seed would draw the same again
        turn = replace(
            Turn.accept(message, command),
            pictures=before.pictures,
            attachments=() if before.pictures else before.attachments,
            reply_to=before.reply_to,
        )
        return await self._accept(turn)

    def _stop(self, message: IncomingMessage) -> Notice:
        for run, _ in reversed(self._runs.values()):
            mine = _same(run.turn.person, message.person)
            if mine and run.turn.channel == message.channel and run.stop():
                return Notice(answers.STOPPING)
        return Notice(answers.NOTHING_TO_STOP)


def _same(one: Person, other: Person) -> bool:
    """Names change; ids do not."""
    return (one.platform, one.id) == (other.platform, other.id)
