"""The original demo's loops, as plain as can be, on transformers' own modules.

What the engine draws and says is compared with this. It is slow on purpose: no cache is kept, so
every step reads everything again, and no cleverness can hide a mistake in what is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import JanusForConditionalGeneration


@torch.inference_mode()  # type: ignore[untyped-decorator] # where there is no torch
def drawn_tokens(
    model: JanusForConditionalGeneration,
    prompt: list[int],
    *,
    pad: int,
    seed: int,
    guidance: float,
    temperature: float,
    count: int = 5,
) -> list[list[int]]:
    """Tokens of `count` pictures: even rows with the prompt, odd rows with padding in its place."""
    torch.manual_seed(seed)
    rows = torch.tensor([prompt] * (2 * count))
    rows[1::2, 1:-1] = pad
    inputs = model.get_input_embeddings()(rows)
    tokens = []
    for _ in range(model.config.vision_config.num_image_tokens):
        hidden = model.model.language_model(inputs_embeds=inputs, use_cache=False)[0][:, -1]
        scores = model.model.generation_head(hidden)
        with_prompt, without = scores[0::2], scores[1::2]
        guided = without + guidance * (with_prompt - without)
        if temperature == 0:  # the demo divides by it; the most likely token is its limit
            chosen = guided.argmax(-1)
        else:
            probabilities = torch.softmax(guided / temperature, dim=-1)
            chosen = torch.multinomial(probabilities, num_samples=1)[:, 0]
        tokens.append(chosen)
        pairs = torch.stack((chosen, chosen), dim=1).view(-1)
        embedded = model.prepare_embeddings_for_image_generation(pairs)
        inputs = torch.cat((inputs, embedded[:, None]), dim=1)
    drawn: list[list[int]] = torch.stack(tokens, dim=1).tolist()
    return drawn


@torch.inference_mode()  # type: ignore[untyped-decorator] # same
def question_inputs(
    model: JanusForConditionalGeneration, tokens: list[int], pixels: Tensor | None
) -> Tensor:
    """Embedded tokens, with a picture's features in place of its placeholders."""
    inputs = model.get_input_embeddings()(torch.tensor([tokens]))
    if pixels is not None:
        features = model.model.get_image_features(pixels).pooler_output
        place = torch.tensor(tokens) == model.config.image_token_id
        inputs[0, place] = features[0]
    return inputs


@torch.inference_mode()  # type: ignore[untyped-decorator] # same
def said_tokens(
    model: JanusForConditionalGeneration,
    tokens: list[int],
    pixels: Tensor | None,
    *,
    seed: int,
    top_p: float,
    temperature: float,
    most: int,
) -> list[int]:
    """Tokens of an answer as transformers' `generate` gives them, as the demo calls it."""
    torch.manual_seed(seed)
    inputs = question_inputs(model, tokens, pixels)
    options = {} if temperature == 0 else {"temperature": temperature, "top_p": top_p}
    config = model.generation_config
    found = model.generate(
        inputs_embeds=inputs,
        attention_mask=torch.ones(inputs.shape[:2], dtype=torch.long),
        pad_token_id=config.eos_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        max_new_tokens=most,
        do_sample=temperature != 0,
        **options,
    )
    words: list[int] = found[0].tolist()
    return words[: words.index(config.eos_token_id)] if config.eos_token_id in words else words
