"""JSON by orjson, as in Gradio itself; what that is too strict for goes through the library's own.

Python servers write halves of surrogate pairs, `NaN` and integers of any size, and orjson takes
none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson


def dumps(value: Any, default: Callable[[Any], str] | None = None) -> bytes:
    """JSON in UTF-8.

    Args:
        value: anything that JSON can hold, and what `default` takes.
        default: gives the text for everything else; raises `TypeError` if it has none. It may be
            asked about the same thing twice.

    Raises:
        TypeError: JSON cannot hold something in `value`.
    """
    try:
        return orjson.dumps(value, default=default, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except orjson.JSONEncodeError:
        return json.dumps(value, default=default).encode()


def loads(data: bytes) -> Any:
    """The value that `data`, in UTF-8, stands for.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return json.loads(data.decode())
        except RecursionError:
            raise ValueError("nested too deeply") from None
