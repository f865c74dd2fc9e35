"""Janus-Pro on this machine: the engine beside the original demo's loop and transformers' own.

    python benchmarks/serving.py [--model 1b] [--layers 24] [--device cpu] [--dtype float32]
                                 [--folder DIR] [--quick]

Random weights of the true shape, the same files for all three, each in a process of its own: what
a step costs does not depend on what the weights are. A step is one token of every row, with 300
tokens before it, about half of a drawing's way; nobody waits here for whole drawings, of which the
reference makes one in eight minutes on two cores. It needs torch: `make test-model` has an
environment with it. About 18 GB of memory and five minutes for the 1B model in float32.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from _support import Figure, verdict

CONTEXT = 300
"""Tokens before the step that is measured."""
PICTURES = 5
ANSWER_TOKENS = 24
_PROMPT = 32


def main() -> int:
    options = _options()
    if options.only:
        print(json.dumps(globals()[f"measure_{options.only}"](options)))
        return 0
    with tempfile.TemporaryDirectory(prefix="janus-serving-") as scratch:
        folder = options.folder or Path(scratch)
        if not (folder / "config.json").exists():
            print(f"Writing random weights of the {options.model} shape to {folder} …", flush=True)
            write_random(folder, options.model, options.layers)
        found = {kind: _measured(kind, folder, options) for kind in _KINDS}
    return report(found, options)


_KINDS = ("engine", "reference", "transformers")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", choices=("1b", "7b"), default="1b")
    parser.add_argument("--layers", type=int, default=0, help="0: as many as the model has")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", help="of the engine; int8 too")
    parser.add_argument("--folder", type=Path, help="keep the random weights here")
    parser.add_argument("--quick", action="store_true", help="fewer steps; proves little")
    parser.add_argument("--only", choices=_KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured(kind: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own, whose memory begins empty."""
    print(f"{kind} …", flush=True)
    command = [sys.executable, __file__, "--only", kind, "--folder", str(folder)]
    command += ["--device", options.device, "--dtype", options.dtype]
    command += ["--quick"] if options.quick else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - this script
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def write_random(folder: Path, model: str, layers: int) -> None:
    """Weights of the true shape in bfloat16, as wide as trained ones, with a tokenizer."""
    import torch  # noqa: PLC0415 - not in the parent process
    from safetensors.torch import save_file  # noqa: PLC0415 - same
    from transformers import JanusConfig, JanusForConditionalGeneration  # noqa: PLC0415 - same

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from bot.space.janus.shape import PUBLISHED  # noqa: PLC0415 - same
    from tests.model.tiny import tokenizer  # noqa: PLC0415 - same

    given = PUBLISHED[f"deepseek-community/Janus-Pro-{model.upper()}"]
    text = {"model_type": "llama", **given["text_config"]}
    words = tokenizer()
    config = JanusConfig(
        text_config=text | ({"num_hidden_layers": layers} if layers else {}),
        vision_config=given["vision_config"],
        vq_config=given["vq_config"],
        tie_word_embeddings=False,
        image_token_id=words.convert_tokens_to_ids("<image_placeholder>"),
    )
    with torch.device("meta"):
        shell = JanusForConditionalGeneration(config)
    source = torch.Generator().manual_seed(0)
    tensors = {}
    for name, tensor in shell.state_dict().items():
        if tensor.dim() > 1:
            drawn = torch.randn(tensor.shape, generator=source, dtype=torch.bfloat16)
            tensors[name] = drawn * 0.02
        else:
            is_scale = "norm" in name and name.endswith("weight")
            tensors[name] = torch.full(tensor.shape, float(is_scale), dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors")
    config.save_pretrained(folder)
    words.save_pretrained(folder)


# Each of the three, in a process of its own.


def measure_engine(options: argparse.Namespace) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - the parent process does without
    from PIL import Image  # noqa: PLC0415 - same

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from bot.space.janus.engine import load  # noqa: PLC0415 - same
    from bot.space.janus.plan import Wishes  # noqa: PLC0415 - same
    from bot.space.janus.shape import read_shape  # noqa: PLC0415 - same
    from bot.space.model import look  # noqa: PLC0415 - same

    rounds = 4 if options.quick else 12
    wishes = Wishes(model=str(options.folder), device=options.device, dtype=options.dtype)
    plan = look(wishes)
    # Room for four drawings at once, even where the plan would let fewer in.
    roomy = replace(plan, drawing_rows=8 * PICTURES, picture_positions=CONTEXT + 100)
    shape, bytes_each = read_shape(options.folder), 4 if plan.dtype == "float32" else 2
    more = [
        shape.cache_bytes(each.drawing_rows, each.picture_positions, bytes_each)
        for each in (plan, roomy)
    ]
    engine = load(options.folder, roomy, lambda _: None)
    loop = engine._loop  # noqa: SLF001 - its parts are measured one by one
    batch = loop._batch  # noqa: SLF001 - same
    found: dict[str, Any] = {"device": _device_name(torch, options.device), "dtype": plan.dtype}
    with torch.inference_mode():
        for pictures in (1, PICTURES, 2 * PICTURES, 4 * PICTURES):
            found[f"step {2 * pictures}"] = _steps(torch, batch, [pictures], rounds)
        # Several requests are never equally far.
        for requests in (1, 2, 4):
            found[f"requests {requests}"] = _steps(torch, batch, [PICTURES] * requests, rounds)
        found |= _beside_its_products(torch, batch, rounds)
        if options.device.startswith("cuda"):
            found |= _on_a_card(torch, batch)
        drawer = loop._drawer  # noqa: SLF001 - same
        tokens = torch.zeros(576, dtype=torch.long)
        found["pixels"] = _best(lambda: drawer.draw(tokens), 2)
        found["pixels of 6 rows"] = _best(lambda: drawer.draw(tokens[:144]), 2)
    image = Image.effect_noise((640, 480), 60).convert("RGB")
    found |= _questions(engine, image)
    found["memory"] = _memory(torch, options.device)
    # Pictures are remembered up to a budget, of which one was used here.
    unused = plan.remembered_bytes - loop._remembered.bytes  # noqa: SLF001 - as above
    found["planned"] = plan.memory_needed - more[0] + more[1] - unused
    engine.close()
    return found


def _steps(torch: Any, batch: Any, groups: list[int], rounds: int) -> float:
    """Seconds of one step; the groups are 50 tokens apart."""
    from bot.space.janus.batch import PictureRows  # noqa: PLC0415 - needs torch
    from bot.space.janus.pictures import generator, noise  # noqa: PLC0415 - same

    device, vocab = batch.model.embedding.device, batch.model.shape.image_vocab
    joined = []
    for number, count in enumerate(groups):
        source = generator(number, device)
        group = PictureRows(
            count,
            5.0,
            1.0,
            functools.partial(noise, source, count, vocab),
            CONTEXT - 50 * number,
            torch.zeros(count, dtype=torch.long, device=device),
        )
        batch.add_pictures(group, ())
        joined.append(group)
    seconds: float = _best(batch.step, rounds) / batch.steps
    for group in joined:
        batch.remove_pictures(group)
    return seconds


def _beside_its_products(torch: Any, batch: Any, rounds: int) -> dict[str, float]:
    """A step of ten rows and its products by turns, so that both meet the same machine."""
    steps, products = [], []
    for _ in range(3):
        steps.append(_steps(torch, batch, [PICTURES], rounds // 2))
        products.append(_products(torch, batch, 2 * PICTURES, rounds // 2))
    return {"step beside products": min(steps), "products": min(products)}


def _products(torch: Any, batch: Any, rows: int, rounds: int) -> float:
    """Seconds of a step's matrix products alone, attention's among them."""
    model, cache = batch.model, batch.picture_cache
    shape = model.shape
    like = model.embedding
    hidden = like.new_ones((rows, shape.hidden))
    wide = like.new_ones((rows, shape.heads * shape.head_dim))
    inner = like.new_ones((rows, shape.intermediate))
    queries = like.new_ones((rows, shape.heads, 1, shape.head_dim))

    def all_of_them() -> None:
        for number, layer in enumerate(model.layers):
            layer.qkv(hidden)
            torch.nn.functional.scaled_dot_product_attention(
                queries,
                cache.keys[number][:rows, :, :CONTEXT],
                cache.values[number][:rows, :, :CONTEXT],
            )
            layer.out(wide)
            layer.gate_up(hidden)
            layer.down(inner)
        model.picture_head.scores(hidden)
        if like.device.type == "cuda":
            torch.cuda.synchronize()

    return _best(all_of_them, rounds)


def _on_a_card(torch: Any, batch: Any) -> dict[str, float]:
    """What a step of ten rows moves, what the card copies in a second, what a step allocates."""
    shape, each = batch.model.shape, batch.model.embedding.element_size()
    moved = (shape.layer_parameters + shape.picture_head_parameters) * each
    moved += shape.cache_bytes(2 * PICTURES, CONTEXT, each)
    source = torch.empty(2**31, dtype=torch.uint8, device=batch.model.embedding.device)
    target = torch.empty_like(source)

    def copied(source: Any, target: Any) -> None:
        target.copy_(source)
        torch.cuda.synchronize()

    copy = functools.partial(copied, source, target)
    bandwidth = 2 * source.nbytes / _best(copy, 10)
    del source, target, copy
    _steps(torch, batch, [PICTURES], 1)
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    _steps(torch, batch, [PICTURES], 16)
    allocated = torch.cuda.memory_stats()["allocation.all.allocated"] - before
    return {"moved": moved, "bandwidth": bandwidth, "allocations": allocated / 16 / batch.steps}


def _questions(engine: Any, image: Any) -> dict[str, float]:
    """A first question about a picture and a second one: time to the first word, words a second."""
    from bot.space.engine import Caller  # noqa: PLC0415 - the parent process does without
    from bot.space.janus.remembered import key_of  # noqa: PLC0415 - same
    from bot.space.janus.requests import Answer  # noqa: PLC0415 - same

    found: dict[str, float] = {}
    for which in ("first", "second"):
        before, after = [1, *range(5, 36)], [*range(5, 37)]  # 64 tokens, as for the reference
        times: list[float] = []
        ended = threading.Event()

        def send(event: Any, times: list[float] = times, ended: threading.Event = ended) -> None:
            if isinstance(event, list):
                times.extend([time.perf_counter()] * len(event))
            if event is None:
                ended.set()

        begun = time.perf_counter()
        pixels = engine._reader.pixels(image)  # noqa: SLF001 - as above
        engine._loop.submit(  # noqa: SLF001 - as above
            Answer(
                *(Caller(), 1, 0.1, send, before, pixels, after, key_of("", image), 0.95),
                *(ANSWER_TOKENS, frozenset()),
            )
        )
        ended.wait(600)
        found[f"{which} word"] = times[0] - begun
        found["answer step"] = (times[-1] - times[0]) / (len(times) - 1)
    return found


def measure_reference(options: argparse.Namespace) -> dict[str, Any]:
    """The original demo's loop: eager attention, a cache that grows, conditional rows between."""
    import torch  # noqa: PLC0415 - as above

    model = _transformers_model(options, "eager")
    language, device = model.model.language_model, model.device
    rounds = 3 if options.quick else 6
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for pictures in (1, PICTURES):
            rows = 2 * pictures
            cache = _filled_cache(torch, model, rows)
            token = torch.zeros(rows, dtype=torch.long, device=device)
            times = []
            for _ in range(rounds):
                begun = time.perf_counter()
                inputs = model.prepare_embeddings_for_image_generation(token)[:, None]
                out = language(inputs_embeds=inputs, use_cache=True, **{_CACHE: cache})
                scores = model.model.generation_head(out.last_hidden_state[:, -1])
                guided = scores[1::2] + 5 * (scores[0::2] - scores[1::2])
                chosen = torch.multinomial(torch.softmax(guided, dim=-1), 1)
                token = torch.cat((chosen, chosen), dim=1).view(-1)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                times.append(time.perf_counter() - begun)
            found[f"step {rows}"] = min(times)
        found |= _reference_question(torch, model)
    found["memory"] = _memory(torch, options.device)
    return found


def _reference_question(torch: Any, model: Any) -> dict[str, float]:
    """Features, a prompt of 640 tokens, and the first word; then one word at a time."""
    begun = time.perf_counter()
    pixels = torch.zeros(1, 3, 384, 384, dtype=model.dtype, device=model.device)
    features = model.model.get_image_features(pixels).pooler_output
    words = model.get_input_embeddings()(torch.arange(64, device=model.device)[None])
    inputs = torch.cat((words, features.view(1, -1, words.shape[-1])), dim=1)
    times = []
    cache = None
    for _ in range(8):
        out = model.model.language_model(inputs_embeds=inputs, use_cache=True, **{_CACHE: cache})
        cache = getattr(out, _CACHE)
        token = model.lm_head(out.last_hidden_state[:, -1]).argmax(-1)
        inputs = model.get_input_embeddings()(token)[:, None]
        times.append(time.perf_counter())
    return {"first word": times[0] - begun, "answer step": (times[-1] - times[0]) / 7}


def measure_transformers(options: argparse.Namespace) -> dict[str, Any]:
    """The image mode of transformers' `generate`, for a few tokens instead of 576."""
    import torch  # noqa: PLC0415 - as above

    model = _transformers_model(options, "sdpa")
    tokens = 4 if options.quick else 8
    model.model.vision_model.config.num_image_tokens = tokens
    config = model.generation_config
    # Its static cache has room for a whole picture, and every step looks at all of it.
    config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, 2, 3
    config.max_length = _PROMPT + 576
    config.generation_kwargs = {"boi_token_id": 4}
    times: list[float] = []

    def hook(_ids: Any, scores: Any) -> Any:
        times.append(time.perf_counter())
        return scores

    prompt = torch.arange(5, 5 + _PROMPT, device=model.device)[None]
    model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        generation_mode="image",
        do_sample=True,
        top_k=0,
        guidance_scale=5,
        num_return_sequences=PICTURES,
        logits_processor=[hook],
    )
    steps = [after - before for before, after in itertools.pairwise(times[1:])]
    return {f"step {2 * PICTURES}": min(steps), "memory": _memory(torch, options.device)}


def _transformers_model(options: argparse.Namespace, attention: str) -> Any:
    import torch  # noqa: PLC0415 - as above
    from transformers import JanusForConditionalGeneration  # noqa: PLC0415 - as above

    # int8 and the like are the engine's own: its reference computes in what it came in.
    dtype = torch.float32 if options.device == "cpu" else torch.bfloat16
    model = JanusForConditionalGeneration.from_pretrained(
        options.folder, dtype=dtype, attn_implementation=attention
    )
    return model.to(options.device).eval()


def _filled_cache(torch: Any, model: Any, rows: int) -> Any:
    from transformers import DynamicCache  # noqa: PLC0415 - as above

    text, cache = model.config.text_config, DynamicCache()
    size = (rows, text.num_key_value_heads, CONTEXT, text.hidden_size // text.num_attention_heads)
    for layer in range(text.num_hidden_layers):
        part = torch.zeros(size, dtype=model.dtype, device=model.device)
        cache.update(part, part.clone(), layer)
    return cache


def _cache_name() -> str:
    """Transformers 5.24 calls `cache` what was `past_key_values` before."""
    try:
        from transformers import __version__  # noqa: PLC0415 - not in the parent process
    except ModuleNotFoundError:
        return ""
    return "cache" if tuple(map(int, __version__.split(".")[:2])) >= (5, 24) else "past_key_values"


_CACHE = _cache_name() if "--only" in sys.argv else ""


def _best(work: Callable[[], object], rounds: int) -> float:
    """The quickest of several: others may use the machine meanwhile."""
    work()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def _memory(torch: Any, device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _device_name(torch: Any, device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name())
    return f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def report(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> int:
    """Print everything; 1 if an aim was missed."""
    engine, reference, other = (found[kind] for kind in _KINDS)
    layers = f", {options.layers} layers" if options.layers else ""
    print(f"\n{options.model}{layers}, {engine['dtype']}, on {engine['device']}")
    for kind in _KINDS:
        rows = {
            name: value for name, value in found[kind].items() if re.fullmatch(r"step \d+", name)
        }
        print(
            f"{kind:<13}" + "  ".join(f"{name} rows {value:.3f} s" for name, value in rows.items())
        )
    ten = f"step {2 * PICTURES}"
    gigabyte = 1e9
    preview = 6 * 24 * engine[ten] + engine["pixels of 6 rows"]
    print(
        f"engine       pixels of a picture {engine['pixels']:.2f} s; first preview after "
        f"{preview:.0f} s (144 steps and 6 rows of pixels); five pictures in about "
        f"{576 * engine[ten] + 5 * engine['pixels']:.0f} s, the reference's tokens alone in "
        f"{576 * reference[ten]:.0f} s (from a step's time)\n"
        f"engine       answer: {1 / engine['answer step']:.1f} tokens/s (reference "
        f"{1 / reference['answer step']:.1f}), first word after {engine['first word']:.1f} s "
        f"(reference {reference['first word']:.1f}), of a second question "
        f"{engine['second word']:.2f}\n"
        f"memory       engine {engine['memory'] / gigabyte:.2f} GB of "
        f"{engine['planned'] / gigabyte:.2f} planned; "
        f"reference {reference['memory'] / gigabyte:.2f}, "
        f"transformers {other['memory'] / gigabyte:.2f}"
    )
    one, four = engine["requests 1"], engine["requests 4"]
    for count in (1, 2, 4):
        rate = PICTURES * count / engine[f"requests {count}"]
        print(f"engine       {count} requests at once: {rate:.1f} picture tokens/s")
    figures = [
        Figure("a step of 10 rows, of the reference's", engine[ten] / reference[ten], 1.0, "x"),
        Figure("the same, of transformers'", engine[ten] / other[ten], 1.0, "x"),
        Figure(
            "throughput of the reference, of ours at 4", four / 4 / reference[ten], 1 / 1.3, "x"
        ),
        Figure("the same of ours at 1, of ours at 4", four / 4 / one, 1.0, "x"),
        Figure(
            "a step, of its matrix products",
            engine["step beside products"] / engine["products"],
            1.1,
            "x",
        ),
        Figure(
            "second question's first word", engine["second word"] / engine["first word"], 0.2, "x"
        ),
        Figure("memory beside the plan", abs(engine["memory"] / engine["planned"] - 1), 0.1, "x"),
    ]
    if "moved" in engine:
        floor = engine["moved"] / engine["bandwidth"]
        figures = [
            Figure("a step, of its bytes over the bandwidth", engine[ten] / floor, 1.35, "x"),
            Figure("a step of 10 rows, of the reference's", engine[ten] / reference[ten], 0.2, "x"),
            Figure("throughput at 1, of that at 4", four / 4 / one, 1 / 3, "x"),
            # A dozen for the group that joins and leaves.
            Figure("allocations in a step", engine["allocations"], 2, ""),
            *figures[-2:],
        ]
    for figure in figures:
        print(figure)
    return verdict(figures)


if __name__ == "__main__":
    sys.exit(main())
