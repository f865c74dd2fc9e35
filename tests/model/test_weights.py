"""From files to weights: both layouts, and files that are not what they should be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bot.space.janus.prompts import Prompts
from bot.space.janus.shape import PUBLISHED, ModelUnusable, read_shape, shape_of
from bot.space.janus.weights import TensorFiles, load
from tests.model import tiny
from tests.model.running import TinyModel

CPU = torch.device("cpu")


def hidden(model: TinyModel, folder: Path, *, is_original: bool) -> torch.Tensor:
    """What the weights of a folder make of a prompt and a picture."""
    # The original configuration cannot say how narrow this model is; its sizes are known here.
    shape = replace(model.shape, is_original=is_original)
    weights = load(folder, shape, "float32", CPU)
    language = weights.language
    with torch.inference_mode():
        words = language.embed(torch.arange(40)[None])
        picture = weights.vision(torch.linspace(-1, 1, 3 * 48 * 48).view(1, 3, 48, 48))
        inputs = torch.cat((words, picture), dim=1)
        read = language.read(inputs, language.cache(1, 80), 0, 0)
        drawn = weights.pixels.decoder(torch.linspace(-1, 1, 32 * 9).view(1, 32, 3, 3))
        scores = language.picture_head.scores(read)
        return torch.cat((read.flatten(), drawn.flatten(), scores.flatten()))


@pytest.mark.parametrize("files", [1, 3])
def test_both_layouts_are_the_same_model(tiny_model: TinyModel, tmp_path: Path, files: int) -> None:
    """The original names, split and merged tensors, in one pickle or several."""
    tensors = tiny.original_tensors(tiny_model.reference)
    tiny.write_bin(tmp_path, tensors, files=files)
    expected = hidden(tiny_model, tiny_model.folder, is_original=False)
    assert torch.equal(hidden(tiny_model, tmp_path, is_original=True), expected)


def test_the_original_layout_as_safetensors(tiny_model: TinyModel, tmp_path: Path) -> None:
    """People convert the files and keep the names."""
    tiny.write_safetensors(tmp_path, tiny.original_tensors(tiny_model.reference))
    expected = hidden(tiny_model, tiny_model.folder, is_original=False)
    assert torch.equal(hidden(tiny_model, tmp_path, is_original=True), expected)


def test_the_original_configuration_of_the_published_models() -> None:
    """What it leaves out is what the published models have."""
    for hidden_size, layers, heads, inner, name in (
        (2048, 24, 16, 5632, "deepseek-community/Janus-Pro-1B"),
        (4096, 30, 32, 11008, "deepseek-community/Janus-Pro-7B"),
    ):
        original = {
            "model_type": "multi_modality",
            "aligner_config": {"params": {"depth": 2, "n_embed": hidden_size}},
            "gen_aligner_config": {"params": {"depth": 2, "n_embed": hidden_size}},
            "gen_head_config": {
                "params": {"image_token_embed": hidden_size, "image_token_size": 16384}
            },
            "gen_vision_config": {"params": {"image_token_size": 16384, "n_embed": 8}},
            "language_config": {
                "model_type": "llama",
                "hidden_size": hidden_size,
                "intermediate_size": inner,
                "num_attention_heads": heads,
                "num_hidden_layers": layers,
                "max_position_embeddings": 16384,
                "vocab_size": 102400,
            },
            "vision_config": {
                "params": {"image_size": 384, "model_name": "siglip_large_patch16_384"}
            },
        }
        shape = shape_of(original, "original")
        published = shape_of(dict(PUBLISHED[name]), name)
        assert replace(shape, is_original=False) == published
        assert published.image_tokens == 576


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("deepseek-community/Janus-Pro-1B", 2_047_336_579),
        ("deepseek-community/Janus-Pro-7B", 7_378_473_091),
    ],
)
def test_counts_parameters(name: str, parameters: int) -> None:
    """All but those of the encoder that only training needs."""
    from transformers import JanusConfig, JanusForConditionalGeneration  # noqa: PLC0415

    given = PUBLISHED[name]
    config = JanusConfig(
        text_config={"model_type": "llama", **given["text_config"]},
        vision_config=given["vision_config"],
        vq_config=given["vq_config"],
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        model = JanusForConditionalGeneration(config)
    unused = ("vqmodel.encoder", "vqmodel.quant_conv")
    counted = sum(
        tensor.numel()
        for part, tensor in model.named_parameters()
        if not any(each in part for each in unused)
    )
    assert shape_of(dict(given), name).parameters == counted == parameters


def test_counts_the_parameters_of_the_tiny_model(tiny_model: TinyModel) -> None:
    """Other widths, other depths: the count is not a table."""
    counted = sum(
        tensor.numel()
        for part, tensor in tiny_model.reference.named_parameters()
        if "vqmodel.encoder" not in part and "vqmodel.quant_conv" not in part
    )
    assert tiny_model.shape.parameters == counted


class Evil:
    """Runs something when it is unpickled in the usual way."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path("evil").touch, ()  # type: ignore[return-value]


def _index(folder: Path, file: str) -> None:
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": file}}))


def _pickle(folder: Path, what: object, *, cut: int = 0) -> None:
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    torch.save(what, file)
    file.write_bytes(file.read_bytes()[: -cut or None])


def _weights(folder: Path, change: Callable[[bytes], bytes]) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(change(file.read_bytes()))


def _outside(folder: Path) -> None:
    (folder.parent / "other.safetensors").touch()
    _index(folder, "../other.safetensors")


def _wider(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    config["text_config"]["intermediate_size"] = 80
    (folder / "config.json").write_text(json.dumps(config))


def _other_tokenizer(folder: Path) -> None:
    for file in (folder / "tokenizer.json", folder / "tokenizer_config.json"):
        file.write_text(file.read_text().replace("begin_of_image", "no_image"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda f: _weights(f, lambda data: data[:-1000]), "is cut or damaged"),
    "head only": (lambda f: _weights(f, lambda data: data[:4]), "is cut or damaged"),
    "a page": (lambda f: _weights(f, lambda _: b"<!doctype html><p>Not found"), "cut or damaged"),
    "gone": (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    "pickle cut": (
        lambda f: _pickle(f, {"a": torch.zeros(99)}, cut=99),
        "pytorch_model.bin is cut",
    ),
    "pickle that runs": (lambda f: _pickle(f, {"a": Evil()}), "holds more than tensors"),
    "pickle of a list": (lambda f: _pickle(f, [1, 2]), "holds no tensors by name"),
    "part missing": (lambda f: _index(f, "model-2.safetensors"), "lacks model-2.safetensors"),
    "names elsewhere": (_outside, "outside"),
    "tensor missing": (
        lambda f: tiny.write_safetensors(f, {"lm_head.weight": torch.zeros(306, 32)}),
        "tensors, the first of them model",
    ),
    "of another size": (_wider, "not of one model"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "another model": (
        lambda f: (f / "config.json").write_text('{"model_type": "llama"}'),
        "not a Janus-Pro model",
    ),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    "another tokenizer": (_other_tokenizer, "begin_of_image"),
}


def loaded(folder: Path) -> None:
    shape = read_shape(folder)
    Prompts(folder)
    load(folder, shape, "float32", CPU)


@pytest.mark.parametrize("how", DAMAGES)
def test_says_what_is_wrong_with_the_files(
    tiny_model: TinyModel, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence that names the file, before memory is taken; nothing in a file is run."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    shutil.copytree(tiny_model.folder, folder)
    damage, told = DAMAGES[how]
    damage(folder)
    with pytest.raises(ModelUnusable, match=told):
        loaded(folder)
    assert not (tmp_path / "evil").exists()


def test_files_are_closed(tiny_model: TinyModel) -> None:
    """Nothing is held open once everything is read."""
    with TensorFiles(tiny_model.folder, is_original=False) as files:
        assert files.read("lm_head.weight").shape == (306, 32)
    with pytest.raises(KeyError):
        files.read("lm_head.weight")


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.1), ("int8", 0.1), ("int4", 0.6)])
def test_smaller_types_are_close(tiny_model: TinyModel, dtype: str, tolerance: float) -> None:
    """What the model makes of a prompt is off by their rounding, and no more."""
    small = load(tiny_model.folder, tiny_model.shape, dtype, CPU).language
    exact = tiny_model.weights.language
    with torch.inference_mode():
        words = torch.arange(40)[None]
        read = small.read(small.embed(words), small.cache(1, 40), 0, 0).float()
        expected = exact.read(exact.embed(words), exact.cache(1, 40), 0, 0)
    off = (read - expected).norm() / expected.norm()
    assert off < tolerance
