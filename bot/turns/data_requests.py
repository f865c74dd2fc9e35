"""What concerns stored data: counting, showing, handing out, deleting it; and the doctor."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from bot.actions import Action, Button, Verb
from bot.files import File
from bot.i18n import Words, literal
from bot.models import ChannelKey, IncomingMessage, Notice, Person
from bot.provider.responses import GpuTime
from bot.storage import RecordStore
from bot.turns.commands import Export, Forget, Privacy, Stats
from bot.turns.settings import ChannelSettings

PERSON, CHANNEL = "person", "channel"


class DataRequests:
    """Answers `/stats`, `/privacy`, `/export`, `/forget` and `/doctor`.

    Args:
        records: the data.
        settings: how long it is kept.
        examine: what the doctor finds: a mark (✓, · or ✗) and a sentence, one after the other.
        unfinished: whether a turn of this channel or person is on its way.
        gpu_time: of each Space, for admins.
    """

    def __init__(
        self,
        records: RecordStore,
        settings: ChannelSettings,
        examine: Callable[[], AsyncIterator[str]],
        unfinished: Callable[[ChannelKey | None, Person | None], bool],
        gpu_time: Callable[[], Awaitable[Sequence[GpuTime]]] | None = None,
    ) -> None:
        self._gpu_time = gpu_time
        self._records = records
        self._settings = settings
        self._examine = examine
        self._unfinished = unfinished

    async def answer(
        self,
        message: IncomingMessage,
        command: Stats | Privacy | Export | Forget,
        admin: bool,
        words: Words,
        *,
        bot_admin: bool = False,
    ) -> Notice:
        """Answer a command; an admin of the bot is told more than one of the channel.

        Raises:
            StorageError: the database cannot be used.
        """
        match command:
            case Stats():
                return Notice(await self._stats(message, bot_admin, words))
            case Privacy():
                return Notice(await self._privacy(message, words))
            case Export():
                return await self._export(message, admin, words)
            case Forget():
                return await self._offer(message, admin, words)

    async def forget(
        self, message: IncomingMessage, whose: str, admin: bool, words: Words
    ) -> Notice:
        """Delete, after the press of the button that says so. Raises as `answer`."""
        if whose == CHANNEL and not admin:
            return Notice(words("forget-not-yours"))
        of_channel = whose == CHANNEL
        if self._unfinished(
            message.channel if of_channel else None, None if of_channel else message.person
        ):
            return Notice(words("forget-busy"))
        if of_channel:
            gone = await self._records.forget_channel(message.channel)
            self._settings.forget()
        else:
            gone = await self._records.forget_person(message.person)
        key = "forget-done-channel" if of_channel else "forget-done-person"
        text = words(key, turns=gone.turns, pictures=gone.pictures, size=_size(gone.size))
        return Notice(text, replaces=True)

    async def examine(self, *, admin: bool, words: Words) -> Notice:
        """Answer `/doctor`. Raises as `answer`."""
        if not admin:
            return Notice(words("doctor-not-yours"))
        lines = [line async for line in self._examine()]
        return Notice("\n".join(lines))

    async def _stats(self, message: IncomingMessage, bot_admin: bool, words: Words) -> str:
        lines = await self._counts(message, words)
        if bot_admin and self._gpu_time is not None:
            lines += [line for each in await self._gpu_time() if (line := gpu_line(each, words))]
        return "\n".join(f"- {line}" for line in lines) if len(lines) > 1 else lines[0]

    async def _counts(self, message: IncomingMessage, words: Words) -> list[str]:
        here = await self._records.counts(message.channel, None)
        mine = await self._records.counts(message.channel, message.person)
        if not here.turns:
            return [words("stats-nothing")]
        return [
            words("stats-here", questions=here.questions, drawings=here.drawings),
            words("stats-people", people=here.people),
            words("stats-pictures", pictures=here.pictures, size=_size(here.size)),
            words("stats-mine", questions=mine.questions, drawings=mine.drawings),
        ]

    async def _privacy(self, message: IncomingMessage, words: Words) -> str:
        settings = await self._settings.of(message.channel, message.server)
        here = await self._records.counts(message.channel, None)
        mine = await self._records.counts(None, message.person)
        kept = "privacy-kept-days" if settings.retention else "privacy-kept-for-ever"
        return "\n".join(
            [
                words("privacy-what"),
                "",
                "- " + words("privacy-here", turns=here.turns, pictures=here.pictures),
                "- " + words("privacy-mine", turns=mine.turns, pictures=mine.pictures),
                "- " + words(kept, days=settings.retention),
                "",
                words("privacy-how"),
            ]
        )

    async def _export(self, message: IncomingMessage, admin: bool, words: Words) -> Notice:
        here = await self._records.counts(message.channel, None)
        if not here.turns:
            return Notice(words("export-nothing"))
        if here.people > 1 and not admin:
            return Notice(words("export-not-yours"))
        data = await self._records.archive(message.channel)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        name = f"{re.sub(r'[^A-Za-z0-9-]', '_', str(message.channel))}-{day}.zip"
        file = File(data, "application/zip", name)
        return Notice(words("export-here", turns=here.turns), files=(file,))

    async def _offer(self, message: IncomingMessage, admin: bool, words: Words) -> Notice:
        mine = await self._records.counts(None, message.person)
        lines = [words("forget-offer"), "", "- " + words("forget-mine", turns=mine.turns)]
        buttons = [
            (Button(Action(Verb.FORGET, PERSON), words("forget-button-person"), danger=True),)
        ]
        if admin:
            here = await self._records.counts(message.channel, None)
            lines.append("- " + words("forget-here", turns=here.turns))
            buttons.append(
                (Button(Action(Verb.FORGET, CHANNEL), words("forget-button-channel"), danger=True),)
            )
        return Notice("\n".join(lines), buttons=tuple(buttons))


def _size(count: int) -> str:
    """Bytes as people read them."""
    if count < 1_000_000:  # noqa: PLR2004 - from here on megabytes say more
        return f"{max(1, round(count / 1000)) if count else 0} kB"
    return f"{count / 1_000_000:.1f} MB"


def gpu_line(known: GpuTime, words: Words) -> str:
    """What an admin is told of a Space's GPU time; empty where there is nothing to tell."""
    space = literal(known.space)
    if not known.limited:
        return ""
    if known.left is not None:
        left, count = f"{known.left:.0f}", known.calls or 0
        return words("stats-gpu-left", space=space, seconds=left, count=count)
    if known.anonymous and known.asks is not None:
        return words("stats-gpu-anonymous", space=space, seconds=f"{known.asks:.0f}")
    return words("stats-gpu-unknown", space=space)
