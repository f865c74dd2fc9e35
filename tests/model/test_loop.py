"""Many requests in one loop: what each gets does not depend on the others, and all leave again."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.errors import BotError
from bot.space.engine import QUEUED, TOKENS, Pictures, Progress
from bot.space.janus.batch import Batch
from bot.space.janus.loop import in_words, previews
from bot.space.janus.requests import NoMemory, Stopping
from tests.model.running import Bench, TinyModel, Told, bench, together

RED, BLUE = (Image.new("RGB", (64, 40), colour) for colour in ("red", "blue"))

Ask = Callable[[Bench], Told]
ASKS: dict[str, Ask] = {
    "fox": lambda b: b.draw("a red fox", seed=1, guidance=5.0),
    "snow": lambda b: b.draw("the snow at night, with a very long prompt", seed=2, guidance=1.0),
    "likeliest": lambda b: b.draw("a fox", seed=3, guidance=8.0, temperature=0.0),
    "red": lambda b: b.ask("what colour is it", RED, seed=4, temperature=1.0),
    "blue": lambda b: b.ask("describe this picture", BLUE, seed=5, temperature=0.7, top_p=0.8),
    "chat": lambda b: b.ask("ok", None, seed=6, temperature=0.0),
}


def same(compute: Callable[[], None]) -> Callable[[], None]:
    return compute


def outcome(told: Told) -> object:
    """What a request led to: words, or the bytes of pictures."""
    events = list(told)
    words = [token for event in events if isinstance(event, list) for token in event]
    pictures = [event for event in events if isinstance(event, Pictures)]
    return words or [sha256(image.tobytes()).hexdigest() for image in pictures[-1].images]


@pytest.fixture(scope="module", name="alone")
def _alone(tiny: TinyModel) -> dict[str, object]:
    found = {}
    for name, ask in ASKS.items():
        with bench(tiny) as running:
            found[name] = outcome(ask(running))
    return found


@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(ASKS)), min_size=2, max_size=7),
    shape=st.sampled_from([(10, 1, 5), (20, 3, 5), (6, 2, 3), (4, 2, 2)]),
    piece=st.sampled_from([3, 16, 96]),
    recorded=st.booleans(),
    cancelled=st.sets(st.integers(0, 6)),
)
def test_each_request_gets_what_it_gets_alone(  # noqa: PLR0917 - drawn by hypothesis
    tiny: TinyModel,
    alone: dict[str, object],
    names: list[str],
    shape: tuple[int, int, int],
    piece: int,
    recorded: bool,
    cancelled: set[int],
) -> None:
    """In any company, in groups of any size, with neighbours that leave in the middle."""
    rows, answers, at_once = shape
    # Recorded steps work on rounded sizes with a mask, four at a time, as on a GPU.
    record, steps = (same, 4) if recorded else (None, 1)
    with bench(
        tiny,
        rows=rows,
        answers=answers,
        at_once=at_once,
        piece=piece,
        record=record,
        steps=steps,
    ) as running:
        told = [ASKS[name](running) for name in names]
        for place in cancelled & set(range(len(told))):
            told[place].cancel()
        for place, name in enumerate(names):
            if place not in cancelled:
                assert outcome(told[place]) == alone[name]
        together([ASKS["chat"](running)])  # the loop has let go of everybody by then
        assert (running.batch.pictures, running.batch.answers) == ([], [])


def test_noise_of_its_own(tiny: TinyModel, alone: dict[str, object]) -> None:
    """The same seed gives the same pictures again, and others give others."""
    with bench(tiny) as running:
        assert outcome(running.draw("a red fox", seed=1)) == alone["fox"]
        assert outcome(running.draw("a red fox", seed=2)) != alone["fox"]


def test_cancelling_frees_the_rows_within_a_step(tiny: TinyModel) -> None:
    """A drawing in the middle is let go, and the one that waited begins at once."""
    with bench(tiny, rows=10) as running:
        first = running.draw("a fox", seed=1)
        events = iter(first)
        next(events)
        first.cancel()
        second = running.draw("a fox", seed=2)
        assert isinstance(second.last(), Pictures)
        assert running.batch.picture_rows == 0


def test_tells_progress_in_tokens_and_the_place_in_the_queue(tiny: TinyModel) -> None:
    """Tokens rise to their number; whoever waits learns how many are ahead."""
    with bench(tiny, rows=10) as running:
        told = [running.draw("a fox", seed=seed) for seed in range(3)]
        together(told)
    for each in told:
        steps = [e for e in each.all if isinstance(e, Progress) and e.unit == TOKENS]
        done = [step.done for step in steps]
        assert done == sorted(done)
        assert (steps[-1].done, steps[-1].total) == (45, 45)
        assert steps[-1].what.startswith("Finishing picture 5 of 5")
        assert any("tokens/s" in step.what for step in steps)
    ranks = [
        [e.done for e in each.all if isinstance(e, Progress) and e.unit == QUEUED] for each in told
    ]
    assert ranks[1][-1] == 0
    assert ranks[2] == sorted(ranks[2], reverse=True)
    assert ranks[2][0] >= 1


def test_callers_take_turns(tiny: TinyModel) -> None:
    """Whoever asks for much does not keep others waiting for more than one request."""
    with bench(tiny, rows=10) as running:
        greedy = [running.draw("a fox", seed=seed, caller="greedy") for seed in range(6)]
        modest = running.draw("a fox", seed=9, caller="modest")
        together([*greedy, modest])
        assert running.ended.index(modest.request) <= 2
        assert [r for r in running.ended if r is not modest.request] == [t.request for t in greedy]


def test_an_answer_is_not_held_up_by_drawings(tiny: TinyModel) -> None:
    """It is said while drawings that came first are still being drawn."""
    with bench(tiny, rows=10) as running:
        drawings = [running.draw("a fox", seed=seed) for seed in range(4)]
        answer = running.ask("ok", most=3)
        together([*drawings, answer])
        assert running.ended.index(answer.request) <= 1


def test_shows_pictures_while_they_are_drawn(tiny: TinyModel) -> None:
    """Finished rows in their colours, grey below; the end is the whole pictures."""
    with bench(tiny) as running:
        running.loop._pace.step = 1.0  # previews are cheap beside such steps
        told = running.draw()
        together([told])
    shown = [event.images for event in told.all if isinstance(event, Pictures)]
    assert len(shown) >= 3
    for images in shown[:-1]:
        assert all(image.size == (96, 96) for image in images)
        assert all(image.getpixel((48, 90)) == (127, 127, 127) for image in images)
    assert len(shown[-1]) == 5
    first, last = shown[0][0], shown[-1][0]
    assert first.crop((0, 0, 96, 16)).getcolors(1) is None
    assert last.getpixel((48, 90)) != (127, 127, 127)


def test_all_rows_of_a_preview_are_the_whole_picture(tiny: TinyModel) -> None:
    """Decoding row by row ends where decoding at once ends; fewer rows are as many pixels."""
    with bench(tiny) as running:
        tokens = torch.arange(9)
        whole = running.drawer.draw(tokens)
        with torch.inference_mode():
            decoded = tiny.reference.model.vqmodel.decode(tokens[None])[0]
        values = ((decoded + 1) / 2 * 255).clamp(0, 255).byte().permute(1, 2, 0)
        expected = Image.fromarray(values.numpy()).resize((96, 96), Image.Resampling.LANCZOS)
        assert whole.tobytes() == expected.tobytes()
        for rows in (1, 2):
            part = running.drawer.draw(tokens[: rows * 3 + 1])
            below = part.crop((0, rows * 32 + 4, 96, 96))
            assert below.getcolors(1) == [(below.width * below.height, (127, 127, 127))]


def test_the_same_picture_again_is_not_read_again(tiny: TinyModel) -> None:
    """A second question about it gives the same words, and looks at nothing."""
    looked: list[int] = []
    with bench(tiny) as running:
        vision = running.loop._vision

        def counted(pixels: torch.Tensor) -> torch.Tensor:
            looked.append(1)
            return vision(pixels)

        running.loop._vision = counted
        first = running.ask("what colour is it", RED, scope="a").words()
        again = running.ask("what colour is it", RED.copy(), scope="a").words()
        other = running.ask("describe this picture", RED, scope="a").words()
        assert len(looked) == 1
        running.ask("what colour is it", RED, scope="b").words()
        running.ask("what colour is it", BLUE, scope="a").words()
        assert len(looked) == 3, "never shared between scopes, and never mistaken for another"
    with bench(tiny, remembered=0) as running:
        assert running.ask("what colour is it", RED).words() == first == again
        assert running.ask("describe this picture", RED).words() == other


class Hungry(Batch):
    """Has memory for two pictures at a time."""

    def step(self) -> None:
        if any(group.count > 2 for group in self.pictures):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 576 MiB")
        super().step()


def test_out_of_memory_halves_the_pictures_at_a_time(
    tiny: TinyModel, alone: dict[str, object]
) -> None:
    """The drawing goes on in smaller groups, with the same pictures; neighbours notice nothing."""
    with bench(tiny, batch=Hungry) as running:
        drawing, answer = ASKS["fox"](running), ASKS["red"](running)
        assert outcome(drawing) == alone["fox"]
        assert outcome(answer) == alone["red"]


class Starving(Batch):
    """Has no memory for any picture."""

    def step(self) -> None:
        if self.pictures:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
            )
        super().step()


def test_no_memory_at_all_is_a_sentence(tiny: TinyModel, alone: dict[str, object]) -> None:
    """The drawing fails in words; the next request works."""
    with bench(tiny, batch=Starving) as running:
        with pytest.raises(NoMemory, match="not enough memory"):
            together([running.draw()])
        assert outcome(ASKS["chat"](running)) == alone["chat"]


def test_what_breaks_ends_one_request_and_not_the_loop(
    tiny: TinyModel, alone: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """Torch's own errors reach the person as a sentence, and the log with their traceback."""
    with bench(tiny) as running:
        told = running.ask("ok", RED)
        told.cancel()
        vision, running.loop._vision = running.loop._vision, lambda _: torch.zeros(1, 2, 3)
        with pytest.raises(BotError, match="could not do that"):
            together([running.ask("ok", BLUE)])
        running.loop._vision = vision
        assert outcome(ASKS["chat"](running)) == alone["chat"]
    assert "a request failed" in caplog.text


def test_closing_tells_everybody(tiny: TinyModel) -> None:
    """Whoever is at work or waits learns that it ends; later requests are refused."""
    with bench(tiny, rows=10) as running:
        told = [running.draw(seed=seed) for seed in range(3)]
        loop = running.loop
    for each in told:
        with pytest.raises(Stopping):
            together([each])
    with pytest.raises(Stopping):
        loop.submit(told[0].request)


@given(
    budget=st.floats(0, 100),
    pixel_row=st.floats(0.0001, 10),
    grid=st.integers(1, 48),
    count=st.integers(1, 5),
)
def test_previews_stay_within_their_budget(
    budget: float, pixel_row: float, grid: int, count: int
) -> None:
    """However slow the drawing of pixels is; and no preview is of a whole picture."""
    shown = previews(budget, pixel_row, grid, count)
    assert sum(rows * pixel_row * pictures for rows, pictures in shown.items()) <= budget * 1.001
    assert all(0 < rows < grid and 0 < pictures <= count for rows, pictures in shown.items())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59.6, "60 s"), (99, "99 s"), (100, "2 min"), (600, "10 min")],
)
def test_says_times_as_people_do(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
