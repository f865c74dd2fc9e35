"""What was read of the last pictures, so that another question about one is answered at once.

What the model has read of a picture are the keys and values of some 620 tokens: about a hundred
megabytes for the 1B model and three hundred for the 7B one, and the largest part of the work for an
answer. They are kept for a while, within a budget, and only for the caller whose picture it was.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image
from torch import Tensor

TTL_SECONDS = 900.0


class Key(NamedTuple):
    """Whose picture, and which."""

    scope: str
    digest: bytes


def key_of(scope: str, image: Image.Image) -> Key:
    """By every pixel: the same picture sent as another file is the same picture."""
    digest = hashlib.sha256(repr((image.mode, image.size)).encode())
    digest.update(image.tobytes())
    return Key(scope, digest.digest())


class Remembered:
    """Keys and values of pictures, the oldest forgotten first.

    Args:
        budget: bytes of all of them together; 0 remembers nothing.
        clock: seconds.
    """

    def __init__(self, budget: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._clock = budget, clock
        self._kept: OrderedDict[Key, tuple[float, Tensor]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Key) -> Tensor | None:
        """What was kept, which then counts as new; `None` if nothing was, or too long ago."""
        self.expire()
        if key not in self._kept:
            return None
        _, tensor = self._kept.pop(key)
        self._kept[key] = self._clock() + TTL_SECONDS, tensor
        return tensor

    def put(self, key: Key, tensor: Tensor) -> None:
        """Keep this, in place of the oldest if there is no room; too large a one is not kept."""
        self._drop(key)
        if tensor.nbytes > self._budget:
            return
        while self.bytes + tensor.nbytes > self._budget:
            self._drop(next(iter(self._kept)))
        self._kept[key] = self._clock() + TTL_SECONDS, tensor
        self.bytes += tensor.nbytes

    def expire(self) -> float | None:
        """Forget what is too old; seconds until the next one is, `None` if there is none."""
        now = self._clock()
        for key, (end, _) in list(self._kept.items()):
            if end > now:
                return end - now
            self._drop(key)
        return None

    def clear(self) -> None:
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: Key) -> None:
        if key in self._kept:
            self.bytes -= self._kept.pop(key)[1].nbytes
