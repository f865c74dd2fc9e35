"""What is read of the machine: memory, containers, cards; torch is imitated."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from bot.space.janus.machine import (
    GB,
    cuda_cards,
    free_disk,
    free_memory,
    total_memory,
    why_no_card,
)

MIB = 2**20


def files(folder: Path, **contents: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture(name="proc")
def _proc(tmp_path: Path) -> Path:
    files(tmp_path / "proc", meminfo="MemTotal: 9000000 kB\nMemAvailable:    4194304 kB\n")
    files(tmp_path / "proc" / "self", cgroup="0::/a/b\n")
    return tmp_path / "proc"


def test_free_memory_is_what_is_available(proc: Path, tmp_path: Path) -> None:
    """Not what nobody uses: the kernel gives back what it only keeps."""
    assert free_memory(proc, tmp_path / "nothing") == 4096 * MIB


def test_a_container_may_have_less(proc: Path, tmp_path: Path) -> None:
    """Version 2: any group above counts, and files that were read can be dropped."""
    groups = tmp_path / "groups"
    files(groups / "a" / "b", memory__max="max", memory__current="5")
    files(
        groups / "a",
        memory__max=str(1000 * MIB),
        memory__current=str(600 * MIB),
        memory__stat=f"anon 1\ninactive_file {200 * MIB}\n",
    )
    assert free_memory(proc, groups) == 600 * MIB
    assert total_memory(proc, groups) == 1000 * MIB


def test_a_container_sees_only_itself(proc: Path, tmp_path: Path) -> None:
    """Its own group is then the root, whatever path it is told."""
    groups = tmp_path / "groups"
    files(groups, memory__max=str(500 * MIB), memory__current=str(100 * MIB))
    assert free_memory(proc, groups) == 400 * MIB


def test_version_1_of_groups(proc: Path, tmp_path: Path) -> None:
    """Older systems keep memory in a tree of its own."""
    (proc / "self" / "cgroup").write_text("4:cpu,cpuacct:/x\n3:memory:/y\n1:name=systemd:/\n")
    files(
        tmp_path / "groups" / "memory" / "y",
        memory__limit_in_bytes=str(300 * MIB),
        memory__usage_in_bytes=str(100 * MIB),
        memory__stat=f"total_inactive_file {50 * MIB}\n",
    )
    assert free_memory(proc, tmp_path / "groups") == 250 * MIB


def test_without_proc_most_of_the_memory_counts(tmp_path: Path) -> None:
    """As on macOS, which says how much there is, and nothing simple about what is free."""
    assert 0 < free_memory(tmp_path, tmp_path) < total_memory(tmp_path, tmp_path)


def test_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """It will be made on the disk of the folder above."""
    assert free_disk(tmp_path / "a" / "b") > 0


def torch(**cuda: Any) -> Any:
    """As much of torch as is asked for a card."""
    values: dict[str, Any] = {
        "is_available": lambda: True,
        "get_arch_list": lambda: ["sm_75", "sm_90", "compute_90"],
        "get_device_capability": lambda _index: (8, 9),
        "get_device_name": lambda _index: "NVIDIA GeForce RTX 4070",
        "device_count": lambda: 1,
        "mem_get_info": lambda _index: (11 * GB, 12 * GB),
    }
    return types.SimpleNamespace(
        cuda=types.SimpleNamespace(**values | cuda),
        version=types.SimpleNamespace(cuda="13.0", hip=None),
    )


def test_cards_are_seen_with_what_is_free() -> None:
    """Not with all that they have: a screen or another program may use some of it."""
    broken: list[str] = []
    found = list(cuda_cards(torch(device_count=lambda: 2), broken))
    assert [(each.place, each.free, each.total) for each in found] == [
        ("cuda", 11 * GB, 12 * GB),
        ("cuda:1", 11 * GB, 12 * GB),
    ]
    assert found[0].name == "GeForce RTX 4070"
    assert found[0].bandwidth == 504e9
    assert found[0].has_bfloat16
    assert broken == []
    (older,) = cuda_cards(torch(get_device_capability=lambda _index: (7, 5)), broken)
    assert not older.has_bfloat16


def test_a_card_that_this_torch_has_no_code_for() -> None:
    """It would fail at the first computation."""
    broken: list[str] = []
    assert list(cuda_cards(torch(get_device_capability=lambda _index: (6, 1)), broken)) == []
    assert broken == ["GeForce RTX 4070 is too old for this PyTorch, so it is not used."]


def test_a_card_that_does_not_work() -> None:
    """What torch says of it is passed on, in one line."""

    def fails(_index: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later")

    broken: list[str] = []
    assert list(cuda_cards(torch(mem_get_info=fails), broken)) == []
    assert broken == [
        "GeForce RTX 4070 does not work, so it is not used: CUDA error: out of memory."
    ]


def test_why_a_card_is_not_used(tmp_path: Path) -> None:
    """An old driver, a PyTorch for processors, or there is none."""
    without = torch(is_available=lambda: False)
    assert why_no_card(without, tmp_path) == ""
    (tmp_path / "nvidiactl").touch()
    assert "driver is too old for CUDA 13.0" in why_no_card(without, tmp_path)
    without.version.cuda = None
    assert "made for processors only" in why_no_card(without, tmp_path)
    (tmp_path / "nvidiactl").unlink()
    (tmp_path / "kfd").touch()
    assert "ROCm" in why_no_card(without, tmp_path)
