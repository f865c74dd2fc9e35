"""Gradio's event stream as typed events; no input or output here.

Three layers: `SseDecoder` cuts bytes, as they come, into the data of single events; `EventParser`
reads those as JSON and types them; and `apply_diffs` adds up the values of a streamed answer, which
Gradio sends once in full and then as differences, so that every `Generating` has the whole value.

The facts come from recordings of Gradio 4.44.1, 5.1.0 and 6.31.0, held in `tests/transcripts/`.
Everything read here is untrusted: a missing or mistyped field becomes `None` or `""`, an event of
an unknown kind is left out, and what cannot be an event stream at all is a `StreamLost`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bot.errors import StreamLost
from bot.provider.errors import plain_text, unquote
from bot.provider.json import parse_json

IN_QUEUE, STARTING = "in the queue", "starting"
"""Units with which a function that runs says that it still waits, for its turn or for its model."""

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""The largest event in the recordings, five gallery entries, has 3 kB."""
_BOM = b"\xef\xbb\xbf"
_END = b"\n\n"
"""Ends an event: an empty line."""


@dataclass(frozen=True, slots=True)
class Estimation:
    """The event waits. Repeated whenever the queue moves.

    Attributes:
        event_id: whose.
        rank: events ahead; 0 is next.
        queue_size: events waiting.
        eta: seconds until it starts, if the Space can tell.
    """

    event_id: str
    rank: int | None
    queue_size: int | None
    eta: float | None


@dataclass(frozen=True, slots=True)
class ProcessStarts:
    """The function begins; `eta` is how many seconds it usually takes, if known."""

    event_id: str
    eta: float | None


@dataclass(frozen=True, slots=True)
class ProgressUnit:
    """One progress bar: steps (`index` of `length`), a share (0.0 to 1.0), or only words."""

    index: float | None
    length: float | None
    fraction: float | None
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the function is; nested bars from the outermost to the innermost, perhaps none."""

    event_id: str
    units: tuple[ProgressUnit, ...]

    @property
    def waits(self) -> bool:
        """Whether the work itself has not begun, so that this is no part of its time."""
        return bool(self.units) and self.units[-1].unit in {IN_QUEUE, STARTING}


@dataclass(frozen=True, slots=True)
class Log:
    """A line that the function showed on purpose; `level` is info, warning, success or error."""

    event_id: str
    text: str
    level: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent every 15 s on every open stream."""


@dataclass(frozen=True, slots=True)
class Generating:
    """An answer in the making; `data` holds the whole value of each output so far."""

    event_id: str
    data: list[Any]


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer; `data` holds the final value of each output, also after a stream."""

    event_id: str
    data: list[Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised.

    Attributes:
        event_id: whose.
        text: what it said, HTML and quotes removed. Empty for an ordinary exception, of which
            Gradio by default tells nothing (`{"error": null}`).
        title: heading of the error, which ZeroGPU uses as a category; `""` before Gradio 5.12.
    """

    event_id: str
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Cancelled on the server: success without data."""

    event_id: str


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """No event of this session is pending; the stream ends here."""


@dataclass(frozen=True, slots=True)
class UnexpectedError:
    """The stream is of no use any more. Some versions repeat it every 50 ms until one hangs up.

    Attributes:
        message: what the server said.
        session_not_found: it does not know the session, for example after a restart.
    """

    message: str
    session_not_found: bool


Event: TypeAlias = (
    Estimation
    | ProcessStarts
    | Progress
    | Log
    | Heartbeat
    | Generating
    | Completed
    | Failed
    | Cancelled
    | StreamClosed
    | UnexpectedError
)
"""Everything that a stream can say."""


@dataclass(slots=True)
class SseDecoder:
    """Bytes in, cut anywhere; the data of complete server-sent events out.

    As the format says (WHATWG HTML, section 9.2): lines end in LF, CRLF or CR, a byte order mark at
    the beginning means nothing, and comments and the fields `event`, `id` and `retry` are skipped.
    A last event that no empty line follows is incomplete and is never given out.

    Attributes:
        max_bytes: that one event may have.
    """

    max_bytes: int = MAX_EVENT_BYTES
    _begun: bytearray = field(default_factory=bytearray, init=False)
    _after_cr: bool = field(default=False, init=False)
    _start: bytes | None = field(default=b"", init=False)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes in and return the data of the events that they complete.

        Raises:
            StreamLost: an event is larger than `max_bytes`.
        """
        if self._start is not None:
            chunk = self._begin(chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._in_lf(chunk)
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
        if len(chunk) > self.max_bytes:
            self._check(max(map(len, (*events, rest))))
        found: list[bytes] = []
        for event in events:
            lines = [
                line[5:].removeprefix(b" ")
                for line in event.split(b"\n")
                if line.startswith(b"data:") or line == b"data"
            ]
            if lines:
                found.append(b"\n".join(lines))
        return found

    def _begin(self, chunk: bytes) -> bytes:
        """Leave out a byte order mark, of which a part may still be to come."""
        chunk = (self._start or b"") + chunk
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._start = chunk
            return b""
        self._start = None
        return chunk.removeprefix(_BOM)

    def _in_lf(self, chunk: bytes) -> bytes:
        """All ends of lines as LF; a CR counts at once, and an LF just after it as part of it."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check(self, size: int) -> None:
        if size > self.max_bytes:
            raise StreamLost("The Space sent more in one event than anything sensible needs.")


@dataclass(slots=True)
class EventParser:
    """Bytes in, events out; one parser per stream.

    Attributes:
        event_id: whose events are given out, beside those that are nobody's; `""` for all.
    """

    event_id: str = ""
    _decoder: SseDecoder = field(default_factory=SseDecoder, init=False)
    _values: dict[str, list[Any]] = field(default_factory=dict, init=False)

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes in and return the events that they complete, in order.

        Raises:
            StreamLost: an event is too large or cannot be read. The parser is of no use then.
        """
        events: list[Event] = []
        for payload in self._decoder.feed(chunk):
            if not payload.strip():
                continue  # an event without data says nothing
            message = parse_json(payload)
            if message is None:  # bytes that are no UTF-8 become marks, as the format says
                message = parse_json(payload.decode("utf-8", "replace").encode())
            if not isinstance(message, dict):
                raise StreamLost("The Space sent something that is not an event stream.")
            event_id = _text(message, "event_id")
            if event_id and self.event_id and event_id != self.event_id:
                continue
            event = self._event(event_id, message)
            if event is not None:
                events.append(event)
        return events

    def _event(  # noqa: PLR0911 - one per kind
        self, event_id: str, message: dict[str, Any]
    ) -> Event | None:
        match message.get("msg"):
            case "process_generating" | "process_completed" as kind:
                return self._output(event_id, message, final=kind == "process_completed")
            case "progress":
                bars = message.get("progress_data")
                units = (
                    ProgressUnit(
                        _number(bar, "index"),
                        _number(bar, "length"),
                        _number(bar, "progress"),
                        plain_text(_text(bar, "unit")),
                        plain_text(_text(bar, "desc")),
                    )
                    for bar in (bars if isinstance(bars, list) else ())
                    if isinstance(bar, dict)
                )
                return Progress(event_id, tuple(units))
            case "estimation":
                rank, size = _number(message, "rank"), _number(message, "queue_size")
                return Estimation(
                    event_id,
                    None if rank is None or rank < 0 else int(rank),
                    None if size is None or size < 0 else int(size),
                    _number(message, "rank_eta"),
                )
            case "process_starts":
                return ProcessStarts(event_id, _number(message, "eta"))
            case "log":
                text = plain_text(_text(message, "log"))
                return Log(event_id, text, _text(message, "level"))
            case "heartbeat":
                return Heartbeat()
            case "close_stream":
                return StreamClosed()
            case "unexpected_error":
                text = plain_text(_text(message, "message"))
                # Up to 5.12 only the words tell that the session is unknown.
                unknown = "session not found" in text.lower()
                return UnexpectedError(text, unknown or message.get("session_not_found") is True)
            case _:
                return None

    def _output(
        self, event_id: str, message: dict[str, Any], *, final: bool
    ) -> Completed | Generating | Failed | Cancelled | None:
        output = message.get("output")
        output = output if isinstance(output, dict) else {}
        if message.get("success") is False:
            self._values.pop(event_id, None)
            # A function that fails midway has its title only inside the output.
            title = _text(output, "title") or _text(message, "title")
            text = plain_text(unquote(_text(output, "error")))
            return Failed(event_id, text, plain_text(title))
        data = output.get("data")
        if final:
            self._values.pop(event_id, None)
            return Completed(event_id, data) if isinstance(data, list) else Cancelled(event_id)
        if not isinstance(data, list):
            return None
        if event_id in self._values:
            data = apply_diffs(self._values[event_id], data)
        self._values[event_id] = data
        return Generating(event_id, data)


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _number(values: dict[str, Any], name: str) -> float | None:
    value = values.get(name)
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer of more than 308 digits
        return None


def apply_diffs(values: list[Any], diffs: list[Any]) -> list[Any]:
    """New values of all outputs; the old ones stay as they are.

    A difference is `[action, path, value]`: `append`, `replace`, `add` or `delete` at a path into
    the value, where `[]` is the whole of it (the same in protocols sse_v2 to sse_v3).

    Args:
        values: one value per output.
        diffs: one list of differences per output; an empty one changes nothing.

    Raises:
        StreamLost: a difference does not fit the value, so a part of the stream is missing.
    """
    if len(values) != len(diffs):
        raise StreamLost("The Space changed its mind about how many values it sends.")
    try:
        changed = list(values)
        for index, changes in enumerate(diffs):
            for action, path, new in changes:
                changed[index] = _edit(changed[index], path, action, new)
    except (TypeError, ValueError, LookupError, RecursionError):
        raise StreamLost("A part of the answer was lost on the way.") from None
    return changed


def _edit(target: Any, path: Any, action: str, new: Any) -> Any:
    """`target` with one difference applied; containers on the way are copied, the rest shared."""
    if not path:
        if action == "replace":
            return new
        if action == "append" and type(target) is type(new) and isinstance(new, str | list):
            return target + new
        raise ValueError("an action that the whole value cannot take")
    if not isinstance(target, list | dict):
        raise TypeError("a path into something without parts")
    key, rest = path[0], path[1:]
    copy: Any = target.copy()
    if rest or action in {"append", "replace"}:
        copy[key] = _edit(copy[key], rest, action, new)
    elif action == "delete":
        del copy[key]
    elif action != "add":
        raise ValueError("an unknown action")
    elif isinstance(copy, list):
        copy.insert(key, new)
    else:
        copy[key] = new
    return copy
