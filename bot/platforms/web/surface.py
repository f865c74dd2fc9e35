"""One reply in a room of the web chat."""

from __future__ import annotations

from bot.errors import PreviewUnsupported
from bot.platforms.web.events import LiveMessage, LiveRooms, Picture
from bot.platforms.web.pages import Markup
from bot.platforms.web.status import read, unmarked
from bot.reply.surface import Anchor, Content, Limits, Mood, Receipt, Search

LIMITS = Limits(
    text=20_000, caption=20_000, files=10, interval=0.1, moods=True, rate=1e6, buttons=True
)


class WebSurface:
    """A `bot.reply.surface.Surface` whose messages are states that open pages are told.

    It never fails: what it shows is memory, and pictures are in the archive before they are shown.
    A receipt from before a restart is as good as a new one.

    Cancelling: nothing is waited for, so a call is made entirely or not at all.
    """

    def __init__(self, rooms: LiveRooms, markup: Markup, *, room: str, reply_id: str) -> None:
        self._rooms = rooms
        self._markup = markup
        self._room = room
        self._reply_id = reply_id

    @property
    def limits(self) -> Limits:
        """What the page takes; never changes."""
        return LIMITS

    @property
    def rate_limit_info(self) -> None:
        """Nothing is limited here."""
        return

    def anchor(self) -> Anchor:
        """Nothing: a nonce is enough."""
        return {}

    async def find(self, search: Search) -> None:
        """Never needed: the same nonce shows the same message again."""
        del search

    def measure(self, text: str) -> int:
        """Characters of the Markdown: the page itself has no limit."""
        return len(text)

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Show a new message; the same nonce shows the same message again."""
        order = self._rooms.place(self._room, self._reply_id, nonce)
        receipt: Receipt = {"message": nonce, "order": order}
        await self.edit(receipt, content)
        return receipt

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Make a message show `content`, wherever the process that created it has gone."""
        status = read(content.text) if content.mood is Mood.WORKING else None
        text = unmarked(content.text, content.mood)
        message = LiveMessage(
            id=str(receipt["message"]),
            order=int(receipt["order"]),
            html=self._markup.html(text) if status is None else "",
            pictures=tuple(Picture(file.key, file.name, file.alt) for file in content.files),
            mood=content.mood,
            status=status,
            buttons=content.buttons,
        )
        self._rooms.put(self._room, self._reply_id, message)

    async def delete(self, receipt: Receipt) -> None:
        """Remove a message."""
        self._rooms.remove(self._room, self._reply_id, str(receipt["message"]))

    async def preview(self, content: Content) -> None:  # noqa: ARG002 - the port's signature
        """Never: an edit is as cheap.

        Raises:
            PreviewUnsupported: always.
        """
        raise PreviewUnsupported("The web chat has no drafts.")
