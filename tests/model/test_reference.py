"""What the engine draws and says is what the original demo would have drawn and said."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from bot.space.engine import Pictures
from tests.model.reference import drawn_tokens, said_tokens
from tests.model.running import TinyModel, bench


@pytest.mark.parametrize("guidance", [1.0, 5.0, 7.5])
@pytest.mark.parametrize("temperature", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", [0, 12345])
def test_draws_the_reference_tokens(
    tiny: TinyModel, guidance: float, temperature: float, seed: int
) -> None:
    """Token for token, greedy and drawn from the whole vocabulary with the same noise."""
    prompt, _ = tiny.prompts.drawing("a red fox in the snow", 200)
    expected = drawn_tokens(
        tiny.reference, prompt, pad=tiny.pad, seed=seed, guidance=guidance, temperature=temperature
    )
    with bench(tiny) as running:
        told = running.draw(
            "a red fox in the snow", seed=seed, guidance=guidance, temperature=temperature
        )
        pictures = told.last()
        assert running.drawn() == expected
    assert isinstance(pictures, Pictures)
    assert [image.size for image in pictures.images] == [(96, 96)] * 5


def test_draws_what_transformers_draws(tiny: TinyModel) -> None:
    """Greedy, as transformers' own `generate` does without a limit to the likeliest tokens."""
    prompt, _ = tiny.prompts.drawing("a red fox", 200)
    expected = tiny.reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        generation_mode="image",
        do_sample=False,
        guidance_scale=5,
        top_k=0,
        use_cache=True,
    )
    with bench(tiny) as running:
        running.draw("a red fox", temperature=0.0).last()
        assert running.drawn() == expected.tolist() * 5


def test_pixels_are_those_of_the_reference(tiny: TinyModel) -> None:
    """Decoded by transformers, cut off to bytes, and enlarged as in the demo."""
    with bench(tiny) as running:
        pictures = running.draw().last()
        tokens = torch.tensor(running.drawn())
    with torch.inference_mode():
        decoded = torch.cat([tiny.reference.model.vqmodel.decode(each[None]) for each in tokens])
    values = ((decoded + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    for image, expected in zip(pictures.images, values, strict=True):
        small = Image.fromarray(expected.numpy())
        assert image.tobytes() == small.resize((96, 96), Image.Resampling.LANCZOS).tobytes()


@pytest.mark.parametrize(
    ("top_p", "temperature"), [(1.0, 0.0), (0.95, 0.1), (0.6, 1.0), (1.0, 1.0)]
)
@pytest.mark.parametrize("picture", [True, False])
@pytest.mark.parametrize("seed", [42, 7])
def test_says_the_reference_words(
    tiny: TinyModel, picture: bool, top_p: float, temperature: float, seed: int
) -> None:
    """As `generate` says them with the demo's arguments, with a picture and without."""
    image = Image.radial_gradient("L").convert("RGB") if picture else None
    before, after = tiny.prompts.question("what colour is it", 200, picture=picture)
    placeholder = tiny.reference.config.image_token_id
    tokens = [*before, *[placeholder] * (tiny.shape.image_tokens if picture else 0), *after]
    pixels = None if image is None else tiny.reader.pixels(image)
    expected = said_tokens(
        tiny.reference, tokens, pixels, seed=seed, top_p=top_p, temperature=temperature, most=24
    )
    with bench(tiny, piece=7) as running:
        told = running.ask(
            "what colour is it", image, seed=seed, top_p=top_p, temperature=temperature
        )
        assert told.words() == expected


def test_the_prompt_is_that_of_transformers_processor(tiny: TinyModel) -> None:
    """The template, word for word, and the same tokens for it."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - the tests' own need

    words = PreTrainedTokenizerFast.from_pretrained(tiny.folder)
    before, after = tiny.prompts.question("what is it?", 300, picture=True)
    text = (
        "You are a helpful language and vision assistant. You are able to understand the visual "
        "content that the user provides, and assist the user with a variety of tasks using "
        "natural language.\n\n<|User|>: <begin_of_image>{}<end_of_image>\nwhat is it?\n\n"
        "<|Assistant|>:"
    ).format("<image_placeholder>" * 9)
    placeholder = tiny.reference.config.image_token_id
    assert [*before, *[placeholder] * 9, *after] == words.encode(text)
    drawing, nothing = tiny.prompts.drawing("a fox", 300)
    assert drawing == words.encode("<|User|>: a fox\n\n<|Assistant|>:<begin_of_image>")
    assert (nothing[0], nothing[-1]) == (drawing[0], drawing[-1])
    assert set(nothing[1:-1]) == {tiny.pad}


def test_grouped_attention(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fewer heads for keys than for queries: no published model has that, but a Llama may."""
    grouped = TinyModel.build(tmp_path_factory.mktemp("grouped"), kv_heads=1, seed=3)
    prompt, _ = grouped.prompts.drawing("a red fox", 200)
    expected = drawn_tokens(
        grouped.reference, prompt, pad=grouped.pad, seed=5, guidance=5.0, temperature=1.0
    )
    with bench(grouped) as running:
        running.draw("a red fox", seed=5).last()
        assert running.drawn() == expected
