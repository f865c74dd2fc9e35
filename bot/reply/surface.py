"""The port through which one reply is shown.

Each platform implements `Surface`; what it can do and how much it takes is data (`Limits`), so that
nothing in `reply` or `turns` ever asks which platform it is talking to.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from bot.actions import Rows
from bot.files import File

Receipt: TypeAlias = dict[str, Any]
"""How a surface finds a message again, as JSON. Only the surface that made it reads it."""


Anchor: TypeAlias = dict[str, Any]
"""Where to look for a message whose create was not acknowledged, as JSON. Like `Receipt`, only the
surface that made it reads it."""


class Mood(enum.StrEnum):
    """What a message is at the moment, for surfaces that colour it or mark it."""

    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Activity(enum.StrEnum):
    """What a reply is doing or waiting for; each surface has its own sign for it."""

    WAITING = "waiting"
    WAKING = "waking"
    WORKING = "working"
    FETCHING = "fetching"
    PAUSED = "paused"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Status:
    """What a message says while there is no answer to show.

    Sentences are Markdown in the language of the reply, without signs and bars: a surface draws
    those. Numbers are coarse enough that two equal statuses look the same.

    Attributes:
        activity: for the sign.
        text: what is being done or waited for, e.g. `"Place 3 in the Space's queue"`.
        share: done so far, 0.0 to 1.0 in steps of 0.01; `None` if unknown.
        remaining: how long it will take, e.g. `"about 20 s"`; empty if unknown.
        note: a line of the Space's own log; may be empty.
        resumed: says that the bot was restarted meanwhile; empty if it was not.
    """

    activity: Activity
    text: str
    share: float | None = None
    remaining: str = ""
    note: str = ""
    resumed: str = ""


@dataclass(frozen=True)
class Content:
    """All that one message shows; an edit always states the whole of it.

    Attributes:
        text: Markdown as the model or the bot wrote it. Untrusted: a surface makes sure that it
            pings nobody. Empty only if there are files, a note or a status.
        files: pictures in order, `Limits.files` at most.
        mood: working, done, failed or stopped.
        buttons: in rows. Shown only where `Limits.buttons` says so, and under pictures only where
            `Limits.buttons_with_files` does.
        status: shown in place of a text while there is none.
        note: how it ended, in a sentence below the text. Its sign is that of `mood`.
        previews: pictures that are being made, beside the status; gone in the end. One sheet of all
            of them where `Limits.preview_seconds` says so.
    """

    text: str = ""
    files: tuple[File, ...] = ()
    mood: Mood = Mood.WORKING
    buttons: Rows = ()
    status: Status | None = None
    note: str = ""
    previews: tuple[File, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Stands for all that people can see of it, but for a mood that only colours it."""
        rows = ("|".join(f"{each.action} {each.text}" for each in row) for row in self.buttons)
        ending = (str(self.mood), self.note) if self.note else ()
        keys = (file.key for file in (*self.files, *self.previews))
        parts = (self.text, repr(self.status), *ending, *keys, *rows)
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Window:
    """A limit of a chat: so many requests, edits included, in any stretch of so many seconds."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a surface can do in this chat.

    Attributes:
        text: units that `Surface.measure` may reach in one message.
        caption: the same for a message with files.
        files: files in one message.
        interval: seconds between two intermediate edits in this chat that never earn a 429.
        previews: drafts are possible: shown to the person, gone by themselves, and replaced by
            one real message at the end.
        attach: files can be added to a message that is already there.
        moods: people can see a message's mood, so a change of it alone is worth an edit.
        rate: requests per second that the whole bot may make on this platform.
        buttons: messages can have buttons.
        buttons_with_files: messages with pictures can have them too.
        windows: what the platform takes from this chat at most, if that is known.
        private: one person reads here, or whoever opens the page.
        preview_seconds: pictures that are being made are shown as one sheet of all of them, and a
            message with it changes no sooner than after so many seconds; 0 where each is shown as
            it comes, and `None` where they are not shown.
    """

    text: int
    caption: int
    files: int
    interval: float
    previews: bool = False
    attach: bool = True
    moods: bool = False
    rate: float = 25.0
    buttons: bool = False
    buttons_with_files: bool = True
    windows: tuple[Window, ...] = ()
    private: bool = False
    preview_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RateLimitInfo:
    """What a platform said about a chat's limit with its newest answer.

    Attributes:
        left: requests that it takes before the count begins anew.
        seconds: until then.
    """

    left: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Search:
    """A message that may be in the channel: its create was never acknowledged.

    Attributes:
        anchor: what `Surface.anchor` said before the create.
        nonce: of the create.
        content: what the message should show now; it may have been created with an older one.
        is_known: whether the message with this platform id belongs to another message of a reply.
        acquire: waits until one more request to this chat may leave. To be called before each.
        alone: while it is held, no message of another reply is being created in this chat, so that
            `is_known` stays true for a while.
        leave: stores the anchor with which to go on, should this search be cut off here. A search
            that takes long may never come to its end otherwise, when processes die early.
    """

    anchor: Anchor
    nonce: str
    content: Content
    is_known: Callable[[str], Awaitable[bool]]
    acquire: Callable[[], Awaitable[object]]
    alone: Callable[[], AbstractAsyncContextManager[None]]
    leave: Callable[[Anchor], Awaitable[None]]


class Surface(Protocol):
    """Shows one reply on one platform, in the place that its `Address` names.

    Every method but `measure` may raise `RateLimited`, `SurfaceUnavailable`, `SurfaceForbidden`
    or `ContentRefused`, and nothing else that is not listed with it. None retries by itself.

    Cancelling: a cancelled call may or may not have reached the platform.
    """

    @property
    def limits(self) -> Limits:
        """What can be done here; may change after a `PreviewUnsupported`."""
        ...

    @property
    def rate_limit_info(self) -> RateLimitInfo | None:
        """What the platform said with the newest answer about its limit; most say nothing."""
        ...

    def measure(self, text: str) -> int:
        """Length of `text` in the platform's units after rendering."""
        ...

    def anchor(self) -> Anchor:
        """What will help `find`, asked before each `create`. Small: it is stored."""
        ...

    async def find(self, search: Search) -> Receipt | None:
        """Look for a message whose create was not acknowledged.

        Returns:
            Its receipt, or `None` if it was not found, or if creating it again with the same nonce
            makes no second one.

        Cancelling: the search can be done again.
        """
        ...

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Show a new message.

        Args:
            content: what it shows.
            nonce: the same for every try at the same message (25 characters at most), so that a
                platform which knows nonces stores it once.

        Raises:
            DeliveryUnknown: it may have been stored.
        """
        ...

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Make an existing message show `content`. Nothing to change counts as success.

        Raises:
            MessageGone: it does not exist any more.
            DeliveryUnknown: the change may have been made; repeating it is harmless.
        """
        ...

    async def delete(self, receipt: Receipt) -> None:
        """Remove a message. One that is gone already counts as success."""
        ...

    async def preview(self, content: Content) -> None:
        """Show a draft in the person's chat; the newest replaces the one before.

        Raises:
            PreviewUnsupported: not here, or not on this server; `limits.previews` is false from
                now on.
        """
        ...
