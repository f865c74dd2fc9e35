"""Keeps every accepted turn going, from its acceptance to its final reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from bot.errors import StorageError, SurfaceError
from bot.i18n import Words
from bot.models import (
    FINAL,
    Ask,
    ChannelKey,
    Imagine,
    IncomingMessage,
    Notice,
    Person,
    Turn,
    TurnState,
    same_person,
)
from bot.turns.access import DAY_SECONDS, MINUTE_SECONDS, Policy, Usage, refusal
from bot.turns.run import TurnRun
from bot.turns.scheduler import ChannelQueues, Scheduler
from bot.turns.services import Services

log = structlog.get_logger(__name__)

_SUSPEND_SECONDS = 3.0
"""In which suspended turns may say so before the process goes on stopping."""


class Engine:
    """Accepts turns and runs them.

    Args:
        services: what turns work with.
        policy: what people may ask, as it is at the moment.
        tasks: runs the turns; must outlive every call of `accept`.
    """

    def __init__(
        self, services: Services, policy: Callable[[], Policy], tasks: asyncio.TaskGroup
    ) -> None:
        self._services = services
        self._policy = policy
        self._tasks = tasks
        self._queues = ChannelQueues()
        self._scheduler = Scheduler(services.slots, drawings_left=services.drawings_left)
        self._runs: dict[str, tuple[TurnRun, asyncio.Task[None]]] = {}
        self._accepting = asyncio.Lock()  # between counting and accepting nobody else is accepted
        self.closing = False

    @property
    def unfinished(self) -> int:
        """Turns on their way in this process."""
        return len(self._runs)

    async def accept(self, turn: Turn, words: Words, *, follows: bool = True) -> Notice | None:
        """Commit a turn and start it, if its person may ask now and it is not known already.

        Args:
            turn: new.
            words: for a refusal.
            follows: find out which turn it goes on from; otherwise it says so itself.

        Returns:
            Why not, or `None`.

        Raises:
            StorageError: nothing could be written down.
        """
        stored = self._services.storage.turns
        async with self._accepting:
            refused = await self._refusal(turn, words)
            if refused is not None:
                known = await stored.of_message(turn.channel, turn.message_id)
                return None if known is not None else Notice(refused)
            if follows:
                # The turn whose message is answered, else the channel's newest.
                parent = None
                if turn.reply_to is not None:
                    parent = await stored.of_message(turn.channel, turn.reply_to)
                parent = parent or await stored.newest(turn.channel)
                turn = replace(turn, parent=parent.id if parent else None)
            if not await stored.accept(turn):
                log.info("delivered again", channel=str(turn.channel), message=turn.message_id)
                return None
        log.info("turn accepted", turn=turn.id, channel=str(turn.channel))
        self._start(turn)
        return None

    async def retry(
        self, message: IncomingMessage, before: Turn | None, words: Words
    ) -> Notice | None:
        """Answer a turn again, as another turn. Raises as `accept`."""
        if before is None:
            return Notice(words("retry-nothing"))
        if before.state not in FINAL:
            return Notice(words("retry-still-working"))
        command = before.command
        if isinstance(command, Imagine):
            command = replace(command, seed=None)  # the same seed would draw the same again
        turn = replace(
            # Beside the old answer and not after it: what is shown last is what history follows.
            Turn.accept(message, command, before.parent),
            pictures=before.pictures,
            attachments=() if before.pictures else before.attachments,
            reply_to=before.reply_to,
        )
        return await self.accept(turn, words, follows=False)

    def stop(self, channel: ChannelKey, person: Person) -> bool:
        """Stop the newest unfinished turn of a person in a channel, if there is one."""
        for run, _ in reversed(self._runs.values()):
            if same_person(run.turn.person, person) and run.turn.channel == channel and run.stop():
                return True
        return False

    def stop_turn(self, turn_id: str) -> bool:
        """Stop one turn, if it is unfinished."""
        run = self._runs.get(turn_id)
        return run is not None and run[0].stop()

    def is_busy(self, channel: ChannelKey | None, person: Person | None) -> bool:
        """Whether a turn of this channel, or of this person, is on its way."""
        return any(
            run.turn.channel == channel
            or (person is not None and same_person(run.turn.person, person))
            for run, _ in self._runs.values()
        )

    async def remove(self, turn: Turn, words: Words) -> None:
        """Remove the reply of a turn; an unfinished one ends.

        Raises:
            StorageError: the database cannot be used.
        """
        run = self._runs.get(turn.id)
        if run is not None and run[0].withdraw():
            return
        reply = await self._services.open_reply(turn, words, _ignore)
        try:
            await reply.remove()
        finally:
            await reply.aclose()

    async def edit(self, message: IncomingMessage, command: Ask | Imagine) -> None:
        """Begin the turn of an edited request again, if it is unfinished.

        When this returns, the new words are stored, or came too late.
        """
        run = self._run_of(message.channel, message.message_id)
        if run is None:
            return
        fresh, before = Turn.accept(message, command), run.wanted
        files = before.attachments
        if fresh.attachments and _names(fresh) != _names(before):
            files = fresh.attachments
        if (command, files) == (before.command, before.attachments):
            return  # platforms report edits that changed nothing of this, such as a preview
        same_seed = not isinstance(command, Imagine) or command.seed is None
        edited = replace(
            before,
            command=command,
            attachments=files,
            pictures=before.pictures if files == before.attachments else (),
            seed=before.seed if same_seed else fresh.seed,
        )
        if run.redo(edited):
            await run.settled()

    def withdraw(self, channel: ChannelKey, message_id: str) -> None:
        """End the unfinished turn of a request that its person deleted, and remove its reply."""
        run = self._run_of(channel, message_id)
        if run is not None and run.withdraw():
            log.info("request deleted", turn=run.turn.id)

    def resume_later(self, platform: str) -> None:
        """Take up, in the background, the platform's turns that an earlier process left."""
        self._tasks.create_task(self._resume(platform), name=f"resume {platform}")

    async def _resume(self, platform: str) -> None:
        count = 0
        try:
            turns = await self._services.storage.turns.unfinished()
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
        self.closing = True
        if not await self._ended(grace):
            for run, _ in list(self._runs.values()):
                run.suspend()
            if not await self._ended(_SUSPEND_SECONDS):
                for _, task in list(self._runs.values()):
                    task.cancel()
                await self._ended(None)

    async def _ended(self, seconds: float | None) -> bool:
        tasks = [task for _, task in self._runs.values()]
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=seconds)
        return not pending

    async def _refusal(self, turn: Turn, words: Words) -> str | None:
        now = time.time()
        stored = self._services.storage.turns
        person, allowance = turn.person, self._policy().allowance
        usage = Usage(
            unfinished=sum(same_person(run.turn.person, person) for run, _ in self._runs.values())
        )
        if allowance.turns_per_minute:
            turns = await stored.accepted_since(person, now - MINUTE_SECONDS, drawings=False)
            usage = replace(usage, turns=turns)
        if isinstance(turn.command, Imagine) and allowance.images_per_day:
            images = await stored.accepted_since(person, now - DAY_SECONDS, drawings=True)
            usage = replace(usage, images=images)
        if isinstance(turn.command, Imagine) and allowance.images_per_day_total:
            everybodys = await stored.accepted_since(None, now - DAY_SECONDS, drawings=True)
            usage = replace(usage, all_images=everybodys)
        return refusal(allowance, usage, turn.command, now, words)

    def _start(self, turn: Turn, *, resumed: bool = False) -> None:
        entry = self._queues.join(turn)
        run = TurnRun(turn, entry, self._scheduler, self._services, resumed=resumed)
        task = self._tasks.create_task(run.run(), name=f"run {turn.id}")
        self._runs[turn.id] = (run, task)
        task.add_done_callback(lambda _: self._runs.pop(turn.id, None))

    def _run_of(self, channel: ChannelKey, message_id: str) -> TurnRun | None:
        """The unfinished turn of a request."""
        for run, _ in self._runs.values():
            if (run.turn.channel, run.turn.message_id) == (channel, message_id):
                return run
        return None


def _names(turn: Turn) -> list[tuple[str, int | None]]:
    """What tells the files of a request apart; their links change with every look at them."""
    return [(each.name, each.size) for each in turn.attachments]


def _ignore(error: SurfaceError) -> None:
    """A reply that is to be removed cannot be lost."""
    log.info("reply not removed", reason=str(error))
