"""The messages of one reply that stand in its channel, and the requests that change them.

Before a message is created that is written down, so that neither a lost answer nor the death of the
process makes a second one: whoever comes next looks for it first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    RateLimited,
    SurfaceError,
    SurfaceForbidden,
)
from bot.models import Segment
from bot.reply.rate_limiter import Creations
from bot.reply.surface import Anchor, Content, Receipt, Search, Surface

if TYPE_CHECKING:
    # It is handed in; importing it would load the database for who shows replies without one.
    from bot.storage.segments import SegmentStore

log = structlog.get_logger(__name__)

_CREATED_AS = "?"
"""Before the digest of a message that was found again: so it was created, but what it shows now
is not known."""

_PREVIEW = "~"
"""Before the digest of a message that shows a preview, or may: where files cannot be added to what
stands there, they cannot be taken away either, so what follows is another message."""

_DRAFT_REFRESH_SECONDS = 20.0
"""After this an unchanged draft is sent again; it fades after 30 (facts of Telegram)."""


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
        turn_id: under which `store` keeps them.
        surface: where they are.
        store: what survives a restart.
        creations: of messages in the same chat.
        clock: monotonic seconds.
        acquire: waits until one more request to this chat may leave.

    Attributes:
        segments: in order, as far as the platform acknowledged them or may have them.
    """

    def __init__(
        self,
        turn_id: str,
        surface: Surface,
        store: SegmentStore,
        *,
        creations: Creations,
        clock: Callable[[], float],
        acquire: Callable[[], Awaitable[object]],
    ) -> None:
        self._turn_id = turn_id
        self._surface = surface
        self._store = store
        self._creations = creations
        self._clock = clock
        self._acquire = acquire
        self.segments: list[Segment] = []
        self._draft = ""
        self._draft_at = float("-inf")

    async def load(self) -> None:
        """Read what an earlier process acknowledged or began."""
        self.segments = list(await self._store.of_turn(self._turn_id))

    @property
    def begun(self) -> bool:
        """Whether a person can see anything of this reply."""
        return bool(self.segments or self._draft)

    def begins_with(self, content: Content) -> bool:
        """Whether the first message, if there is one, shows this already or was created as this."""
        if not self.segments:
            return True
        return self.segments[0].digest.removeprefix(_CREATED_AS) == self._digest(content)

    def next_step(self, wanted: Sequence[Content], *, drafting: bool = False) -> Step | None:
        """The first difference between what is wanted and what stands there.

        A preview is added to a message that is surely there, and never part of a new one.

        Args:
            wanted: the messages, in order.
            drafting: as long as none stands there, the last one is shown as a draft, and again
                whenever the one there is old; a draft shows no preview.
        """
        if drafting and not self.segments and not wanted[-1].previews:
            stale = self._clock() - self._draft_at > _DRAFT_REFRESH_SECONDS
            shown = self._draft == self._digest(wanted[-1])
            return None if shown and not stale else Step(-1, wanted[-1])
        for index, content in enumerate(wanted):
            segment = self.segments[index] if index < len(self.segments) else None
            if segment is None or segment.receipt is None:
                return Step(index, replace(content, previews=()))
            if segment.digest.startswith(_PREVIEW) and not content.previews:
                return Step(len(self.segments) - 1, None)
            if segment.digest != self._digest(content):
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
            self._draft, self._draft_at = self._digest(content), self._clock()
        elif index == len(self.segments):
            await self._create(index, content)
        elif (receipt := self.segments[index].receipt) is not None:
            await self._edit(index, receipt, content)
        elif found := await self._find(index, content):
            # The next step makes it show what it should.
            created_as = self.segments[index].digest.removeprefix(_CREATED_AS)
            await self._acknowledge(index, found, _CREATED_AS + created_as)
        else:
            del self.segments[index:]
            await self._create(index, content)

    async def _create(self, index: int, content: Content) -> None:
        digest = self._digest(content)
        async with self._creations.creating():
            intent = Segment(None, digest, self._surface.anchor())
            await self._store.save(self._turn_id, index, intent)
            try:
                receipt = await self._surface.create(content, f"{self._turn_id}-{index}")
            except DeliveryUnknown:
                self.segments.append(intent)
                raise
            except SurfaceError:
                await self._store.delete(self._turn_id, index)
                raise
            self.segments.append(Segment(receipt, digest))
            await self._store.save(self._turn_id, index, self.segments[index])

    async def _edit(self, index: int, receipt: Receipt, content: Content) -> None:
        before = self.segments[index]
        if content.previews and not self._surface.limits.attach:
            # Written down before: whoever finds it later cannot tell by looking at it.
            await self._acknowledge(index, receipt, _PREVIEW)
        try:
            await self._surface.edit(receipt, content)
        except (RateLimited, SurfaceForbidden, ContentRefused):
            await self._acknowledge(index, receipt, before.digest)
            raise
        await self._acknowledge(index, receipt, self._digest(content))

    async def _remove(self, index: int) -> None:
        segment = self.segments[index]
        receipt = segment.receipt
        if receipt is None:
            receipt = await self._find(index, Content())
        if receipt is not None:
            try:
                await self._surface.delete(receipt)
            except (SurfaceForbidden, ContentRefused) as error:
                if not segment.digest.startswith(_PREVIEW):
                    raise
                log.warning("a preview stays", reason=str(error))  # the answer comes all the same
        del self.segments[index]
        await self._store.delete(self._turn_id, index)

    async def _acknowledge(self, index: int, receipt: Receipt, digest: str) -> None:
        if self.segments[index] == Segment(receipt, digest):
            return
        self.segments[index] = Segment(receipt, digest)
        await self._store.save(self._turn_id, index, self.segments[index])

    async def _find(self, index: int, content: Content) -> Receipt | None:
        doubtful = self.segments[index]

        async def is_known(message_id: str) -> bool:
            return await self._store.is_reply(self._turn_id, message_id)

        async def leave(anchor: Anchor) -> None:
            intent = replace(doubtful, anchor=anchor)
            await self._store.save(self._turn_id, index, intent)
            self.segments[index] = intent

        search = Search(
            doubtful.anchor,
            f"{self._turn_id}-{index}",
            content,
            is_known=is_known,
            acquire=self._acquire,
            alone=self._creations.searching,
            leave=leave,
        )
        receipt = await self._surface.find(search)
        log.info("message in doubt", index=index, found=receipt is not None)
        return receipt

    def _digest(self, content: Content) -> str:
        """Stands for all that a person can see of `content` on this surface."""
        mood = str(content.mood) if self._surface.limits.moods else ""
        preview = _PREVIEW if content.previews and not self._surface.limits.attach else ""
        return preview + content.digest + mood
