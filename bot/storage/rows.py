"""Turns as rows of the database and back. Pure; every field survives the round trip."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, assert_never

from bot.errors import StorageError
from bot.models import (
    Address,
    Answer,
    Ask,
    Attachment,
    ChannelKey,
    Exchange,
    Imagine,
    JsonObject,
    Person,
    Turn,
    TurnState,
)
from bot.storage.schema import storable

_SAME = ("id", "message_id", "server", "reply_to", "parent", "accepted_at", "seed", "attempts")
"""Fields of a turn that are columns of the same name, and need no translation."""

_COMMANDS: dict[str, type[Ask | Imagine]] = {"ask": Ask, "imagine": Imagine}


def turn_to_row(turn: Turn) -> dict[str, Any]:
    """All columns of `turns` but `position` and `epoch`, which the database fills in."""
    drawing = isinstance(turn.command, Imagine)
    return {name: getattr(turn, name) for name in _SAME} | {
        "channel": str(turn.channel),
        "person_platform": turn.person.platform,
        "person_id": turn.person.id,
        "person_name": turn.person.name,
        "person_language": turn.person.language,
        "command": {"kind": "imagine" if drawing else "ask", **asdict(turn.command)},
        "drawing": drawing,
        "attachments": [asdict(attachment) for attachment in turn.attachments],
        "address": asdict(turn.address),
        "state": str(turn.state),
        "pictures": list(turn.pictures),
        "answer": None if turn.answer is None else asdict(turn.answer),
        "parked_until": turn.parked_until,
        "updated_at": time.time(),
    }


def turn_from_row(row: Mapping[Any, Any]) -> Turn:
    """Read what `turn_to_row` wrote.

    Raises:
        StorageError: the row does not hold a turn; somebody else changed it.
    """
    with _readable(row):
        return Turn(
            **{name: row[name] for name in _SAME},
            channel=ChannelKey.parse(row["channel"]),
            person=Person(
                row["person_platform"],
                row["person_id"],
                row["person_name"],
                row["person_language"],
            ),
            command=_command_from_json(row["command"]),
            address=Address(**row["address"]),
            attachments=tuple(Attachment(**each) for each in row["attachments"]),
            state=TurnState(row["state"]),
            pictures=tuple(row["pictures"]),
            answer=_answer_from_json(row["answer"]),
            parked_until=row["parked_until"],
        )


def exchange_from_row(row: Mapping[Any, Any]) -> Exchange | None:
    """A turn as history, from its id, `person_name`, `command`, `pictures` and `answer`.

    Returns:
        `None` if the turn did not end well.

    Raises:
        StorageError: the row does not hold a turn; somebody else changed it.
    """
    with _readable(row):
        answer = _answer_from_json(row["answer"])
        if answer is None or answer.outcome is not TurnState.DONE:
            return None
        match _command_from_json(row["command"]):
            case Ask(question=asked):
                said = answer.text
            case Imagine(prompt=asked):
                said = ""  # what the bot writes beside pictures is no part of the conversation
            case other:
                assert_never(other)
        pictures = (*row["pictures"], *answer.pictures)
        # Providers write UTF-8 as well, so they cannot take everything that JSON can.
        return Exchange(row["id"], row["person_name"], storable(asked), storable(said), pictures)


@contextmanager
def _readable(row: Mapping[Any, Any]) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, KeyError) as error:
        raise StorageError(
            f"Turn {row['id']} in the database cannot be read: {error!r}."
        ) from error


def _command_from_json(data: JsonObject) -> Ask | Imagine:
    values = dict(data)
    return _COMMANDS[values.pop("kind")](**values)


def _answer_from_json(data: JsonObject | None) -> Answer | None:
    if data is None:
        return None
    return Answer(
        TurnState(data["outcome"]), data["text"], tuple(data["pictures"]), data.get("note", "")
    )
