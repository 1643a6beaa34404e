#!/usr/bin/env python3
"""Writes float_MODEL.json: logits and likelihoods in plain float32, with the weights of a GGUF file.

    pip install numpy gguf
    python3 make_float_logits.py MODEL FILE.gguf

The forward pass is NumPy and shares nothing with the engine but the file; the package `gguf` takes
the blocks apart. Prompts are those of logits_MODEL.json. For each of them the output has

  float    nothing is rounded but the file's weights:
           `nll`, -log p(token | tokens before it) of the tokens 1...; `top20`, the likeliest tokens
           after the last one with their logits; `listed`, the logits of the 20 tokens that
           logits_MODEL.json lists
  rounded  activations and attention rounded as llama.cpp rounds them on a CPU (see `llama_rows`),
           which is what logits_MODEL.json was made with:
           `nll` (of prompts of more than 100 tokens only the first term, which no other token has a
           part in), and `listed`
"""
import json
import pathlib
import sys

import gguf
import numpy as np
from gguf.quants import dequantize

LONGEST_ROUNDED = 100
VOCABULARY_SLICE = 16384
F32 = np.float32


def halves(x):
    return x.astype(np.float16).astype(F32)


def rounded_groups(x, size, half_scales):
    """int8 values under one scale per `size` columns."""
    rows, columns = x.shape
    groups = np.pad(x, ((0, 0), (0, -columns % size))).reshape(rows, -1, size)
    largest = np.abs(groups).max(-1, keepdims=True)
    values = np.rint(groups * (F32(127) / np.where(largest > 0, largest, F32(1))))
    scales = largest / F32(127)
    return (values * (halves(scales) if half_scales else scales)).reshape(rows, -1)[:, :columns]


def llama_rows(x, weight_type):
    """K formats meet activations in groups of 256 (Q8_K), the others in groups of 32 (Q8_0)."""
    if weight_type.name.endswith("_K"):
        return rounded_groups(x, 256, half_scales=False)
    return rounded_groups(x, 32, half_scales=True)


class Model:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.architecture = reader.get_field("general.architecture").contents()

        def value(key, default=None):
            field = reader.get_field(f"{self.architecture}.{key}")
            return default if field is None else field.contents()

        self.layers = value("block_count")
        self.width = value("embedding_length")
        self.heads = value("attention.head_count")
        self.kv_heads = value("attention.head_count_kv", self.heads)
        self.head_width = value("attention.key_length", self.width // self.heads)
        self.epsilon = value("attention.layer_norm_rms_epsilon")
        self.rope_base = value("rope.freq_base", 10000.0)
        self.window = value("attention.sliding_window")
        self.gemma = self.architecture == "gemma3"
        self.head = "output.weight" if "output.weight" in self.tensors else "token_embd.weight"

    def rows(self, name, rows=slice(None)):
        tensor = self.tensors[name]
        return dequantize(tensor.data[rows], tensor.tensor_type).astype(F32, copy=False)

    def norm(self, x, name):
        mean = np.square(x, dtype=np.float64).mean(-1, keepdims=True)
        return (x / np.sqrt(mean + self.epsilon)).astype(F32) * self.rows(name)

    def rotate(self, x, positions, base):
        """Llama turns neighbouring pairs, the others pairs half a head apart."""
        half = x.shape[-1] // 2
        angles = positions[:, None] * float(base) ** (-np.arange(half) / half)
        cos, sin = (f(angles).astype(F32)[:, None] for f in (np.cos, np.sin))
        pairs = (
            (slice(0, None, 2), slice(1, None, 2)) if self.architecture == "llama"
            else (slice(None, half), slice(half, None)))
        a, b = (x[..., pair] for pair in pairs)
        turned = np.empty_like(x)
        turned[..., pairs[0]] = a * cos - b * sin
        turned[..., pairs[1]] = a * sin + b * cos
        return turned


class Pass:
    """All texts at once, one row per token; the rows from `first_rounded` on are rounded."""

    def __init__(self, model, texts, first_rounded):
        self.model = model
        self.tokens = np.concatenate(texts)
        self.bounds = np.cumsum([0] + [len(text) for text in texts])
        self.positions = np.concatenate([np.arange(len(text)) for text in texts])
        self.rounded = int(self.bounds[first_rounded])

    def prepared(self, x, name):
        kind = self.model.tensors[name].tensor_type
        return np.concatenate([x[: self.rounded], llama_rows(x[self.rounded :], kind)])

    def product(self, x, name):
        y = self.prepared(x, f"{name}.weight") @ self.model.rows(f"{name}.weight").T
        return y + self.model.rows(f"{name}.bias") if f"{name}.bias" in self.model.tensors else y

    def attention(self, q, k, v, window):
        model = self.model
        mixed = np.empty_like(q)
        for begin, end in zip(self.bounds, self.bounds[1:]):
            step = np.arange(end - begin)
            distance = step[:, None] - step
            seen = (distance >= 0) & (distance < (window or len(step)))
            store = halves if begin >= self.rounded else lambda x: x
            for head in range(model.heads):
                group = head * model.kv_heads // model.heads
                keys, values = store(k[begin:end, group]), store(v[begin:end, group])
                scores = store(q[begin:end, head]) @ keys.T * F32(model.head_width ** -0.5)
                weights = np.where(seen, np.exp(
                    scores - np.where(seen, scores, -np.inf).max(-1, keepdims=True),
                    where=seen, out=np.zeros_like(scores)), 0)
                weights /= weights.sum(-1, keepdims=True)
                mixed[begin:end, head] = store(weights) @ values
        return mixed.reshape(len(q), -1)

    def layer(self, x, index):
        model, name = self.model, f"blk.{index}."
        # Gemma 3: every sixth layer is global, the others have a window and a base of their own.
        slides = model.gemma and (index + 1) % 6 != 0
        normed = model.norm(x, name + "attn_norm.weight")
        q, k, v = (
            self.product(normed, name + part).reshape(len(x), -1, model.head_width)
            for part in ("attn_q", "attn_k", "attn_v"))
        if model.gemma:
            q = model.norm(q, name + "attn_q_norm.weight")
            k = model.norm(k, name + "attn_k_norm.weight")
        base = 10000.0 if slides else model.rope_base
        q, k = (model.rotate(part, self.positions, base) for part in (q, k))
        mixed = self.attention(q, k, v, model.window if slides else None)
        y = self.product(mixed, name + "attn_output")
        x = x + (model.norm(y, name + "post_attention_norm.weight") if model.gemma else y)
        normed = model.norm(x, name + "ffn_norm.weight")
        gate, up = (self.product(normed, name + part) for part in ("ffn_gate", "ffn_up"))
        if model.gemma:  # GELU, tanh form
            slope = F32(np.sqrt(2 / np.pi)) * (gate + F32(0.044715) * gate**3)
            gate = F32(0.5) * gate * (1 + np.tanh(slope))
        else:  # SiLU
            gate = gate / (1 + np.exp(-np.clip(gate, -80, None)))
        y = self.product(gate * up, name + "ffn_down")
        return x + (model.norm(y, name + "post_ffw_norm.weight") if model.gemma else y)

    def run(self):
        """Per text: -log p of its tokens 1..., and the logits after the last one."""
        model = self.model
        used, places = np.unique(self.tokens, return_inverse=True)
        x = model.rows("token_embd.weight", used)[places]
        if model.gemma:
            x = x * F32(np.sqrt(model.width))
        for index in range(model.layers):
            x = self.layer(x, index)
        x = self.prepared(model.norm(x, "output_norm.weight"), model.head)
        following = np.append(self.tokens[1:], 0)
        largest, total = np.full(len(x), -np.inf), np.zeros(len(x))
        chosen, last = np.zeros(len(x)), []
        for begin in range(0, len(model.tensors[model.head].data), VOCABULARY_SLICE):
            part = x @ model.rows(model.head, slice(begin, begin + VOCABULARY_SLICE)).T
            before, largest = largest, np.maximum(largest, part.max(-1))
            total *= np.exp(before - largest)
            total += np.exp(part - largest[:, None]).sum(-1)
            here = (following >= begin) & (following < begin + part.shape[1])
            chosen[here] = part[here, following[here] - begin]
            last.append(part[self.bounds[1:] - 1])
        nll = largest + np.log(total) - chosen
        ends = zip(self.bounds, self.bounds[1:])
        return [nll[begin : end - 1] for begin, end in ends], np.concatenate(last, axis=1)


def main():
    alias, path = sys.argv[1:]
    folder = pathlib.Path(__file__).parent
    cases = json.loads((folder / f"logits_{alias}.json").read_text())["cases"]
    exact = [np.array(case["tokens"]) for case in cases]
    rounded = [text if len(text) <= LONGEST_ROUNDED else text[:2] for text in exact]
    nll, logits = Pass(Model(path), exact + rounded, first_rounded=len(exact)).run()

    def listed(values):
        return [round(float(value), 4) for value in values]

    lines = []
    for index, case in enumerate(cases):
        top = np.argsort(-logits[index])[:20]
        twin = index + len(cases)  # the same text, rounded
        tokens = [int(token) for token, _ in case["top20"]]
        out = {
            "id": case["id"],
            "tokens": case["tokens"],
            "float": {
                "nll": listed(nll[index]),
                "top20": [list(pair) for pair in zip(top.tolist(), listed(logits[index][top]))],
                "listed": listed(logits[index][tokens]),
            },
            "rounded": {"nll": listed(nll[twin])},
        }
        if len(case["tokens"]) <= LONGEST_ROUNDED:
            out["rounded"]["listed"] = listed(logits[twin][tokens])
        lines.append(json.dumps(out, separators=(",", ":")))
    (folder / f"float_{alias}.json").write_text(
        f'{{"model":"{alias}","source":"NumPy float32, make_float_logits.py","cases":[\n'
        + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
