"""`janus-bot space --plan` and what it measures, with the real torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.space.janus.machine import probe

pytest.importorskip("torch", reason="torch is not installed here; `make test-model` has it")


def test_this_machine(tmp_path: Path) -> None:
    """Whatever it is, it has a processor that was measured."""
    found = probe(tmp_path)
    processor = found.devices[-1]
    assert processor.kind == "cpu"
    assert 0 < processor.free <= processor.total
    assert set(processor.measured) == {"float32", "int8"}
    for speed in processor.measured.values():
        assert 1e8 < speed.bandwidth < 2e12
        assert speed.flops is not None
        assert 1e9 < speed.flops < 1e14


def test_the_program_plans_for_this_machine(tmp_path: Path) -> None:
    """Without a network: sizes and all are known, and the exit code says whether it fits."""
    done = subprocess.run(
        [sys.executable, "-m", "bot", "space", "--model", "1b", "--plan", "--json"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    plan = json.loads(done.stdout)
    assert done.returncode == (0 if plan["fits"] else 3), done.stderr
    assert plan["model"] == "deepseek-community/Janus-Pro-1B"
    assert 3.5e9 < plan["download"] < 4.5e9
    assert plan["reason"]
    assert not list(tmp_path.iterdir())
