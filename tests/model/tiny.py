"""A Janus-Pro of half a million random parameters, written to disk in both layouts on the spot."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    JanusConfig,
    JanusForConditionalGeneration,
    JanusVisionConfig,
    JanusVQVAEConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

BOS, EOS, PAD = (
    f"<\uff5c{name}\uff5c>"
    for name in ("begin\u2581of\u2581sentence", "end\u2581of\u2581sentence", "\u2581pad\u2581")
)
SPECIAL = [
    BOS, EOS, PAD, "<image_placeholder>", "<begin_of_image>", "<end_of_image>", "<|User|>",
    "<|Assistant|>",
]  # fmt: skip
SIDE, PATCH = 48, 16
"""Pixels of a picture and of the square that a token stands for: nine tokens."""
CODES = 64


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of about 300 tokens; a beginning-of-sentence token is put in front."""
    text = Tokenizer(models.BPE())
    text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=313,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = ["a red fox in the snow", "describe this picture", "what colour is it", "ok"] * 8
    text.train_from_iterator(words, trainer)
    from tokenizers.processors import TemplateProcessing  # noqa: PLC0415

    text.post_processor = TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, text.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=text,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={
            "image_token": "<image_placeholder>",
            "boi_token": "<begin_of_image>",
            "eoi_token": "<end_of_image>",
        },
    )


def config(
    words: PreTrainedTokenizerFast, *, kv_heads: int = 2, side: int = SIDE, width: int = 32
) -> JanusConfig:
    """All parts that the real one has, each as narrow as it can be."""
    return JanusConfig(
        text_config=LlamaConfig(
            vocab_size=len(words),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=kv_heads,
            max_position_embeddings=4096,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        ),
        vision_config=JanusVisionConfig(
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=side,
            patch_size=PATCH,
            projection_dim=width,
            num_image_tokens=(side // PATCH) ** 2,
        ),
        vq_config=JanusVQVAEConfig(
            num_embeddings=CODES,
            embed_dim=8,
            latent_channels=32,
            base_channels=32,
            channel_multiplier=[1, 1, 1, 1, 1],
            num_res_blocks=1,
            projection_dim=width,
            image_token_embed_dim=width,
        ),
        image_token_id=words.convert_tokens_to_ids("<image_placeholder>"),
        tie_word_embeddings=False,
    )


def build(
    folder: Path, *, seed: int = 0, kv_heads: int = 2, side: int = SIDE, width: int = 32
) -> JanusForConditionalGeneration:
    """Write a model in transformers' layout, for pictures of `side` pixels, and return it."""
    words = tokenizer()
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(
        config(words, kv_heads=kv_heads, side=side, width=width)
    ).eval()
    with torch.no_grad():  # as wide as a trained model's, so that rounding does not decide
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "vqmodel" not in name:
                parameter.normal_(std=0.2)
    model.generation_config.bos_token_id = words.bos_token_id
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    model.generation_config.generation_kwargs = {
        "boi_token_id": words.convert_tokens_to_ids("<begin_of_image>")
    }
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "JanusImageProcessor",
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "min_size": 14,
        "rescale_factor": 1 / 255,
        "size": {"height": side, "width": side},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return model


_ORIGINAL = """
lm_head = language_model.lm_head
model.language_model = language_model.model
model.vision_model.embeddings.patch_embedding = vision_model.vision_tower.patch_embed.proj
model.vision_model.embeddings.position_embedding.weight = vision_model.vision_tower.pos_embed
model.vision_model.post_layernorm = vision_model.vision_tower.norm
model.vision_model.encoder.layers.N.self_attn.projection_layer = \
vision_model.vision_tower.blocks.N.attn.proj
model.vision_model.encoder.layers.N.self_attn = vision_model.vision_tower.blocks.N.attn
model.vision_model.encoder.layers.N.layer_norm = vision_model.vision_tower.blocks.N.norm
model.vision_model.encoder.layers = vision_model.vision_tower.blocks
model.aligner.fc1 = aligner.layers.0
model.aligner.hidden_layers.0 = aligner.layers.2
model.generation_aligner.fc1 = gen_aligner.layers.0
model.generation_aligner.hidden_layers.0 = gen_aligner.layers.2
model.generation_head.proj_out = gen_head.output_mlp_projector
model.generation_head = gen_head
model.generation_embeddings = gen_embed
model.vqmodel.decoder.mid.block_1 = gen_vision_model.decoder.mid.0
model.vqmodel.decoder.mid.attn_1 = gen_vision_model.decoder.mid.1
model.vqmodel.decoder.mid.block_2 = gen_vision_model.decoder.mid.2
model.vqmodel.decoder.up.N.block = gen_vision_model.decoder.conv_blocks.N.res
model.vqmodel.decoder.up = gen_vision_model.decoder.conv_blocks
model.vqmodel = gen_vision_model
"""
"""How names of transformers' layout begin, and what that is in the original one."""


def _original_name(name: str) -> str:
    for line in _ORIGINAL.strip().splitlines():
        begin, _, original = line.partition(" = ")
        match = re.match(re.escape(begin).replace("N", r"(\d+)"), name)
        if match:
            return original.replace("N", "".join(match.groups())) + name[match.end() :]
    raise KeyError(name)


def original_tensors(model: JanusForConditionalGeneration) -> dict[str, Tensor]:
    """The same tensors as deepseek-ai's files have them, their unused extras included."""
    named: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        named[_original_name(name)] = tensor
    for block in range(model.config.vision_config.num_hidden_layers):
        for kind in ("weight", "bias"):
            prefix = f"vision_model.vision_tower.blocks.{block}.attn."
            parts = [named.pop(f"{prefix}{part}_proj.{kind}") for part in "qkv"]
            named[f"{prefix}qkv.{kind}"] = torch.cat(parts)
    position = "vision_model.vision_tower.pos_embed"
    named[position] = named[position][None]
    named["vision_model.vision_tower.attn_pool.latent"] = torch.zeros(1, 1, 32)
    named["gen_vision_model.quantize.codebook_used"] = torch.zeros(65536)
    return named


def original_config(model: JanusForConditionalGeneration) -> dict[str, Any]:
    """`config.json` of the original layout. It cannot say how narrow the parts of pictures are."""
    text = model.config.text_config
    return {
        "model_type": "multi_modality",
        "aligner_config": {"params": {"depth": 2, "n_embed": text.hidden_size}},
        "gen_aligner_config": {"params": {"depth": 2, "n_embed": text.hidden_size}},
        "gen_head_config": {
            "params": {"image_token_embed": text.hidden_size, "image_token_size": CODES}
        },
        "gen_vision_config": {"params": {"image_token_size": CODES, "n_embed": 8}},
        "language_config": {
            "model_type": "llama",
            "vocab_size": text.vocab_size,
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "num_hidden_layers": text.num_hidden_layers,
            "num_attention_heads": text.num_attention_heads,
            "num_key_value_heads": text.num_key_value_heads,
            "max_position_embeddings": text.max_position_embeddings,
        },
        "vision_config": {"params": {"image_size": SIDE, "model_name": "siglip_large_patch16_384"}},
    }


def write_bin(folder: Path, tensors: dict[str, Tensor], *, files: int = 1) -> None:
    """Write tensors as torch pickles, in several files with an index if so asked."""
    if files == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    names = sorted(tensors)
    places: dict[str, str] = {}
    for number in range(files):
        file = f"pytorch_model-{number + 1:05}-of-{files:05}.bin"
        own = names[number::files]
        torch.save({name: tensors[name] for name in own}, folder / file)
        places |= dict.fromkeys(own, file)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": places}))


def write_safetensors(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(
        {name: t.contiguous().clone() for name, t in tensors.items()}, folder / "model.safetensors"
    )
