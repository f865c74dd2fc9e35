"""Differences between two values, as Gradio streams them; pure.

A difference is `[action, path, value]`: `append`, `replace`, `add` or `delete` at a path into the
value, where `[]` is the whole of it. The same in Gradio 4.44, 5 and 6 (protocols sse_v2 to sse_v3).
"""

from __future__ import annotations

from typing import Any

from bot.errors import StreamLost


def apply_diffs(values: list[Any], diffs: list[Any]) -> list[Any]:
    """New values of all outputs; the old ones stay as they are.

    Args:
        values: one value per output.
        diffs: one list of differences per output; an empty one changes nothing.

    Raises:
        StreamLost: a difference does not fit the value, so a part of the stream is missing.
    """
    if len(values) != len(diffs):
        raise StreamLost("The Space changed its mind about how many values it sends.")
    try:
        return [_all(value, changes) for value, changes in zip(values, diffs, strict=True)]
    except (TypeError, ValueError, LookupError, RecursionError):
        raise StreamLost("A part of the answer was lost on the way.") from None


def _all(value: Any, changes: Any) -> Any:
    for action, path, new in changes:
        value = _edit(value, path, action, new)
    return value


def _edit(target: Any, path: Any, action: str, new: Any) -> Any:
    """`target` with one difference applied; containers on the way are copied, the rest shared."""
    if not path:
        return _joined(target, action, new)
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


def _joined(target: Any, action: str, new: Any) -> Any:
    if action == "replace":
        return new
    if action == "append" and isinstance(target, str) and isinstance(new, str):
        return target + new
    if action == "append" and isinstance(target, list) and isinstance(new, list):
        return target + new
    raise ValueError("an action that the whole value cannot take")
