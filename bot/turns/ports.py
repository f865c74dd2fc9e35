"""What turns need of the rest, as Protocols; implementations match by shape.

Storage, the provider, replies and the platforms know nothing of each other: they meet here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.errors import SurfaceError
from bot.messages import Attachment, ChannelKey, IncomingMessage, Person
from bot.provider.response import JsonConversation, Recipe, Response
from bot.turn import Answer, Exchange, Picture, Turn, TurnState
from bot.turns.commands import Command


@dataclass(frozen=True, slots=True)
class Notice:
    """An answer of the bot itself, at once, without a turn.

    Attributes:
        text: Markdown.
        private: concerns only who asked; shown to nobody else where the platform can do that.
    """

    text: str
    private: bool = True


class TurnStore(Protocol):
    """Turns and conversations on disk. Every method is one transaction.

    Raises:
        StorageError: from any method, when the database cannot be used.
    """

    async def accept(self, turn: Turn) -> bool:
        """Commit a new turn durably. False if its channel and message id were accepted before."""
        ...

    async def save(self, turn: Turn) -> None:
        """Store a turn's state, attempts, pictures, address and answer."""
        ...

    async def finish(self, turn: Turn, conversation: JsonConversation | None) -> None:
        """Store a turn's answer durably, and the channel's conversation with it.

        Called once, when the answer is complete and before it is delivered. From here on the
        exchange is history.
        """
        ...

    async def accepted_since(
        self, person: Person, since: float, *, drawings: bool
    ) -> Sequence[float]:
        """Unix times, oldest first, at which turns of a person were accepted after `since`.

        Args:
            person: whose.
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

    async def history(self, channel: ChannelKey, messages: int) -> Sequence[Exchange]:
        """Exchanges since the last reset that ended well, oldest first.

        Args:
            channel: whose.
            messages: how many messages at most; an exchange is two.
        """
        ...

    async def conversation(self, channel: ChannelKey) -> JsonConversation:
        """What the provider keeps for this channel; an empty one at first."""
        ...

    async def reset(self, channel: ChannelKey) -> None:
        """History begins anew from here; nothing is deleted."""
        ...


class PictureStore(Protocol):
    """Pictures by the SHA-256 of their bytes."""

    async def put(
        self, data: bytes, media_type: str, *, turn_id: str, recipe: Recipe | None = None
    ) -> str:
        """Store a picture durably and return its key; the same bytes are stored once."""
        ...

    async def get(self, key: str) -> tuple[bytes, str]:
        """Bytes and media type.

        Raises:
            KeyError: not here, or removed since.
        """
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

    def waiting(self, ahead: int, mine: int) -> None:
        """Say how many turns are ahead in our own lanes, and how many of them the same person's."""
        ...

    def resumed(self) -> None:
        """Say that the bot was restarted and the turn goes on."""
        ...

    async def finish(self, answer: Answer, pictures: Sequence[Picture]) -> None:
        """Show the final state and return when the platform has acknowledged all of it.

        Args:
            answer: what is owed.
            pictures: those of `answer.pictures` that are still there, in order.

        Raises:
            SurfaceError: it can never be shown there: gone, forbidden or refused.

        Cancelling: what was acknowledged is stored; a later reply for the same turn goes on there.
        """
        ...

    async def suspend(self) -> None:
        """Say that the bot stops now and goes on later; give up after a moment."""
        ...

    async def aclose(self) -> None:
        """Stop editing. Idempotent."""
        ...


class Replies(Protocol):
    """Opens replies."""

    async def open(self, turn: Turn, on_lost: Callable[[SurfaceError], None]) -> Reply:
        """The reply of a turn; one that was begun before goes on with its own messages.

        Args:
            turn: whose.
            on_lost: called once when the reply can never be finished: a person deleted it, or the
                bot may not write there any more.
        """
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


class Inbox(Protocol):
    """Where platforms deliver what people want; implemented by `Engine`."""

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """Take a command in.

        Returns when a turn is committed, its first sign of life on the way; the reply itself goes
        on in the background. A message delivered before changes nothing.

        Returns:
            What to answer at once, or `None` if a turn's reply is the answer.
        """
        ...


class Observer(Protocol):
    """Is told what happens, for metrics."""

    def turn_ended(self, turn: Turn, state: TurnState, seconds: float) -> None:
        """A turn reached a final state, this long after it was accepted."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What turns work with.

    Attributes:
        system_prompt: said to the model before every conversation; may be empty.
        history_messages: earlier messages sent with a question at most.
    """

    store: TurnStore
    pictures: PictureStore
    provider: Provider
    replies: Replies
    attachments: Attachments
    observer: Observer
    system_prompt: str = ""
    history_messages: int = 20
