"""JSON as it goes over the wire; pure.

orjson reads and writes it, as in Gradio itself. What orjson is too strict for goes through the
standard library after all.
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
        default: what stands for everything else; raises `TypeError` if nothing can.

    Raises:
        TypeError: there is something in `value` that JSON cannot hold.
    """
    try:
        return orjson.dumps(value, default=default, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except orjson.JSONEncodeError:  # halves of characters, or integers of more than 64 bits
        return json.dumps(value, default=default).encode()


def loads(data: bytes) -> Any:
    """What `data`, in UTF-8, says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:  # not a number, and halves of characters, as Python writes them
        try:
            return json.loads(data.decode())
        except RecursionError:
            raise ValueError("nested too deeply") from None
