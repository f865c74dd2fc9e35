"""What turns need of the rest, as Protocols; implementations match by shape.

Storage, the provider, replies and the platforms know nothing of each other: they meet here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.errors import SurfaceError
from bot.files import File, Recipe
from bot.i18n import Words
from bot.models import Ahead, Answer, Attachment, ChannelKey, Exchange, Person, Turn, TurnState
from bot.provider.responses import JsonConversation, Response
from bot.turns.settings import Preferences


class TurnStore(Protocol):
    """Turns and conversations on disk. Every method is one transaction.

    Raises:
        StorageError: from any method, when the database cannot be used.
    """

    async def accept(self, turn: Turn) -> bool:
        """Commit a new turn durably. False if its channel and message id were accepted before."""
        ...

    async def save(self, turn: Turn) -> None:
        """Store a turn's state, attempts, pictures, address, answer and when it goes on."""
        ...

    async def rewrite(self, turn: Turn) -> None:
        """Store durably what `save` does, and a request that its person edited.

        Raises:
            ValueError: the turn is finished.
        """
        ...

    async def finish(self, turn: Turn, conversation: JsonConversation | None) -> None:
        """Store a turn's answer durably, and the channel's conversation with it.

        Called once, when the answer is complete and before it is delivered. From here on the
        exchange is history.
        """
        ...

    async def accepted_since(
        self, person: Person | None, since: float, *, drawings: bool
    ) -> Sequence[float]:
        """Unix times, oldest first, at which turns were accepted after `since`.

        Args:
            person: whose; `None` for everybody's.
            since: Unix time.
            drawings: only those that draw.
        """
        ...

    async def unfinished(self) -> Sequence[Turn]:
        """All turns that are not in a final state, oldest first."""
        ...

    async def newest(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn since its last reset, finished or not."""
        ...

    async def turn_of_message(self, channel: ChannelKey, message_id: str) -> Turn | None:
        """The turn whose request or reply has this platform message id."""
        ...

    async def lineage(self, turn_id: str | None, messages: int) -> Sequence[Exchange]:
        """Exchanges that led to a turn, its own included, oldest first.

        Args:
            turn_id: the parent of the turn that is asked now; `None` if it is the first.
            messages: how many messages at most; an exchange is two.
        """
        ...

    async def conversation(self, channel: ChannelKey) -> JsonConversation:
        """What the provider keeps for this channel; an empty one at first."""
        ...

    async def turn(self, turn_id: str) -> Turn | None:
        """A turn by its id."""
        ...

    async def prompts(self, person: Person, limit: int) -> Sequence[str]:
        """Prompts of a person's newest turns that draw, newest first, as often as they were drawn.

        Args:
            person: whose.
            limit: turns looked at.
        """
        ...

    async def newest_drawing(self, channel: ChannelKey) -> Turn | None:
        """The channel's newest turn that ended with pictures of the bot's."""
        ...

    async def reset(self, channel: ChannelKey) -> None:
        """History begins anew from here; nothing is deleted."""
        ...

    async def move_channel(self, old: ChannelKey, new: ChannelKey) -> None:
        """Give everything of a channel to another. Doing it again changes nothing."""
        ...

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        """A message was handled; the largest id of each channel is kept."""
        ...

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        """Channels in which messages were handled after `since` (Unix seconds), newest first.

        Returns:
            Each with the largest id handled there.
        """
        ...


class PictureStore(Protocol):
    """Pictures by the SHA-256 of their bytes."""

    async def put(self, file: File, *, turn_id: str) -> None:
        """Store a picture durably under its key; the same bytes are stored once."""
        ...

    async def get(self, key: str) -> File:
        """A stored picture.

        Raises:
            KeyError: not here, or removed since.
        """
        ...

    async def recipe(self, key: str) -> Recipe | None:
        """How a picture was made, `None` if it is not here or the bot did not make it."""
        ...


class Provider(Protocol):
    """Answers a request; see `bot.provider`."""

    def create_async_generator(
        self, model: str, messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        """Yield responses until the answer is complete; close it early to cancel."""
        ...


class Reply(Protocol):
    """The live reply of one turn. Only `finish` and `suspend` wait for the platform."""

    def show(self, response: Response) -> None:
        """Take the newest response in. Never blocks: what is shown catches up by itself."""
        ...

    def waiting(self, ahead: Ahead) -> None:
        """Say what comes before this turn in the bot's own queues."""
        ...

    def parked(self, seconds: float) -> None:
        """Say that the turn waits this long for a Space's quota, and goes on by itself."""
        ...

    def restart(self) -> None:
        """Show nothing of what came so far: the request was edited, and is begun again."""
        ...

    def resumed(self) -> None:
        """Say that the bot was restarted and the turn goes on."""
        ...

    async def finish(self, answer: Answer, files: Sequence[File]) -> None:
        """Show the final state and return when the platform has acknowledged all of it.

        Args:
            answer: what is owed.
            files: pictures of the answer that are still there, in order.

        Raises:
            SurfaceError: it can never be shown there: gone, forbidden or refused.

        Cancelling: what was acknowledged is stored; a later reply for the same turn goes on there.
        """
        ...

    async def remove(self) -> None:
        """Remove all of it and return when the platform has acknowledged that, or never can."""
        ...

    async def suspend(self) -> None:
        """Say that the bot stops now and goes on later; give up after a moment."""
        ...

    async def aclose(self) -> None:
        """Stop editing. Idempotent."""
        ...


class Replies(Protocol):
    """Opens replies."""

    async def open(
        self, turn: Turn, words: Words, on_lost: Callable[[SurfaceError], None]
    ) -> Reply:
        """The reply of a turn; one that was begun before goes on with its own messages.

        Args:
            turn: whose.
            words: the language that it is in.
            on_lost: called once when the reply can never be finished: a person deleted it, or the
                bot may not write there any more.
        """
        ...

    async def tell(self, person: Person, text: str) -> bool:
        """Tell a person something outside the channel of a turn. False if there is no way."""
        ...


class Attachments(Protocol):
    """Fetches files from the platform that they came from."""

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        """The bytes of a file.

        Raises:
            ImageTooLarge: more than `limit` bytes; not read further.
            ImageUnreadable: the platform does not have it any more.
        """
        ...


class Observer(Protocol):
    """Is told what happens, for metrics."""

    def turn_ended(self, turn: Turn, state: TurnState, seconds: float) -> None:
        """A turn reached a final state, this long after it was accepted."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What turns work with.

    Attributes:
        preferences: the settings of each channel, and the language to speak there.
        places: requests that the Spaces take at once at the moment; 0 for any number.
        quota_wait: seconds that a turn may wait for a Space's quota, from its acceptance on; 0 for
            any time.
    """

    store: TurnStore
    pictures: PictureStore
    provider: Provider
    replies: Replies
    attachments: Attachments
    observer: Observer
    preferences: Preferences
    places: Callable[[], int] = lambda: 0
    quota_wait: float = 3600.0
