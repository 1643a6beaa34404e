#!/usr/bin/env python3
"""Writes autograd.json: results and gradients of differentiable operations, and the loss curve of a
small transformer, as jax computes them on a CPU.

usage: make_autograd.py > autograd.json        (needs the package `jax`)

Each operation is given with its inputs, its result and the gradients of sum(result * weights).
"""
import json

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_default_matmul_precision", "highest")
MASK = (1 << 64) - 1


def split_mix(seed):
    """The generator of Tests/TestSupport/SeededGenerator.swift."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def uniform(generator, shape):
    count = int(np.prod(shape))
    values = [(next(generator) >> 40) / 2**23 - 1 for _ in range(count)]
    return np.array(values, np.float32).reshape(shape)


def rms_norm(x, w):
    return x / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * w


def rope(x, base=10000.0):
    length, size = x.shape[-2:]
    half = size // 2
    angles = np.arange(length)[:, None] * base ** (-np.arange(half) / half)
    c, s = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * c - b * s, a * s + b * c], -1)


def attention(q, k, v, mask):
    group = q.shape[1] // k.shape[1]
    k, v = jnp.repeat(k, group, 1), jnp.repeat(v, group, 1)
    scores = q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]).astype(np.float32)
    return jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), -1) @ v


def gru(x, h, wi, bi, wh, bh):
    a, b = jnp.split(x @ wi.T + bi, 3, 1), jnp.split(h @ wh.T + bh, 3, 1)
    r, z = jax.nn.sigmoid(a[0] + b[0]), jax.nn.sigmoid(a[1] + b[1])
    n = jnp.tanh(a[2] + r * b[2])
    return (1 - z) * n + z * h


def layer_norm(x, w, b):
    mean = jnp.mean(x, -1, keepdims=True)
    return (x - mean) / jnp.sqrt(jnp.mean((x - mean) ** 2, -1, keepdims=True) + 1e-5) * w + b


TARGETS = np.array([1, -1, 4, 0])
TREE = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 1]], bool)


def cross_entropy(x):
    kept = TARGETS >= 0
    logs = jax.nn.log_softmax(x)[np.arange(4), np.maximum(TARGETS, 0)]
    return -jnp.sum(jnp.where(kept, logs, 0)) / kept.sum()


def soft_cross_entropy(x):
    return -jnp.mean(jnp.sum(jax.nn.softmax(jnp.sin(jnp.arange(20.0).reshape(4, 5))) * jax.nn.log_softmax(x), -1))


def conv(x, w, b, stride, padding, dilation):
    y = jax.lax.conv_general_dilated(x, w, stride, [(p, p) for p in padding], rhs_dilation=dilation)
    return y + b[:, None, None]


OPERATIONS = {
    "add": (lambda a, b: a + b, [(2, 3, 4), (3, 1)]),
    "subtract": (lambda a, b: a - b, [(3, 1), (2, 1, 4)]),
    "multiply": (lambda a, b: a * b, [(2, 3, 4), (4,)]),
    "divide": (lambda a, b: a / (b * b + 1), [(3, 4), (3, 4)]),
    "exp": (jnp.exp, [(7,)]),
    "log": (lambda a: jnp.log(a * a + 0.5), [(7,)]),
    "tanh": (jnp.tanh, [(7,)]),
    "sigmoid": (jax.nn.sigmoid, [(7,)]),
    "silu": (jax.nn.silu, [(7,)]),
    "gelu": (lambda a: jax.nn.gelu(a, approximate=False), [(7,)]),
    "geluTanh": (lambda a: jax.nn.gelu(a, approximate=True), [(7,)]),
    "relu": (jax.nn.relu, [(7,)]),
    "sum": (lambda a: jnp.sum(a, 1), [(2, 3, 4)]),
    "mean": (lambda a: jnp.mean(a, (0, 2)), [(2, 3, 4)]),
    "max": (lambda a: jnp.max(a, 1), [(2, 3, 4)]),
    "softmax": (lambda a: jax.nn.softmax(3 * a), [(3, 5)]),
    "logSoftmax": (lambda a: jax.nn.log_softmax(3 * a), [(3, 5)]),
    "crossEntropy": (cross_entropy, [(4, 5)]),
    "softCrossEntropy": (soft_cross_entropy, [(4, 5)]),
    "matmul": (lambda a, b: a @ b, [(2, 3, 4), (2, 4, 5)]),
    "matmulTransposed": (lambda a, b: a @ b.T, [(2, 3, 4), (5, 4)]),
    "embedding": (lambda a: a[np.array([1, 3, 1])], [(4, 3)]),
    "rmsNorm": (rms_norm, [(3, 6), (6,)]),
    "layerNorm": (layer_norm, [(3, 6), (6,), (6,)]),
    "rope": (rope, [(2, 3, 4)]),
    "causalAttention": (
        lambda q, k, v: attention(q, k, v, np.tril(np.ones((4, 4), bool))),
        [(2, 2, 4, 3), (2, 1, 4, 3), (2, 1, 4, 3)]),
    "bidirectionalAttention": (
        lambda q, k, v: attention(q, k, v, np.ones((2, 5), bool)),
        [(1, 2, 2, 3), (1, 2, 5, 3), (1, 2, 5, 3)]),
    "treeAttention": (
        lambda q, k, v: attention(q, k, v, TREE), [(1, 2, 4, 3), (1, 2, 6, 3), (1, 2, 6, 3)]),
    "conv2d": (
        lambda x, w, b: conv(x, w, b, (2, 1), (1, 0), (1, 2)), [(2, 2, 5, 6), (3, 2, 3, 2), (3,)]),
    "conv1d": (
        lambda x, w, b: conv(x[:, :, None], w[:, :, None], b, (1, 2), (0, 2), (1, 1))[:, :, 0],
        [(2, 2, 7), (3, 2, 3), (3,)]),
    "gru": (gru, [(2, 3), (2, 4), (12, 3), (12,), (12, 4), (12,)]),
    "gather": (lambda a: a[:, np.array([2, 0, 2])], [(2, 3, 2)]),
    "scatter": (lambda a: jnp.zeros((2, 4, 2)).at[:, np.array([3, 1, 3])].add(a), [(2, 3, 2)]),
    "picked": (lambda a: a[np.arange(3), np.array([0, 4, 2])], [(3, 5)]),
    "concat": (lambda a, b: jnp.concatenate([a, b], 1), [(2, 3, 2), (2, 1, 2)]),
    "slice": (lambda a: a[:, 1:3], [(2, 4, 2)]),
    "permute": (lambda a: jnp.transpose(a, (2, 0, 1)), [(2, 3, 4)]),
}


def rounded(array):
    return [float(f"{v:.9g}") for v in np.asarray(array, np.float32).reshape(-1)]


def table():
    for index, (name, (function, shapes)) in enumerate(OPERATIONS.items()):
        generator = split_mix(index + 1)
        inputs = [uniform(generator, shape) for shape in shapes]
        result = np.asarray(function(*inputs))
        weights = uniform(generator, result.shape)
        loss = lambda *x: jnp.sum(function(*x) * weights)
        gradients = jax.grad(loss, tuple(range(len(inputs))))(*inputs)
        yield {
            "name": name,
            "inputs": [{"shape": list(i.shape), "values": rounded(i)} for i in inputs],
            "weights": rounded(weights), "shape": list(result.shape), "result": rounded(result),
            "gradients": [rounded(g) for g in gradients],
        }


# A transformer of two layers that learns 32 sequences by heart.
SIZE, HEADS, HIDDEN, VOCABULARY, LENGTH, SEQUENCES = 64, 4, 128, 32, 16, 32
BLOCK = {
    "attentionNorm.gain": (SIZE,), "attention.query.weight": (SIZE, SIZE),
    "attention.key.weight": (SIZE, SIZE), "attention.value.weight": (SIZE, SIZE),
    "attention.output.weight": (SIZE, SIZE), "feedForwardNorm.gain": (SIZE,),
    "gate.weight": (HIDDEN, SIZE), "up.weight": (HIDDEN, SIZE), "down.weight": (SIZE, HIDDEN),
}
SHAPES = {"embedding.table": (VOCABULARY, SIZE)}
for layer in range(2):
    SHAPES.update({f"blocks.{layer}.{name}": shape for name, shape in BLOCK.items()})
SHAPES.update({"norm.gain": (SIZE,), "head.weight": (VOCABULARY, SIZE)})


def first_parameters(generator):
    parameters = {}
    for name, shape in SHAPES.items():
        scale = 0.5 if name == "embedding.table" else np.float32(np.sqrt(3 / shape[-1]))
        parameters[name] = (
            np.ones(shape, np.float32) if len(shape) == 1 else uniform(generator, shape) * np.float32(scale))
    return parameters


def transformer_loss(p, tokens):
    x = p["embedding.table"][tokens[:, :-1]]
    mask = np.tril(np.ones((LENGTH - 1, LENGTH - 1), bool))
    heads = lambda y: rope(jnp.swapaxes(y.reshape(SEQUENCES, LENGTH - 1, HEADS, -1), 1, 2))
    plain = lambda y: jnp.swapaxes(y.reshape(SEQUENCES, LENGTH - 1, HEADS, -1), 1, 2)
    for layer in range(2):
        q = {name: p[f"blocks.{layer}.{name}"] for name in BLOCK}
        y = rms_norm(x, q["attentionNorm.gain"])
        a = attention(
            heads(y @ q["attention.query.weight"].T), heads(y @ q["attention.key.weight"].T),
            plain(y @ q["attention.value.weight"].T), mask)
        x = x + jnp.swapaxes(a, 1, 2).reshape(x.shape) @ q["attention.output.weight"].T
        y = rms_norm(x, q["feedForwardNorm.gain"])
        x = x + (jax.nn.silu(y @ q["gate.weight"].T) * (y @ q["up.weight"].T)) @ q["down.weight"].T
    logits = rms_norm(x, p["norm.gain"]) @ p["head.weight"].T
    logs = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(logs, tokens[:, 1:, None], -1))


def curve(steps=50, rate=2e-3, decay=0.01):
    generator = split_mix(2024)
    p = first_parameters(generator)
    tokens = np.array(
        [[s] + [next(generator) % VOCABULARY for _ in range(LENGTH - 1)] for s in range(SEQUENCES)])
    step = jax.jit(jax.value_and_grad(lambda p: transformer_loss(p, tokens)))
    m = {name: np.zeros_like(v) for name, v in p.items()}
    v = {name: np.zeros_like(x) for name, x in p.items()}
    losses = []
    for t in range(1, steps + 1):
        loss, g = step(p)
        losses.append(float(loss))
        for name in p:
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.999 * v[name] + 0.001 * g[name] ** 2
            shrink = 1 - rate * decay if p[name].ndim > 1 else 1
            update = (m[name] / (1 - 0.9**t)) / (jnp.sqrt(v[name] / (1 - 0.999**t)) + 1e-8)
            p[name] = jnp.float32(p[name] * shrink - rate * update)
    return losses


if __name__ == "__main__":
    print(json.dumps({"jax": jax.__version__, "operations": list(table()), "losses": curve()}))
