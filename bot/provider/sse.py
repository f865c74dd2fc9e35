"""Framing of server-sent events; pure.

Only what Gradio uses of the format (WHATWG HTML, section 9.2): the data of each event. Comments and
the fields `event`, `id` and `retry` are skipped.
"""

from __future__ import annotations

from bot.errors import StreamLost

MAX_EVENT = 8 * 1024 * 1024
"""Bytes of one event. The largest in the recordings, five gallery entries, has 3 kB."""


class SseDecoder:
    """Bytes in, cut anywhere; the data of complete events out.

    Lines may end in LF or CRLF. A last event that no empty line follows is incomplete and is never
    given out.

    Args:
        max_event: bytes that one event may have.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes in and return the data of the events that they complete.

        Raises:
            StreamLost: an event is larger than `max_event`.
        """
        *lines, rest = chunk.split(b"\n")
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        complete: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._size += len(line)
                self._check(0)
                self._data.append(line.removesuffix(b"\r")[5:].removeprefix(b" "))
            elif self._data and line in {b"", b"\r"}:
                complete.append(b"\n".join(self._data))
                self._data.clear()
                self._size = 0
        self._check(len(self._rest))
        return complete

    def _check(self, pending: int) -> None:
        if self._size + pending > self._max_event:
            raise StreamLost("The Space sent more in one event than anything sensible needs.")
