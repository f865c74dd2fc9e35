"""What is chosen on which machine: `bot/space/janus/plan.py`, `sizes.py` and `cards.py`."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.space.janus.cards import bandwidth
from bot.space.janus.machine import GB, Device, Machine, Speed
from bot.space.janus.plan import LARGE, SMALL, Plan, Wishes, duration, plan
from bot.space.janus.shape import PUBLISHED, shape_of
from bot.space.janus.sizes import budget, seconds_per_drawing, weights_bytes

SHAPES = {name: shape_of(PUBLISHED[name], name) for name in (LARGE, SMALL)}
LAPTOP = {"float32": Speed(40e9, 300e9), "int8": Speed(30e9, 300e9)}
NO_CARD = "There is no graphics card that PyTorch can use."


def processor(free: float, total: float = 0) -> Device:
    """A laptop's."""
    total = total or free
    return Device("cpu", "cpu", "Processor", int(free * GB), int(total * GB), measured=LAPTOP)


def card(name: str, free: float, total: float, *, has_bfloat16: bool = True) -> Device:
    return Device(
        "cuda",
        "cuda",
        name,
        int(free * GB),
        int(total * GB),
        bandwidth(name),
        has_bfloat16=has_bfloat16,
    )


def machine(*devices: Device, disk: float = 1000, note: str = "") -> Machine:
    return Machine((*devices, processor(12, 16)) if devices else (), int(disk * 1e9), 8, note)


def on_processor(free: float, total: float = 0, note: str = "") -> Machine:
    return Machine((processor(free, total),), 10**12, 8, note)


def planned(where: Machine, **wishes: object) -> Plan:
    return plan(where, Wishes(**wishes), SHAPES)  # type: ignore[arg-type]


RTX_4090 = machine(card("GeForce RTX 4090", 23.5, 24))
RTX_4070 = machine(card("GeForce RTX 4070", 11.1, 12))
RTX_3060 = machine(card("GeForce RTX 3060", 11.6, 12))
T4 = machine(card("Tesla T4", 14.6, 15, has_bfloat16=False))
HALF_USED = machine(card("GeForce RTX 4090", 12, 24))
SMALL_CARD = machine(card("GeForce GTX 1650", 3.6, 4))


@pytest.mark.parametrize(
    ("where", "model", "device", "dtype", "pictures"),
    [
        pytest.param(machine(card("H200", 139, 141)), LARGE, "cuda", "bfloat16", 5, id="H200"),
        pytest.param(RTX_4090, LARGE, "cuda", "bfloat16", 5, id="RTX 4090"),
        pytest.param(HALF_USED, LARGE, "cuda", "int8", 2, id="RTX 4090, half of it used"),
        pytest.param(RTX_4070, SMALL, "cuda", "bfloat16", 5, id="RTX 4070, a screen on it"),
        pytest.param(RTX_3060, LARGE, "cuda", "int8", 1, id="RTX 3060"),
        pytest.param(T4, LARGE, "cuda", "int8", 5, id="T4"),
        pytest.param(SMALL_CARD, SMALL, "cpu", "int8", 5, id="GTX 1650"),
        pytest.param(on_processor(6.8, 8), SMALL, "cpu", "int8", 3, id="laptop 8 GB"),
        pytest.param(on_processor(12, 16), SMALL, "cpu", "int8", 5, id="laptop 16 GB"),
        pytest.param(on_processor(21, 24), SMALL, "cpu", "float32", 5, id="laptop 24 GB"),
    ],
)
def test_chooses_what_fits(
    where: Machine, model: str, device: str, dtype: str, pictures: int
) -> None:
    """A card before the processor, the large model before the small, precision before room."""
    found = planned(where)
    assert found.fits
    assert (found.model, found.device, found.dtype) == (model, device, dtype)
    assert found.pictures == pictures


@pytest.mark.parametrize(
    ("total", "model", "dtype"), [(16, SMALL, "bfloat16"), (64, LARGE, "bfloat16")]
)
def test_apples_memory_is_shared(total: float, model: str, dtype: str) -> None:
    """Its graphics may have two thirds of it, and are taken before the processor."""
    graphics = Device("mps", "mps", "Apple M2 Max", int(0.6 * total * GB), int(0.66 * total * GB))
    found = planned(Machine((graphics, processor(0.6 * total, total)), 10**12))
    assert (found.device, found.model, found.dtype) == ("mps", model, dtype)


def test_a_small_box_is_told_what_it_lacks() -> None:
    """4 GB are too little for anything; the stand-in is what is left."""
    found = planned(on_processor(3.4, 4))
    assert not found.fits
    assert re.fullmatch(
        r"The 1B model needs 5\.\d GB in int8, and Processor has 3\.4 of 4\.0 GB free\.",
        found.reason,
    )
    assert found.alternatives == ("--stand-in serves simple sketches and needs no model.",)


def test_reason_is_a_plain_sentence() -> None:
    """Where, how much, what, and how."""
    assert planned(RTX_3060).reason == (
        "GeForce RTX 3060 has 11.6 of 12.0 GB free: the 7B model fits in int8, one picture at a "
        "time."
    )


def test_the_processor_is_never_taken_in_silence() -> None:
    """Why no card is used stands before what is done instead."""
    note = "There is an NVIDIA card, but its driver is too old."
    assert planned(on_processor(21, 24)).reason.startswith(f"{NO_CARD} The processor works instead")
    assert planned(on_processor(21, 24, note)).reason.startswith(f"{note} The processor works")
    assert re.match(
        r"The 1B model needs 4\.\d GB in int8, and GeForce GTX 1650 has 3\.6 of 4\.0 GB free\. "
        "The processor works instead: it has",
        planned(SMALL_CARD).reason,
    )


def test_older_cards_compute_in_float16() -> None:
    """Their bfloat16 is only imitated."""
    where = machine(card("Tesla T4", 14.6, 15, has_bfloat16=False))
    assert planned(where, model=SMALL).dtype == "float16"


def test_a_wish_is_kept_or_refused() -> None:
    """It is never replaced by something else; what would fit is said with its options."""
    found = planned(RTX_4070, model=LARGE, dtype="bfloat16")
    assert not found.fits
    assert (found.model, found.dtype) == (LARGE, "bfloat16")
    assert found.reason.startswith("The 7B model needs 16.")
    assert found.alternatives[0] == (
        "--model 1b --device cuda --dtype bfloat16: the 1B model in bfloat16 on GeForce RTX 4070, "
        "about 5 seconds per drawing."
    )
    kept = planned(RTX_4090, model=SMALL, device="cpu", dtype="int8", pictures=2)
    assert kept.fits
    assert (kept.model, kept.device, kept.dtype, kept.pictures) == (SMALL, "cpu", "int8", 2)


def test_a_fitting_plan_names_others() -> None:
    """The other model on the same device: with its options, or with what it lacks."""
    assert [each.split(":")[0] for each in planned(RTX_4090).alternatives] == [
        "--model 1b --device cuda --dtype bfloat16"
    ]
    (lacking,) = planned(RTX_4070).alternatives
    assert lacking.startswith("The 7B model needs 11.")


def test_several_cards() -> None:
    """The first is taken; a wish names any, and none that is not there."""
    first = card("GeForce RTX 4090", 20, 24)
    second = dataclasses.replace(card("GeForce RTX 3060", 8, 12), place="cuda:1")
    where = machine(first, second)
    assert planned(where).device == "cuda"
    assert planned(where, device="cuda:0").device == "cuda"
    assert planned(where, device="cuda:1").device == "cuda:1"
    with pytest.raises(ConfigError, match="--device mps is not here; there is cuda, cuda:1, cpu"):
        planned(where, device="mps")


def test_the_disk_counts() -> None:
    """A download that has no room is not planned; the smaller model may have it."""
    where = machine(card("GeForce RTX 4090", 23.5, 24), disk=10)
    downloads = {LARGE: 14_840_000_000, SMALL: 4_180_000_000}
    found = plan(where, Wishes(), SHAPES, downloads)
    assert (found.fits, found.model, found.download) == (True, SMALL, 4_180_000_000)
    assert "a download of 14.8 GB, and 10.0 GB are free on the disk" in found.reason
    assert not plan(where, Wishes(model=LARGE), SHAPES, downloads).fits
    assert plan(where, Wishes(), SHAPES, {}).model == LARGE, "what is here needs no disk"


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    free = draw(st.integers(0, 160 * GB))
    ram = draw(st.integers(0, 256 * GB))
    bf16 = draw(st.booleans())
    devices = [Device("cpu", "cpu", "Processor", ram, 256 * GB, measured=LAPTOP)]
    if draw(st.booleans()):
        devices.insert(0, Device("cuda", "cuda", "Card", free, 160 * GB, 1e12, has_bfloat16=bf16))
    return Machine(tuple(devices), 10**12)


wishes = st.builds(
    Wishes,
    model=st.sampled_from(["", LARGE, SMALL]),
    dtype=st.sampled_from(["", "float32", "bfloat16", "float16", "int8"]),
    pictures=st.integers(0, 5),
)


@given(machines(), wishes)
def test_never_plans_more_than_there_is(where: Machine, wished: Wishes) -> None:
    """Everything together stays below what is free, less the margin; and wishes are kept."""
    found = plan(where, wished, SHAPES)
    device = next(each for each in where.devices if each.place == found.device)
    assert found.fits == (found.memory_needed <= budget(device)) or found.dtype == "float32"
    if found.fits:
        assert found.memory_needed <= budget(device)
    assert wished.model in {"", found.model}
    assert wished.dtype in {"", found.dtype}
    assert wished.pictures in {0, found.pictures}
    shape = SHAPES[found.model]
    assert 1 <= found.pictures <= 5
    assert found.drawing_rows % (2 * found.pictures) == 0
    assert found.picture_positions >= shape.image_tokens + 256
    assert found.answer_rows >= 1
    assert found.answer_positions >= shape.image_tokens + 1024
    each = {"float32": 4}.get(found.dtype, 2)
    caches = shape.cache_bytes(found.drawing_rows, found.picture_positions, each)
    caches += shape.cache_bytes(found.answer_rows, found.answer_positions, each)
    weights = weights_bytes(shape, found.dtype, on_processor=found.device == "cpu")
    assert found.memory_needed > weights + caches + found.remembered_bytes


def quality(found: Plan) -> tuple[object, ...]:
    """What is better comes later."""
    return (
        found.fits,
        found.device != "cpu",
        found.model == LARGE,
        ["int8", "float16", "bfloat16", "float32"].index(found.dtype),
        found.pictures,
        found.answer_positions,
        found.drawing_rows,
    )


@given(machines(), st.integers(0, 64 * GB), wishes)
def test_more_memory_is_never_worse(where: Machine, more: int, wished: Wishes) -> None:
    """Of any device, whatever was wished."""
    larger = Machine(
        tuple(dataclasses.replace(each, free=each.free + more) for each in where.devices), 10**12
    )
    before, after = plan(where, wished, SHAPES), plan(larger, wished, SHAPES)
    assert not before.fits or quality(after) >= quality(before)


def test_sizes_are_those_of_the_published_files() -> None:
    """In two bytes a number; int8 halves the layers alone."""
    large, small = SHAPES[LARGE], SHAPES[SMALL]
    assert weights_bytes(large, "bfloat16", on_processor=False) == pytest.approx(14.8e9, rel=0.01)
    assert weights_bytes(small, "bfloat16", on_processor=False) == pytest.approx(4.1e9, rel=0.01)
    assert weights_bytes(large, "int8", on_processor=False) == pytest.approx(8.7e9, rel=0.01)
    assert weights_bytes(small, "int8", on_processor=True) == pytest.approx(3.6e9, rel=0.03)


@pytest.mark.parametrize(
    ("name", "dtype", "pictures", "seconds"),
    [
        ("NVIDIA H200", "bfloat16", 5, 2.3),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 5, 11.1),
        ("NVIDIA GeForce RTX 4090", "int8", 5, 6.3),
        ("NVIDIA GeForce RTX 9999", "int8", 5, None),
    ],
)
def test_seconds_follow_from_the_cards_bandwidth(
    name: str, dtype: str, pictures: int, seconds: float | None
) -> None:
    """The floor is 7.98 s on a 4090 and 1.68 s on an H200; 0.72 of that speed is reached."""
    found = seconds_per_drawing(card(name, 1, 1), SHAPES[LARGE], dtype, pictures)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=0.1))


def test_the_processors_time_follows_from_what_was_measured() -> None:
    """Ten rows wait for the arithmetic, two for the memory; pixels take their share."""
    shape = SHAPES[SMALL]
    device = dataclasses.replace(processor(20), measured={"float32": Speed(40e9, 100e9)})
    five = seconds_per_drawing(device, shape, "float32", 5)
    products = 576 * 20 * (shape.layer_parameters + shape.picture_head_parameters) / 100e9
    assert five == pytest.approx((products + 5 * 570e9 / 100e9) / 0.85, abs=0.1)
    one = seconds_per_drawing(device, shape, "float32", 1)
    assert one is not None
    assert one > 2 * (five or 0)
    assert seconds_per_drawing(device, shape, "bfloat16", 5) is not None


def test_fewer_pictures_at_a_time_take_longer() -> None:
    """Five rounds, three, two and one."""
    device = card("GeForce RTX 4090", 20, 24)
    times = [
        seconds_per_drawing(device, SHAPES[LARGE], "int8", pictures) or 0
        for pictures in range(1, 6)
    ]
    assert times[0] > times[1] > times[2] == times[3] > times[4]


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("NVIDIA GeForce RTX 4070 Ti SUPER", 672),
        ("NVIDIA GeForce RTX 4070", 504),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2000),
        ("NVIDIA A100-SXM4-80GB", 2039),
        ("Tesla V100-SXM2-16GB", 900),
        ("Apple M2 Max", 400),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA L4", 300),
        ("NVIDIA GeForce GT 710", None),
    ],
)
def test_cards_are_known_by_whole_words(name: str, gigabytes: float | None) -> None:
    """The most exact name counts, and a notebook's card is another one."""
    assert bandwidth(name) == (None if gigabytes is None else gigabytes * 1e9)


def test_durations_are_said_as_people_do() -> None:
    assert [duration(each) for each in (0.4, 2, 65, 500, 10_000)] == [
        *("about a second", "about 2 seconds", "about 65 seconds", "about 8 minutes"),
        "about 3 hours",
    ]


def test_planning_imports_nothing_heavy() -> None:
    """Neither torch nor Gradio, so that a refusal comes at once."""
    code = (
        "import sys, bot.space.model, bot.space.console, bot.space.__main__\n"
        "heavy = {'torch', 'gradio', 'transformers', 'huggingface_hub'}\n"
        "sys.exit(not heavy.isdisjoint(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 0
