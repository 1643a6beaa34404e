#!/usr/bin/env python3
"""Writes the prompts that draft heads are trained on, and those they are measured on.

usage: make-training-prompts.py SPEC_BENCH.jsonl TRAINING.jsonl HELD_OUT.jsonl

Training: the questions of Spec-Bench (Apache-2.0) with even numbers, and requests about docstrings of
Python's standard library (PSF-2.0, Debian package libpython3-stdlib). Held out: 48 of the questions
with odd numbers, from every category alike. HumanEval is in neither. The order is that of a hash, so
that a part of a file is as mixed as the whole.
"""
import ast
import hashlib
import json
import pathlib
import sys
import sysconfig

REQUESTS = [
    "Summarise this documentation in three sentences:\n\n{}",
    "Explain the following to a beginner:\n\n{}",
    "Write five questions that this text answers, with short answers:\n\n{}",
    "Rewrite this text in simpler words:\n\n{}",
]


def key(text):
    return hashlib.sha256(text.encode()).hexdigest()


def docstrings():
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_text())
        except (SyntaxError, UnicodeDecodeError):
            continue
        nodes = [tree] + [n for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))]
        for node in nodes:
            text = ast.get_docstring(node)
            if text and 250 <= len(text) <= 900 and ">>>" not in text:
                yield f"{path.stem}-{getattr(node, 'name', 'module')}", text


def write(path, prompts):
    with open(path, "w") as file:
        for prompt in prompts:
            file.write(json.dumps(prompt) + "\n")
    print(f"{path}: {len(prompts)} prompts")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    questions = [json.loads(line) for line in open(sys.argv[1])]
    training = [
        {"id": f"spec-bench-{q['question_id']}", "turns": q["turns"][:1], "licence": "Apache-2.0"}
        for q in questions if q["question_id"] % 2 == 0]
    for index, (name, text) in enumerate(sorted(docstrings(), key=lambda pair: key(pair[0]))[:160]):
        training.append({
            "id": f"python-{name}", "turns": [REQUESTS[index % len(REQUESTS)].format(text)],
            "licence": "PSF-2.0"})
    write(sys.argv[2], sorted(training, key=lambda prompt: key(prompt["id"])))

    groups = {}
    for question in sorted(questions, key=lambda q: key(str(q["question_id"]))):
        if question["question_id"] % 2:
            groups.setdefault(question["category"], []).append(question)
    held_out = []
    while len(held_out) < 48:
        for category in sorted(groups):
            if groups[category] and len(held_out) < 48:
                question = groups[category].pop(0)
                held_out.append(question | {"turns": question["turns"][:1]})
    write(sys.argv[3], held_out)


if __name__ == "__main__":
    main()
