"""Turns as rows of the database and back. Pure; every field survives the round trip."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, assert_never

from bot.errors import StorageError
from bot.models import (
    Address,
    Answer,
    Ask,
    Attachment,
    ChannelKey,
    Imagine,
    JsonObject,
    Person,
    Turn,
    TurnState,
)


def turn_to_row(turn: Turn) -> dict[str, Any]:
    """All columns of `turns` but `position` and `epoch`, which the database gives."""
    return {
        "id": turn.id,
        "channel": str(turn.channel),
        "message_id": turn.message_id,
        "person_platform": turn.person.platform,
        "person_id": turn.person.id,
        "person_name": turn.person.name,
        "person_language": turn.person.language,
        "reply_to": turn.reply_to,
        "accepted_at": turn.accepted_at,
        "server": turn.server,
        "parent": turn.parent,
        **request_to_row(turn),
        **progress_to_row(turn),
    }


def progress_to_row(turn: Turn) -> dict[str, Any]:
    """The columns that change while a turn is worked on."""
    return {
        "address": asdict(turn.address),
        "state": str(turn.state),
        "attempts": turn.attempts,
        "pictures": list(turn.pictures),
        "answer": answer_to_json(turn.answer),
        "parked_until": turn.parked_until,
        "updated_at": time.time(),
    }


def request_to_row(turn: Turn) -> dict[str, Any]:
    """The columns that change when a person edits the request."""
    return {
        "command": command_to_json(turn.command),
        "attachments": [asdict(attachment) for attachment in turn.attachments],
        "seed": turn.seed,
        "drawing": isinstance(turn.command, Imagine),
    }


def turn_from_row(row: Mapping[Any, Any]) -> Turn:
    """Read what `turn_to_row` wrote.

    Raises:
        StorageError: the row does not hold a turn; somebody else changed it.
    """
    try:
        return Turn(
            id=row["id"],
            channel=ChannelKey.parse(row["channel"]),
            message_id=row["message_id"],
            person=Person(
                row["person_platform"],
                row["person_id"],
                row["person_name"],
                row["person_language"],
            ),
            command=command_from_json(row["command"]),
            address=Address(**row["address"]),
            seed=row["seed"],
            accepted_at=row["accepted_at"],
            attachments=tuple(Attachment(**each) for each in row["attachments"]),
            reply_to=row["reply_to"],
            state=TurnState(row["state"]),
            attempts=row["attempts"],
            pictures=tuple(row["pictures"]),
            answer=answer_from_json(row["answer"]),
            parked_until=row["parked_until"],
            server=row["server"],
            parent=row["parent"],
        )
    except (TypeError, ValueError, KeyError) as error:
        raise StorageError(f"Turn {row['id']} in the database cannot be read: {error}.") from error


def command_to_json(command: Ask | Imagine) -> JsonObject:
    """The command with its kind, which tells the two apart."""
    match command:
        case Ask():
            return {"kind": "ask", **asdict(command)}
        case Imagine():
            return {"kind": "imagine", **asdict(command)}
        case _:
            assert_never(command)


def command_from_json(data: JsonObject) -> Ask | Imagine:
    values = {name: value for name, value in data.items() if name != "kind"}
    match data["kind"]:
        case "ask":
            return Ask(**values)
        case "imagine":
            return Imagine(**values)
        case kind:
            raise ValueError(f"unknown command {kind!r}")


def answer_to_json(answer: Answer | None) -> JsonObject | None:
    """The answer, or `None` while there is none."""
    if answer is None:
        return None
    return {
        "outcome": str(answer.outcome),
        "text": answer.text,
        "pictures": list(answer.pictures),
        "note": answer.note,
    }


def answer_from_json(data: JsonObject | None) -> Answer | None:
    if data is None:
        return None
    return Answer(
        TurnState(data["outcome"]), data["text"], tuple(data["pictures"]), data.get("note", "")
    )
