"""What stands in the channel of one reply, and the requests that change it.

Before a message is created that is written down, so that neither a lost answer nor the death of the
process makes a second one: whoever comes next looks for it first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from bot.errors import DeliveryUnknown, SurfaceError
from bot.reply.rate_limiter import Creations
from bot.reply.surface import Anchor, Content, Receipt, Search, Surface

log = structlog.get_logger(__name__)

_CREATED_AS = "?"
"""Before the digest of a message that was found again: so it was created, but what it shows now
is not known."""

PREVIEW_REFRESH = 20.0
"""Seconds after which an unchanged draft is sent again; it fades after 30 (facts of Telegram)."""


class Ledger(Protocol):
    """Keeps what platforms acknowledged of each reply; implemented by storage."""

    async def segments(
        self, turn_id: str
    ) -> Sequence[tuple[int, Receipt | None, str, Anchor | None]]:
        """Index, receipt, digest and anchor of each message, in order.

        Without a receipt, the message was about to be created and may be there.
        """
        ...

    async def begin_segment(self, turn_id: str, index: int, anchor: Anchor, digest: str) -> None:
        """Store that a message is about to be created, or from where it is still looked for."""
        ...

    async def save_segment(self, turn_id: str, index: int, receipt: Receipt, digest: str) -> None:
        """Store that a message shows what `digest` stands for."""
        ...

    async def delete_segment(self, turn_id: str, index: int) -> None:
        """Store that a message is no more, or never was."""
        ...

    async def is_reply(self, turn_id: str, message_id: str) -> bool:
        """Whether a message in this turn's chat belongs to any reply, as far as is stored."""
        ...


@dataclass(frozen=True, slots=True)
class _Segment:
    """One message of a reply.

    Attributes:
        receipt: how to find it; `None` while nobody knows whether it was created.
        digest: of what the platform acknowledged last.
        anchor: where to look for it while there is no receipt.
    """

    receipt: Receipt | None
    digest: str
    anchor: Anchor = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One request that brings the channel nearer to what is wanted.

    Attributes:
        index: which message of the reply, from 0; -1 for a draft.
        content: what it shows then; `None` if it should not be there.
    """

    index: int
    content: Content | None


class ReplyMessages:
    """The messages of one reply.

    Args:
        turn_id: under which `ledger` keeps them.
        surface: where they are.
        ledger: what survives a restart.
        creations: of messages in the same chat.
        clock: monotonic seconds.
        turn: waits until one more request to this chat may leave.

    Attributes:
        segments: in order, as far as the platform acknowledged them or may have them.
        begun: a message or a draft was acknowledged.
    """

    def __init__(
        self,
        turn_id: str,
        surface: Surface,
        ledger: Ledger,
        *,
        creations: Creations,
        clock: Callable[[], float],
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._turn_id = turn_id
        self._surface = surface
        self._ledger = ledger
        self._creations = creations
        self._clock = clock
        self._turn = turn
        self.segments: list[_Segment] = []
        self._preview = ""
        self._preview_at = float("-inf")

    async def load(self) -> None:
        """Read what an earlier process acknowledged or began."""
        self.segments = [
            _Segment(receipt, digest, anchor or {})
            for _, receipt, digest, anchor in await self._ledger.segments(self._turn_id)
        ]

    @property
    def begun(self) -> bool:
        """Whether a person can see anything of this reply."""
        return bool(self.segments or self._preview)

    def begins_with(self, content: Content) -> bool:
        """Whether the first message, if there is one, shows this already or was created as this."""
        if not self.segments:
            return True
        return self.segments[0].digest.removeprefix(_CREATED_AS) == self._digest(content)

    def next_preview(self, content: Content) -> Step | None:
        """A draft, if the one there is old or another."""
        stale = self._clock() - self._preview_at > PREVIEW_REFRESH
        if self._preview == self._digest(content) and not stale:
            return None
        return Step(-1, content)

    def next_step(self, wanted: Sequence[Content]) -> Step | None:
        """The first difference between what is wanted and what stands there."""
        for index, content in enumerate(wanted):
            if index >= len(self.segments):
                return Step(index, content)
            segment = self.segments[index]
            if segment.receipt is None or segment.digest != self._digest(content):
                return Step(index, content)
        if len(self.segments) > len(wanted):
            return Step(len(self.segments) - 1, None)
        return None

    async def perform(self, step: Step) -> None:
        """Make one request and store its acknowledgement.

        Raises:
            SurfaceError: as the methods of `Surface`.

        Cancelling: what the request came to is found out by the next process.
        """
        index, content = step.index, step.content
        if content is None:
            await self._remove(index)
        elif index < 0:
            await self._surface.preview(content)
            self._preview, self._preview_at = self._digest(content), self._clock()
        elif index == len(self.segments):
            await self._create(index, content)
        elif (receipt := self.segments[index].receipt) is not None:
            await self._surface.edit(receipt, content)
            await self._acknowledge(index, receipt, self._digest(content))
        elif found := await self._find(index, content):
            # The next step makes it show what it should.
            created_as = self.segments[index].digest.removeprefix(_CREATED_AS)
            await self._acknowledge(index, found, _CREATED_AS + created_as)
        else:
            del self.segments[index:]
            await self._create(index, content)

    async def _create(self, index: int, content: Content) -> None:
        async with self._creations.creating():
            await self._create_and_store(index, content)

    async def _create_and_store(self, index: int, content: Content) -> None:
        digest, anchor = self._digest(content), self._surface.anchor()
        await self._ledger.begin_segment(self._turn_id, index, anchor, digest)
        try:
            receipt = await self._surface.create(content, self._nonce(index))
        except DeliveryUnknown:
            self.segments.append(_Segment(None, digest, anchor))
            raise
        except SurfaceError:
            await self._ledger.delete_segment(self._turn_id, index)
            raise
        self.segments.append(_Segment(receipt, digest))
        await self._ledger.save_segment(self._turn_id, index, receipt, digest)

    async def _remove(self, index: int) -> None:
        receipt = self.segments[index].receipt
        if receipt is None:
            receipt = await self._find(index, Content(""))
        if receipt is not None:
            await self._surface.delete(receipt)
        del self.segments[index]
        await self._ledger.delete_segment(self._turn_id, index)

    async def _acknowledge(self, index: int, receipt: Receipt, digest: str) -> None:
        self.segments[index] = _Segment(receipt, digest)
        await self._ledger.save_segment(self._turn_id, index, receipt, digest)

    async def _find(self, index: int, content: Content) -> Receipt | None:
        async def known(message_id: str) -> bool:
            return await self._ledger.is_reply(self._turn_id, message_id)

        async def leave(anchor: Anchor) -> None:
            await self._ledger.begin_segment(self._turn_id, index, anchor, doubtful.digest)
            self.segments[index] = replace(doubtful, anchor=anchor)

        doubtful = self.segments[index]
        search = Search(
            doubtful.anchor,
            self._nonce(index),
            content,
            known=known,
            turn=self._turn,
            alone=self._creations.searching,
            leave=leave,
        )
        receipt = await self._surface.find(search)
        log.info("message in doubt", index=index, found=receipt is not None)
        return receipt

    def _nonce(self, index: int) -> str:
        return f"{self._turn_id}-{index}"

    def _digest(self, content: Content) -> str:
        """Stands for all that a person can see of `content`."""
        limits = self._surface.limits
        mood = str(content.mood) if limits.moods else ""
        rows = content.buttons if limits.buttons else ()
        buttons = ("|".join(f"{each.action} {each.label}" for each in row) for row in rows)
        parts = (content.text, mood, *(upload.key for upload in content.files), *buttons)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
