"""Turns that callers take, and what is remembered of their pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.space.janus.remembered import TTL_SECONDS, Key, Remembered, key_of
from bot.space.janus.waiting import Waiting

Item = tuple[str, int]
actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc")),
        st.tuples(st.just("take"), st.just("")),
        st.tuples(st.just("remove"), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(actions)
def test_everybody_waits_for_one_request_of_each_other_at_most(
    what: list[tuple[str, str | int]],
) -> None:
    """Each caller's requests keep their order, and between two of one all others had a turn."""
    queue: Waiting[Item] = Waiting(lambda item: item[0])
    inside: list[Item] = []
    overtaken: dict[Item, list[str]] = {}
    for number, (action, value) in enumerate(what):
        if action == "add":
            item = (str(value), number)
            queue.add(item)
            inside.append(item)
            overtaken[item] = []
        elif action == "take" and inside:
            expected = next(iter(queue))
            item = queue.take()
            assert item == expected, "the order that people are told is the one that is kept"
            assert item == min(each for each in inside if each[0] == item[0])
            inside.remove(item)
            for other in inside:
                if not any(each[0] == other[0] and each < other for each in inside):
                    overtaken[other].append(item[0])
        elif action == "remove" and inside:
            item = inside.pop(int(value) % len(inside))
            queue.discard(lambda each, item=item: each == item)  # type: ignore[misc]
        assert sorted(queue) == sorted(inside)
        assert len(queue) == len(inside)
    for item, others in overtaken.items():
        foreign = [other for other in others if other != item[0]]
        assert len(foreign) <= len(set(foreign)) * 2


@dataclass
class Clock:
    now: float = 0.0
    asked: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 60), st.floats(0, 400)), max_size=40))
def test_remembers_within_its_budget_and_its_time(
    puts: list[tuple[int, int, float]],
) -> None:
    """Bytes never pass the budget, nothing outlives its time, and what is found is what was put."""
    clock = Clock()
    kept = Remembered(400, clock)
    put: dict[Key, tuple[float, torch.Tensor]] = {}
    for name, size, pause in puts:
        clock.now += pause
        key, tensor = Key("scope", bytes([name])), torch.full((size,), name, dtype=torch.float32)
        found = kept.get(key)
        if found is not None:
            assert clock.now < put[key][0] + TTL_SECONDS
            assert torch.equal(found, put[key][1])
        kept.put(key, tensor)
        put[key] = clock.now, tensor
        assert kept.bytes <= 400
        assert (kept.get(key) is not None) == (size <= 100)
    clock.now += TTL_SECONDS + 1
    assert kept.expire() is None
    assert kept.bytes == 0


def test_the_oldest_is_forgotten_first() -> None:
    """And asking for a picture makes it new."""
    kept = Remembered(3 * 4)
    first, second, third, fourth = (Key("", bytes([n])) for n in range(4))
    for key in (first, second, third):
        kept.put(key, torch.zeros(1))
    assert kept.get(first) is not None
    kept.put(fourth, torch.zeros(1))
    assert kept.get(second) is None
    assert kept.get(first) is not None


def test_says_when_something_ends() -> None:
    """The loop sleeps until then."""
    clock = Clock()
    kept = Remembered(100, clock)
    kept.put(Key("", b"a"), torch.zeros(1))
    clock.now = 100
    assert kept.expire() == TTL_SECONDS - 100


def test_a_picture_is_known_by_its_pixels() -> None:
    """Not by its file, and not across scopes, and a pixel more is another picture."""
    red = Image.new("RGB", (4, 6), "red")
    assert key_of("a", red) == key_of("a", red.copy())
    assert key_of("a", red) != key_of("b", red)
    assert key_of("a", red) != key_of("a", Image.new("RGB", (6, 4), "red"))
    changed = red.copy()
    changed.putpixel((3, 5), (255, 0, 1))
    assert key_of("a", red) != key_of("a", changed)
