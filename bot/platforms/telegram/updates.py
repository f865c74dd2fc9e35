"""Updates as they come over the wire: read one by one, and sorted into lines."""

from __future__ import annotations

from typing import Any

import structlog
from telegram import Update

_log = structlog.get_logger(__name__)

_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)


def is_update(value: Any) -> bool:
    """Whether a JSON value can be an update: it has an id."""
    return isinstance(value, dict) and isinstance(value.get("update_id"), int)


def readable(update: dict[str, Any]) -> dict[str, Any]:
    """The update as it is; one that the client library cannot read keeps nothing but its id.

    It would come again for ever otherwise, and everything behind it never.
    """
    try:
        Update.de_json(update)
    except _UNREADABLE as error:
        _log.warning("update cannot be read", update=update["update_id"], error=repr(error))
        return {"update_id": update["update_id"]}
    return update


def lines_of(update: Update) -> tuple[str, ...]:
    """The lines in which an update stands: its chat's, or else its person's.

    A group that moves stands in both: what was said before comes before, and what is said in the
    new chat comes after.
    """
    message = update.message
    if message is not None and message.migrate_to_chat_id is not None:
        return (str(message.chat_id), str(message.migrate_to_chat_id))
    where = update.effective_chat or update.effective_user
    return ("" if where is None else str(where.id),)
