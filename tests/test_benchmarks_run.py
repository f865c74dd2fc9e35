"""The benchmarks that take no minutes run; what they print is for people."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("command", ["live.py --quick --decided", "start.py --quick"])
async def test_the_quick_form_prints_figures(command: str) -> None:
    """Whether an aim is reached depends on the machine; that there is a figure does not."""
    name, *options = command.split()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BENCHMARKS / name), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode in (0, 1), err.decode()
    assert "Traceback" not in err.decode()
    assert "aim" in out.decode(), err.decode()
