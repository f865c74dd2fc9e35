"""How fast graphics cards read their memory, by name: what decides how long a drawing takes."""

from __future__ import annotations

import re
from collections.abc import Mapping

_GIGABYTES_PER_SECOND: Mapping[str, int] = {
    # NVIDIA, data centre
    "B200": 8000,
    "GH200": 4000,
    "H200": 4800,
    "H100": 3350,
    "H100 NVL": 3900,
    "H100 PCIe": 2000,
    "A100": 1555,
    "A100 80GB": 1935,
    "A100 SXM4 80GB": 2039,
    "A40": 696,
    "A10": 600,
    "A10G": 600,
    "L40": 864,
    "L40S": 864,
    "L4": 300,
    "V100": 900,
    "T4": 320,
    # NVIDIA, workstations
    "RTX PRO 6000": 1792,
    "RTX 6000 Ada": 960,
    "RTX A6000": 768,
    "RTX A5000": 768,
    "RTX A4000": 448,
    # NVIDIA, at home
    "RTX 5090": 1792,
    "RTX 5080": 960,
    "RTX 5070 Ti": 896,
    "RTX 5070": 672,
    "RTX 5060 Ti": 448,
    "RTX 5060": 448,
    "RTX 4090": 1008,
    "RTX 4080 SUPER": 736,
    "RTX 4080": 717,
    "RTX 4070 Ti SUPER": 672,
    "RTX 4070 Ti": 504,
    "RTX 4070 SUPER": 504,
    "RTX 4070": 504,
    "RTX 4060 Ti": 288,
    "RTX 4060": 272,
    "RTX 3090 Ti": 1008,
    "RTX 3090": 936,
    "RTX 3080 Ti": 912,
    "RTX 3080": 760,
    "RTX 3070 Ti": 608,
    "RTX 3070": 448,
    "RTX 3060 Ti": 448,
    "RTX 3060": 360,
    "RTX 2080 Ti": 616,
    "RTX 2080": 448,
    "RTX 2070": 448,
    "RTX 2060": 336,
    # AMD and Intel
    "MI300X": 5300,
    "RX 7900 XTX": 960,
    "RX 7900 XT": 800,
    "Arc A770": 560,
    "Arc B580": 456,
    # Apple
    "M1": 68,
    "M1 Pro": 200,
    "M1 Max": 400,
    "M1 Ultra": 800,
    "M2": 100,
    "M2 Pro": 200,
    "M2 Max": 400,
    "M2 Ultra": 800,
    "M3": 100,
    "M3 Pro": 150,
    "M3 Max": 300,
    "M3 Ultra": 819,
    "M4": 120,
    "M4 Pro": 273,
    "M4 Max": 410,
}
"""As sold; where a name is used for several, the slowest."""

_MOBILE = re.compile(r"\b(?:laptop|mobile|max q)\b")


def bandwidth(name: str) -> float | None:
    """Bytes per second of the card with this name; `None` for one that is not in the table.

    The cards of notebooks share the names of faster ones, so they are none of these.
    """
    words = _words(name)
    if _MOBILE.search(words):
        return None
    found = [card for card in _GIGABYTES_PER_SECOND if f" {_words(card)} " in f" {words} "]
    if not found:
        return None
    return _GIGABYTES_PER_SECOND[max(found, key=len)] * 1e9


def _words(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))
