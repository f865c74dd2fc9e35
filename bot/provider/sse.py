"""Framing of server-sent events; pure.

Only what Gradio uses of the format (WHATWG HTML, section 9.2): the data of each event. Comments and
the fields `event`, `id` and `retry` are skipped.
"""

from __future__ import annotations

from bot.errors import StreamLost

MAX_EVENT = 8 * 1024 * 1024
"""Bytes of one event. The largest in the recordings, five gallery entries, has 3 kB."""
_END = b"\n\n"
"""Ends an event: an empty line."""


class SseDecoder:
    """Bytes in, cut anywhere; the data of complete events out.

    Lines may end in LF or CRLF. A last event that no empty line follows is incomplete and is never
    given out.

    Args:
        max_event: bytes that one event may have.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._begun = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes in and return the data of the events that they complete.

        Raises:
            StreamLost: an event is larger than `max_event`.
        """
        chunk = chunk.replace(b"\r", b"")  # where it is no part of an end, it has no meaning
        if self._begun:
            known = len(self._begun) - 1
            self._begun += chunk
            if self._begun.find(_END, known) < 0:
                self._check(len(self._begun))
                return []
            chunk = bytes(self._begun)
            self._begun.clear()
        *events, rest = chunk.split(_END)
        self._begun += rest
        if len(chunk) > self._max_event:
            self._check(max(map(len, (*events, rest))))
        return [data for event in events if (data := _data(event)) is not None]

    def _check(self, size: int) -> None:
        if size > self._max_event:
            raise StreamLost("The Space sent more in one event than anything sensible needs.")


def _data(event: bytes) -> bytes | None:
    if event.startswith(b"data:") and b"\n" not in event:  # as Gradio sends them all
        return event[5:].removeprefix(b" ")
    lines = (line for line in event.split(b"\n") if line.startswith(b"data:"))
    data = [line[5:].removeprefix(b" ") for line in lines]
    return b"\n".join(data) if data else None
