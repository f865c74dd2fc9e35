"""What turns work with: one value that is built once and handed to whoever needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.errors import SurfaceError
from bot.i18n import Words
from bot.metrics import Metrics
from bot.models import Address, Attachment, ChannelKey, Person, Turn
from bot.provider.responses import AsyncGeneratorProvider
from bot.reply.live_reply import LiveReply
from bot.reply.rate_limiter import RateLimiter
from bot.reply.surface import Surface
from bot.turns.settings import ChannelSettings

if TYPE_CHECKING:
    # The adapters need `Platform` only; importing these would load the database for them.
    from bot.image.worker import PictureWorker
    from bot.storage import Storage


class Platform(Protocol):
    """What a turn needs of the platform that it came from."""

    def surface(self, address: Address) -> Surface:
        """The surface for a reply; `address` was made by this platform, perhaps long ago."""
        ...

    async def tell(self, person: Person, text: str) -> bool:
        """Write to a person where nobody else reads it, once and without trying again.

        Returns:
            Whether the platform took it; false where there is no such place.
        """
        ...

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        """The bytes of a file that came with a message.

        Raises:
            ImageTooLarge: more than `limit` bytes; not read further.
            ImageUnreadable: the platform does not have it any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What turns work with.

    Attributes:
        storage: turns, channels, pictures and the messages of replies.
        picture_worker: makes what people send fit to be sent on.
        provider: answers.
        platforms: by name.
        settings: of each channel, and the language to speak there.
        metrics: told of turns that ended.
        rate_limiter: shared by all replies.
        slots: requests that the Spaces take at once at the moment; 0 for any number.
        quota_wait: seconds that a turn may wait for a Space's quota, from its acceptance on; 0 for
            any time.
        drawings_left: for how many the Spaces' GPU time suffices, about; `None` if that has no
            limit, or is not known.
    """

    storage: Storage
    picture_worker: PictureWorker
    provider: AsyncGeneratorProvider
    platforms: Mapping[str, Platform]
    settings: ChannelSettings
    metrics: Metrics
    rate_limiter: RateLimiter
    slots: Callable[[], int] = lambda: 0
    quota_wait: float = 3600.0
    drawings_left: Callable[[], int | None] = lambda: None

    async def open_reply(
        self,
        turn: Turn,
        words: Words,
        on_lost: Callable[[SurfaceError], None],
        *,
        begun: bool = True,
    ) -> LiveReply:
        """The reply of a turn, which goes on with its own messages if it was begun before.

        Args:
            turn: whose.
            words: the language that it is in.
            on_lost: as for `LiveReply`.
            begun: it may have been.

        Raises:
            StorageError: the database cannot be used.
        """
        surface = self.platforms[turn.address.platform].surface(turn.address)
        limiter = self.rate_limiter.chat(turn.address, surface.limits)
        reply = LiveReply(
            turn.id,
            surface,
            limiter,
            self.storage.segments,
            words=words,
            on_lost=on_lost,
            make_sheet=self.picture_worker.contact_sheet,
        )
        await reply.open(begun=begun)
        return reply
