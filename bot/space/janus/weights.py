"""From files to weights: checked first, then read once, each tensor straight into its place.

Two layouts hold the same tensors under other names: that of transformers (safetensors) and the
original one (pickled by torch, read without running anything that is in the files). What is
missing, cut or foreign is named before memory is taken. Reading pictures (SigLIP) and drawing
pixels (the VQ decoder) are transformers' own modules; the language model is that of `step`.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import JanusVisionConfig, JanusVisionModel, JanusVQVAE, JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVisionAlignerMLP, JanusVQVAEAlignerMLP

from bot.space.janus.products import Choice, Product, fastest
from bot.space.janus.shape import ModelUnusable, Shape
from bot.space.janus.step import LanguageModel, Layer, PictureHead, rotations

Read: TypeAlias = Callable[[], Tensor]
Size: TypeAlias = tuple[int, ...]

_RENAMED = (
    (r"vision_model\.vision_tower\.patch_embed\.proj", "vision_model.embeddings.patch_embedding"),
    (r"vision_model\.vision_tower\.pos_embed", "vision_model.embeddings.position_embedding.weight"),
    (r"vision_model\.vision_tower\.norm", "vision_model.post_layernorm"),
    (
        r"vision_model\.vision_tower\.blocks\.(\d+)\.norm",
        r"vision_model.encoder.layers.\1.layer_norm",
    ),
    (
        r"vision_model\.vision_tower\.blocks\.(\d+)\.attn\.proj",
        r"vision_model.encoder.layers.\1.self_attn.projection_layer",
    ),
    (
        r"vision_model\.vision_tower\.blocks\.(\d+)\.attn",
        r"vision_model.encoder.layers.\1.self_attn",
    ),
    (r"vision_model\.vision_tower\.blocks", "vision_model.encoder.layers"),
    (r"aligner\.layers\.0", "aligner.fc1"),
    (r"aligner\.layers\.2", "aligner.hidden_layers.0"),
    (r"gen_aligner\.layers\.0", "generation_aligner.fc1"),
    (r"gen_aligner\.layers\.2", "generation_aligner.hidden_layers.0"),
    (r"gen_head\.output_mlp_projector", "generation_head.proj_out"),
    (r"gen_head", "generation_head"),
    (r"gen_embed", "generation_embeddings"),
    (r"gen_vision_model\.decoder\.conv_blocks\.(\d+)\.res", r"vqmodel.decoder.up.\1.block"),
    (r"gen_vision_model\.decoder\.conv_blocks", "vqmodel.decoder.up"),
    (r"gen_vision_model\.decoder\.mid\.0", "vqmodel.decoder.mid.block_1"),
    (r"gen_vision_model\.decoder\.mid\.1", "vqmodel.decoder.mid.attn_1"),
    (r"gen_vision_model\.decoder\.mid\.2", "vqmodel.decoder.mid.block_2"),
    (r"gen_vision_model", "vqmodel"),
    (r"language_model\.model", "language_model"),
)
"""How names of the original layout begin, and what that is in transformers' one, after `model.`."""


class TensorFiles:
    """All tensors of a model's folder, by their names in transformers' layout; not yet read.

    Args:
        folder: with `*.safetensors` or `pytorch_model*.bin`, perhaps in several files.
        is_original: the names are those of the original layout.

    Raises:
        ModelUnusable: a file is missing or cut, or is nothing of the kind.
    """

    def __init__(self, folder: Path, *, is_original: bool) -> None:
        self._opened = ExitStack()
        self._tensors: dict[str, tuple[Size, Read]] = {}
        self._folder = folder
        for file in _files(folder):
            found = self._safetensors(file) if file.suffix == ".safetensors" else _pickled(file)
            for name, size, read in found:
                if is_original:
                    self._tensors.update(_known_as(name, size, read))
                else:
                    self._tensors[name] = size, read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tensors.clear()
        self._opened.close()

    def check(self, wanted: Mapping[str, Size]) -> None:
        """See that all of these are there, and of these sizes.

        Raises:
            ModelUnusable: with the name of the first that is not.
        """
        missing = [name for name in wanted if name not in self._tensors]
        if missing:
            raise ModelUnusable(
                f"{self._folder} lacks {len(missing)} of {len(wanted)} tensors, the first of them "
                f"{missing[0]}. Was the whole model downloaded?"
            )
        for name, size in wanted.items():
            if self._tensors[name][0] != size:
                raise ModelUnusable(
                    f"{name} in {self._folder} has the size {self._tensors[name][0]}, and "
                    f"config.json asks for {size}: the files are not of one model."
                )

    def read(self, name: str) -> Tensor:
        """One tensor, in the type of the file and in the processor's memory."""
        return self._tensors[name][1]()

    def _safetensors(self, file: Path) -> Iterator[tuple[str, Size, Read]]:
        try:
            opened = self._opened.enter_context(safe_open(file, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise ModelUnusable(f"{file.name} is cut or damaged. Download it again.") from error
        for name in opened.keys():  # noqa: SIM118 - it is no mapping
            size = tuple(opened.get_slice(name).get_shape())
            yield name, size, partial(opened.get_tensor, name)


def _pickled(file: Path) -> Iterator[tuple[str, Size, Read]]:
    if not zipfile.is_zipfile(file):  # its table of contents is at its end
        raise ModelUnusable(f"{file.name} is cut, or no file of torch. Download it again.")
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError as error:
        raise ModelUnusable(
            f"{file.name} holds more than tensors, and what it holds is not run."
        ) from error
    except (RuntimeError, OSError, ValueError, EOFError) as error:
        raise ModelUnusable(f"{file.name} is cut or damaged. Download it again.") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ModelUnusable(f"{file.name} holds no tensors by name.")
    for name, tensor in tensors.items():
        yield str(name), tuple(tensor.shape), tensor.clone


def _files(folder: Path) -> list[Path]:
    """The files that hold the tensors, by their index if there is one."""
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if index.exists():
            try:
                names = set(json.loads(index.read_bytes())["weight_map"].values())
            except (OSError, ValueError, KeyError, AttributeError) as error:
                raise ModelUnusable(f"{index.name} cannot be read. Download it again.") from error
            files = [folder / str(name) for name in sorted(names)]
            if missing := [file.name for file in files if not file.is_file()]:
                raise ModelUnusable(f"{folder} lacks {', '.join(missing)}. Download it again.")
            if any(file.parent != folder for file in files):
                raise ModelUnusable(f"{index.name} names files outside of {folder}.")
            return files
        if (folder / whole).is_file():
            return [folder / whole]
    raise ModelUnusable(
        f"There are no weights in {folder}: model.safetensors or pytorch_model.bin."
    )


def _known_as(name: str, size: Size, read: Read) -> dict[str, tuple[Size, Read]]:
    """What a tensor of the original layout is in transformers' one; several where it is split."""
    if name == "language_model.lm_head.weight":
        return {"lm_head.weight": (size, read)}
    for pattern, known in _RENAMED:
        begin = re.match(rf"{pattern}(?=\.|\d|$)", name)
        if begin is None:
            continue
        new = f"model.{begin.expand(known)}{name[begin.end() :]}"
        if name.endswith("pos_embed"):  # with a dimension for the batch
            return {new: (size[1:], lambda: read()[0])}
        if ".qkv." not in new:
            return {new: (size, read)}
        third = size[0] // 3
        return {
            new.replace(".qkv.", f".{part}_proj."): (
                (third, *size[1:]),
                partial(_third, read, place * third, third),
            )
            for place, part in enumerate("qkv")
        }
    return {}


def _third(read: Read, begin: int, count: int) -> Tensor:
    return read()[begin : begin + count].clone()


@dataclass(frozen=True, slots=True)
class Weights:
    """Everything that is loaded.

    Attributes:
        language: reads, answers and chooses picture tokens.
        vision: reads a picture (1, 3, side, side) to (1, tokens, hidden).
        pixels: its `post_quant_conv` and `decoder` make pixels of codes.
        choice: the form of matrix products that was found the fastest.
    """

    language: LanguageModel
    vision: nn.Module
    pixels: nn.Module
    choice: Choice


class Vision(nn.Module):  # type: ignore[misc] # Any where there is no torch
    """SigLIP and the projection behind it."""

    def __init__(self, config: JanusVisionConfig) -> None:
        super().__init__()
        self.vision_model = JanusVisionModel(config)
        self.aligner = JanusVisionAlignerMLP(config)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.aligner(self.vision_model(pixel_values=pixels).last_hidden_state)
        return features


def load(
    folder: Path,
    shape: Shape,
    dtype: str,
    device: torch.device,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Weights:
    """Read a model.

    Args:
        folder: its files.
        shape: of it.
        dtype: `"float32"`, `"bfloat16"`, `"float16"`, or `"int8"` or `"int4"` for the layers of
            the language model; the rest is bfloat16 then.
        device: where the weights go.
        report: called with how many of how many layers are read; raises to give up.

    Raises:
        ModelUnusable: the files are not those of this model, or not whole.
    """
    kind = torch.bfloat16 if dtype in {"int8", "int4"} else getattr(torch, dtype)
    # What reads and draws pictures runs once for each; processors are slow at anything else.
    exact = torch.float32 if device.type == "cpu" else kind
    with torch.device("meta"):
        vision = Vision(JanusVisionConfig(**_named(JanusVisionConfig, shape.vision)))
        vq = JanusVQVAEConfig(**_named(JanusVQVAEConfig, shape.vq), num_patches=shape.grid)
        drawing = JanusVQVAE(vq)
        drawing.encoder, drawing.quant_conv = nn.Identity(), nn.Identity()  # are for training
        align = JanusVQVAEAlignerMLP(vq)
    parts = {
        "model.": (vision, exact),
        "model.vqmodel.": (drawing, exact),
        "model.generation_aligner.": (align, kind),
    }
    with TensorFiles(folder, is_original=shape.is_original) as files:
        files.check(
            {
                prefix + name: tuple(tensor.shape)
                for prefix, (module, _) in parts.items()
                for name, tensor in module.state_dict().items()
            }
            | _language_sizes(shape)
        )
        for prefix, (module, part_kind) in parts.items():
            _fill(module, prefix, files, _into(device, part_kind))
        reader = _LanguageReader(files, shape, dtype, _into(device, kind))
        language = reader.read(align, report)
    # The one thing that is in no file.
    places = torch.arange(shape.image_tokens, device=device).expand((1, -1))
    vision.vision_model.embeddings.position_ids = places
    return Weights(language, vision.eval(), drawing.eval(), reader.choice)


def _into(device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Brings a tensor of a file to its place. Always a copy: nothing may hold on to the file."""
    return partial(Tensor.to, device=device, dtype=dtype, copy=True)


def _named(config: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration the class knows: files of other versions may say more."""
    known = set(config.__dataclass_fields__)  # type: ignore[attr-defined]
    return {name: value for name, value in values.items() if name in known - {"num_patches"}}


def _fill(
    module: nn.Module, prefix: str, files: TensorFiles, convert: Callable[[Tensor], Tensor]
) -> None:
    state = {name: convert(files.read(prefix + name)) for name in module.state_dict()}
    module.load_state_dict(state, assign=True)
    module.requires_grad_(requires_grad=False)


_TEXT = "model.language_model."


def _language_sizes(shape: Shape) -> dict[str, Size]:
    wide, narrow = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    sizes: dict[str, Size] = {
        f"{_TEXT}embed_tokens.weight": (shape.vocab, shape.hidden),
        f"{_TEXT}norm.weight": (shape.hidden,),
        "lm_head.weight": (shape.vocab, shape.hidden),
        "model.generation_embeddings.weight": (shape.image_vocab, shape.image_embed),
        "model.generation_head.proj_out.weight": (shape.image_projection, shape.hidden),
        "model.generation_head.proj_out.bias": (shape.image_projection,),
        "model.generation_head.vision_head.weight": (shape.image_vocab, shape.image_projection),
        "model.generation_head.vision_head.bias": (shape.image_vocab,),
    }
    for layer in range(shape.layers):
        name = f"{_TEXT}layers.{layer}."
        sizes |= {
            f"{name}input_layernorm.weight": (shape.hidden,),
            f"{name}post_attention_layernorm.weight": (shape.hidden,),
            f"{name}self_attn.q_proj.weight": (wide, shape.hidden),
            f"{name}self_attn.k_proj.weight": (narrow, shape.hidden),
            f"{name}self_attn.v_proj.weight": (narrow, shape.hidden),
            f"{name}self_attn.o_proj.weight": (shape.hidden, wide),
            f"{name}mlp.gate_proj.weight": (shape.intermediate, shape.hidden),
            f"{name}mlp.up_proj.weight": (shape.intermediate, shape.hidden),
            f"{name}mlp.down_proj.weight": (shape.hidden, shape.intermediate),
        }
    return sizes


class _LanguageReader:
    """Reads the language model layer by layer, so that no more than one is there twice."""

    def __init__(
        self, files: TensorFiles, shape: Shape, dtype: str, convert: Callable[[Tensor], Tensor]
    ) -> None:
        self._files, self._shape, self._convert = files, shape, convert
        # The largest product of a layer decides for all. The heads keep their precision.
        widest = self._matrix(f"{_TEXT}layers.0.mlp.gate_proj", f"{_TEXT}layers.0.mlp.up_proj")
        self.choice = fastest(widest, dtype)
        self._heads = fastest(widest, "") if dtype in {"int8", "int4"} else self.choice

    def read(self, align: nn.Module, report: Callable[[int, int], None]) -> LanguageModel:
        total = self._shape.layers
        layers = []
        for number in range(total):
            report(number, total)
            layers.append(self._layer(f"{_TEXT}layers.{number}."))
        head = "model.generation_head."
        embedding = self._vector(f"{_TEXT}embed_tokens")
        return LanguageModel(
            shape=self._shape,
            embedding=embedding,
            layers=layers,
            norm=self._vector(f"{_TEXT}norm"),
            text_head=self._heads.of(self._matrix("lm_head")),
            picture_head=PictureHead(
                inner=self._heads.of(self._matrix(f"{head}proj_out")),
                inner_bias=self._vector(f"{head}proj_out", "bias"),
                outer=self._heads.of(self._matrix(f"{head}vision_head")),
                outer_bias=self._vector(f"{head}vision_head", "bias"),
                embedding=self._vector("model.generation_embeddings"),
                align=align,
            ),
            rotations=rotations(self._shape, self._shape.max_positions, embedding.device),
        )

    def _layer(self, name: str) -> Layer:
        attention, feed = f"{name}self_attn.", f"{name}mlp."
        return Layer(
            attention_norm=self._vector(f"{name}input_layernorm"),
            qkv=self._product(*(f"{attention}{part}_proj" for part in "qkv")),
            out=self._product(f"{attention}o_proj"),
            feed_norm=self._vector(f"{name}post_attention_layernorm"),
            gate_up=self._product(f"{feed}gate_proj", f"{feed}up_proj"),
            down=self._product(f"{feed}down_proj"),
        )

    def _product(self, *names: str) -> Product:
        return self.choice.of(self._matrix(*names))

    def _matrix(self, *names: str) -> Tensor:
        parts = [self._convert(self._files.read(f"{name}.weight")) for name in names]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _vector(self, name: str, kind: str = "weight") -> Tensor:
        return self._convert(self._files.read(f"{name}.{kind}"))
