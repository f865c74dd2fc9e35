"""The event stream, read from recordings of real servers and from nonsense."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import StreamLost
from bot.provider.errors import MAX_TEXT_CHARS, plain_text, unquote
from bot.provider.gradio.events import (
    Cancelled,
    Completed,
    Event,
    EventParser,
    Failed,
    Generating,
    Heartbeat,
    Log,
    ProcessStarts,
    Progress,
    ProgressUnit,
    SseDecoder,
    StreamClosed,
    UnexpectedError,
    apply_diffs,
)
from tests.servers.faulty_space import TRANSCRIPTS, VERSIONS, streams

RECORDINGS = sorted(
    (version, path.stem)
    for version in VERSIONS
    for path in (TRANSCRIPTS / version).glob("*.txt")
    if streams(version, path.stem)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def parse(stream: bytes) -> list[Event]:
    return EventParser().feed(stream)


def between_events(parser: EventParser) -> EventParser:
    """A copy of a parser that has no part of an event pending, for a hundredth of a deep copy."""
    assert not parser._decoder._begun
    twin = EventParser()
    twin._values = dict(parser._values)
    return twin


def said(**message: Any) -> bytes:
    return f"data: {json.dumps(message)}\n\n".encode()


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
def test_every_cut_gives_the_same_events(version: str, name: str) -> None:
    """A recording cut in two at any byte is read as if it were whole."""
    for stream in streams(version, name):
        parser = EventParser()
        for block in stream.split(b"\n\n")[:-1]:
            data = block + b"\n\n"
            whole = between_events(parser)
            expected = whole.feed(data)
            # Nothing is pending between events, so only the event with the cut can differ.
            for cut in range(1, len(data)):
                halves = between_events(parser)
                assert halves.feed(data[:cut]) + halves.feed(data[cut:]) == expected
            parser = whole


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
def test_byte_by_byte_gives_the_same_events(version: str, name: str) -> None:
    """A recording that arrives one byte at a time is read as if it were whole."""
    for stream in streams(version, name):
        parser = EventParser()
        assert [e for byte in stream for e in parser.feed(bytes([byte]))] == parse(stream)


@pytest.mark.parametrize("version", VERSIONS)
def test_streamed_text_grows_to_the_final_value(version: str) -> None:
    """Differences add up to what the final event says, in every version."""
    first = streams(version, "stream")[0]
    events = parse(first)
    grown = [event.data[0] for event in events if isinstance(event, Generating)]
    final = [event.data[0] for event in events if isinstance(event, Completed)]
    assert len(grown) > 10
    assert grown[0] == "The"
    assert all(longer.startswith(shorter) for shorter, longer in itertools.pairwise(grown))
    assert final == [grown[-1]]


@pytest.mark.parametrize("version", VERSIONS)
def test_interleaved_events_keep_their_own_values(version: str) -> None:
    """Several calls on one stream are told apart, and each ends once."""
    events = [event for stream in streams(version, "shared") for event in parse(stream)]
    ended = [event.event_id for event in events if isinstance(event, Completed | Failed)]
    assert len(ended) == len(set(ended)) >= 3


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_errors(version: str) -> None:
    """Errors lose their quotes and their HTML, keep links, and may say nothing at all."""
    failures = [
        event
        for stream in streams(version, "errors")
        for event in parse(stream)
        if isinstance(event, Failed)
    ]
    texts = [failure.text for failure in failures]
    assert texts[0] == ""
    assert texts[1] == "Plain gr.Error text"
    assert "Create a free account (https://huggingface.co/join) to get more" in texts[3]
    assert texts[6:8] == ["GPU task aborted", "AttributeError"]
    titled = version == "6.31.0"
    assert failures[2].title == ("ZeroGPU quota exceeded" if titled else "")


def test_failing_midway_has_its_title_inside() -> None:
    """A generator that fails midway has a title only in its output."""
    (failure,) = (e for e in parse(streams("6.31.0", "stream")[1]) if isinstance(e, Failed))
    assert failure.title == "ZeroGPU worker error"


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_cancellation_is_not_an_empty_answer(version: str) -> None:
    """Success without data means cancelled."""
    output = said(msg="process_completed", event_id="a", success=True, output={})
    assert parse(output) == [Cancelled("a")]
    assert any(isinstance(e, StreamClosed) for s in streams(version, "text") for e in parse(s))


def test_recorded_logs_and_heartbeats() -> None:
    """Log lines have a level; heartbeats belong to nobody."""
    logs = [e for s in streams("6.31.0", "logs") for e in parse(s) if isinstance(e, Log)]
    assert (logs[1].text, logs[1].level) == ("Successfully acquired a GPU", "success")
    assert Heartbeat() in parse(streams("6.31.0", "heartbeat")[0])


def test_recorded_progress_has_all_its_forms() -> None:
    """Steps, a share, and no bar at all."""
    bars = [
        e.units for s in streams("6.31.0", "image") for e in parse(s) if isinstance(e, Progress)
    ]
    assert (ProgressUnit(3, 8, None, "tokens", "Sampling image tokens"),) in bars
    assert (ProgressUnit(None, None, 0.5, "steps", "Decoding"),) in bars
    assert parse(said(msg="progress", event_id="a", progress_data=[])) == [Progress("a", ())]


def test_repeated_unexpected_errors() -> None:
    """What 4.44 repeats for ever is read each time; ending is the client's business."""
    events = parse(streams("4.44.1", "stop_close")[0])
    assert events.count(UnexpectedError("Server stopped unexpectedly.", False)) > 5


@pytest.mark.parametrize("message", ["404: Session not found.", "404: Not Found"])
def test_unknown_session(message: str) -> None:
    """Older versions say it in words, newer ones in a field."""
    found = {} if "Session" in message else {"session_not_found": True}
    (event,) = parse(said(msg="unexpected_error", message=message, **found))
    assert event == UnexpectedError(message, True)


@pytest.mark.parametrize(
    "stream",
    [
        b"data: [1]\n\n",
        b"data: nonsense\n\n",
        b"data: \xff\xfe\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_what_is_no_event_stream_is_lost(stream: bytes) -> None:
    """Anything but JSON objects is an error with a name."""
    with pytest.raises(StreamLost):
        parse(stream)


def test_lines_end_in_either_way_and_comments_are_skipped() -> None:
    """CRLF, comments, other fields and data in several lines are the format's own."""
    stream = b': hi\r\nevent: x\r\ndata: {"msg":\r\ndata:"heartbeat"}\r\n\r\n\r\n'
    assert parse(stream) == [Heartbeat()]


@pytest.mark.parametrize("piece", [b"data: " + b"a" * 90, b"data: aaaaaaaa\n"])
def test_an_event_has_a_limit(piece: bytes) -> None:
    """Neither one long line nor many short ones can fill the memory."""
    decoder = SseDecoder(max_bytes=1000)
    with pytest.raises(StreamLost):
        list(map(decoder.feed, [piece] * 200))


@given(
    st.lists(st.tuples(st.lists(st.sampled_from([b"a", b"bc", b""]), min_size=1), st.booleans()))
)
def test_framing_gives_back_what_was_framed(events: list[tuple[list[bytes], bool]]) -> None:
    """Events of any number of lines, which end in either way, come out as they went in."""
    stream = b"".join(
        b"".join(b"data: %b%b" % (line, end) for line in lines) + end
        for lines, crlf in events
        for end in [b"\r\n" if crlf else b"\n"]
    )
    assert SseDecoder().feed(stream) == [b"\n".join(lines) for lines, _ in events]


def test_only_events_of_one_call_are_given_out() -> None:
    """On a stream that others share, and what concerns nobody is for all."""
    stream = said(msg="process_starts", event_id="a") + said(msg="process_starts", event_id="b")
    stream += said(msg="heartbeat")
    assert EventParser("b").feed(stream) == [ProcessStarts("b", None), Heartbeat()]


@settings(max_examples=40)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                [
                    "msg",
                    "event_id",
                    "rank",
                    "output",
                    "success",
                    "progress_data",
                    "log",
                    "eta",
                    "message",
                ]
            ),
            JSON
            | st.sampled_from(
                [
                    "estimation",
                    "process_starts",
                    "progress",
                    "log",
                    "process_generating",
                    "process_completed",
                ]
            ),
        )
    )
)
def test_strange_fields_never_break_the_parser(messages: list[dict[str, Any]]) -> None:
    """Whatever the fields hold, events or `StreamLost` come of it and nothing else."""
    try:
        events = parse(b"".join(said(**message) for message in messages))
    except StreamLost:
        events = []
    assert len(events) <= len(messages)
    assert all(isinstance(event, Event) for event in events)


LINES = st.lists(st.sampled_from([b"data: a", b"data:b", b":c", b"\r", b"\n", b"\r\n", b"\n\n"]))


@given(st.binary(max_size=200) | LINES.map(b"".join), st.lists(st.integers(0, 200), max_size=4))
def test_framing_does_not_depend_on_cuts(noise: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anywhere, give the same data."""
    whole = SseDecoder().feed(noise)
    decoder = SseDecoder()
    edges = [0, *sorted(cuts), len(noise)]
    pieces = [noise[a:b] for a, b in itertools.pairwise(edges)]
    assert [data for piece in pieces for data in decoder.feed(piece)] == whole


def changes(old: Any, new: Any, path: list[Any]) -> list[list[Any]]:
    """Differences as a Gradio server makes them."""
    if old == new:
        return []
    if isinstance(old, str) and isinstance(new, str) and new.startswith(old):
        return [["append", path, new[len(old) :]]]
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [["delete", [*path, key], None] for key in old if key not in new]
        fresh = [["add", [*path, key], new[key]] for key in new if key not in old]
        same = (changes(old[key], new[key], [*path, key]) for key in old if key in new)
        return [*gone, *fresh, *(edit for edits in same for edit in edits)]
    if isinstance(old, list) and isinstance(new, list):
        both = range(min(len(old), len(new)))
        edits = [e for i in both for e in changes(old[i], new[i], [*path, i])]
        edits += [["add", [*path, i], new[i]] for i in range(len(old), len(new))]
        return edits + [["delete", [*path, len(new)], None] for _ in range(len(new), len(old))]
    return [["replace", path, new]]


@given(JSON, JSON)
def test_differences_lead_from_any_value_to_any_other(old: Any, new: Any) -> None:
    """Applying a server's differences gives the new value, and leaves the old one alone."""
    before = copy.deepcopy(old)
    assert apply_diffs([old], [changes(old, new, [])]) == [new]
    assert old == before


@given(st.lists(JSON, max_size=2), st.lists(JSON, max_size=2))
def test_differences_that_do_not_fit_are_a_lost_stream(values: list[Any], diffs: list[Any]) -> None:
    """Nonsense instead of differences raises nothing but `StreamLost`."""
    before = copy.deepcopy(values)
    with contextlib.suppress(StreamLost):
        assert len(apply_diffs(values, diffs)) == len(values)
    assert values == before


def test_unquote_undoes_repr() -> None:
    """One pair of quotes goes, and what was escaped for them."""
    for text in ("plain", "it's", "both \"a\" and 'b'", "line\nbreak"):
        assert unquote(repr(text)) == text
    assert unquote("'") == "'"
    assert unquote("don't") == "don't"


@given(st.text(max_size=300))
def test_plain_text_has_no_tags_and_a_limit(text: str) -> None:
    """Whatever is inside, tags are gone and the length is bounded."""
    result = plain_text(f"<b>{text * 10}</b>")
    assert len(result) <= MAX_TEXT_CHARS
    assert "<b>" not in plain_text("<b>hello</b>")


def test_plain_text_cannot_steer_a_terminal() -> None:
    """Escape sequences lose what makes them work; lines and tabs stay."""
    assert plain_text("a\x1b[2Jb\x9b1mc\r\x08\x7f&#27;d\n\te") == "a[2Jb1mcd\n\te"


def test_plain_keeps_only_web_links() -> None:
    """A link keeps its address if it is one of the web."""
    assert (
        plain_text('<a href="https://a.example/x?y=1&amp;z">here</a>')
        == "here (https://a.example/x?y=1&z)"
    )
    assert plain_text('<a href="javascript:alert(1)">here</a>') == "here"
    assert plain_text("1 < 2 &amp; 3") == "1 < 2 & 3"
