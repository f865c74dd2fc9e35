"""History is told by the turns alone; how an answer ended stands beside its text.

`messages` repeated what `turns` says, `images.turn_id` was read by nobody, and the text of an
answer that failed or was stopped ended with the sentence that explains it, behind a sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

AT_ONCE = 1_000
"""Turns that are read and written in one go."""

SIGNS = ("\N{WARNING SIGN}\N{VARIATION SELECTOR-16} ", "\N{BLACK SQUARE} ")
"""Before the sentence, as the catalogues had them."""

turns = sa.table(
    "turns",
    sa.column("position", sa.BigInteger()),
    sa.column("id", sa.String()),
    sa.column("command", sa.JSON()),
    sa.column("pictures", sa.JSON()),
    sa.column("answer", sa.JSON(none_as_null=True)),
)
messages = sa.table(
    "messages",
    sa.column("turn_id", sa.String()),
    sa.column("role", sa.String()),
    sa.column("text", sa.Text()),
    sa.column("pictures", sa.JSON()),
)


def upgrade() -> None:
    connection = op.get_bind()
    for batch in _batches(connection):
        told = _told(connection, [row.id for row in batch])
        for row in batch:
            answer = _with_note(_completed(row, told.get((row.id, "assistant"))))
            command = _asked(row.command, told.get((row.id, "user")))
            if (answer, command) != (row.answer, row.command):
                connection.execute(
                    sa.update(turns)
                    .where(turns.c.position == row.position)
                    .values(answer=answer, command=command)
                )
    op.drop_table("messages")
    with op.batch_alter_table("images") as images:
        images.drop_index("ix_images_turn_id")
        images.drop_column("turn_id")


def _batches(connection: sa.Connection) -> Iterator[Sequence[Any]]:
    last = -1
    while batch := connection.execute(
        sa.select(turns).where(turns.c.position > last).order_by(turns.c.position).limit(AT_ONCE)
    ).all():
        yield batch
        last = batch[-1].position


def _told(connection: sa.Connection, ids: Sequence[str]) -> dict[tuple[str, str], Any]:
    """Rows of `messages` by turn and role."""
    rows = connection.execute(sa.select(messages).where(messages.c.turn_id.in_(ids)))
    return {(row.turn_id, row.role): row for row in rows}


def _completed(row: Any, said: Any) -> dict[str, Any] | None:
    """The answer of a turn, with what only `messages` knows of it."""
    if said is None:
        return dict(row.answer) if row.answer is not None else None
    answer = row.answer or {"outcome": "done", "text": said.text, "pictures": said.pictures}
    if not answer["text"] and row.command.get("kind") == "ask":
        return {**answer, "text": said.text}
    return dict(answer)


def _asked(command: dict[str, Any], said: Any) -> dict[str, Any]:
    name = "prompt" if command.get("kind") == "imagine" else "question"
    return command if said is None or command.get(name) else {**command, name: said.text}


def _with_note(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """The sentence that explains a failure or a stop, taken from the end of the text."""
    if answer is None or "note" in answer or answer["outcome"] not in {"failed", "cancelled"}:
        return answer
    for sign in SIGNS:
        before, found, note = answer["text"].rpartition(f"\n\n{sign}")
        if found:
            return {**answer, "text": before, "note": note}
        if answer["text"].startswith(sign):
            return {**answer, "text": "", "note": answer["text"].removeprefix(sign)}
    return answer
