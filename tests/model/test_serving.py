"""The benchmark of the model's server runs, on one layer of the true width."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_measures_the_engine_beside_the_reference() -> None:
    """Every figure is there; how fast this machine is proves nothing, but for what is far off."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "benchmarks/serving.py", "--layers", "1", "--quick"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    lines = re.findall(r"^(.+?) +(\S+) x +aim <= (\S+) ", done.stdout, re.MULTILINE)
    figures = {name: float(value) for name, value, _ in lines}
    assert len(figures) == 7, done.stdout
    # One product beside another in the same minute: no load makes a tenth of it, or ten times it.
    assert 0.02 < figures["a step of 10 rows, of the reference's"] < 2
    assert figures["second question's first word"] < 0.5
