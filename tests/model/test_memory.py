"""What a plan says that memory is taken, and what is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.space.janus.shape import read_shape
from bot.space.janus.sizes import weights_bytes
from tests.model import tiny

ROWS, POSITIONS, WIDTH = 40, 1024, 2560

_MEASURED = """
import sys
from pathlib import Path
import torch
from bot.space.janus.shape import read_shape
from bot.space.janus.weights import load

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

folder, dtype = Path(sys.argv[1]), sys.argv[2]
before = resident()
with torch.inference_mode():
    weights = load(folder, read_shape(folder), dtype, torch.device("cpu"))
    loaded = resident()
    cache = weights.language.cache(40, 1024)
print(loaded - before, resident() - loaded)
"""


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_weights_and_caches_take_what_is_planned(tmp_path: Path, dtype: str) -> None:
    """In a process of its own, of which only the growth counts."""
    tiny.build(tmp_path, width=WIDTH)
    shape = read_shape(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path), dtype],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    loaded, cached = map(int, done.stdout.split())
    each = 4 if dtype == "float32" else 2
    planned = weights_bytes(shape, dtype, on_processor=True)
    assert cached == pytest.approx(shape.cache_bytes(ROWS, POSITIONS, each), rel=0.02)
    # The libraries' own first steps and what packing leaves behind are in what was seen.
    assert planned * 0.9 < loaded < planned * 1.1 + 200e6
