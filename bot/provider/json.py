"""JSON from elsewhere, read by orjson, as in Gradio itself."""

from __future__ import annotations

import json
from typing import Any

import orjson


def parse_json(data: bytes) -> Any:
    """The value that `data`, in UTF-8, stands for; `None` if it is not JSON or nested too deeply.

    Python servers write halves of surrogate pairs, `NaN` and integers of any size. orjson takes
    none of them, and the standard library all.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return json.loads(data.decode())
        except (ValueError, RecursionError):
            return None
