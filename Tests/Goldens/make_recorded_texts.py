#!/usr/bin/env python3
"""Writes recorded_texts.json: what SmolLM2 wrote greedily after prompts of Spec-Bench's sample, as token ids.

The planner's tests replay these texts: whatever is drafted, the text of a lossless method is this one.

usage: make_recorded_texts.py FORETOKEN-PROGRAM
"""

import json
import os
import subprocess
import sys

foretoken = sys.argv[1]
folder = os.path.dirname(os.path.abspath(__file__))
prompts = [json.loads(line) for line in open(os.path.join(folder, "../../Benchmarks/spec-bench-sample.jsonl"))]


def run(*arguments):
    return json.loads(subprocess.run([foretoken, *arguments, "--json"], check=True, capture_output=True).stdout)


texts = []
seen = {}
for prompt in prompts:
    category = prompt["category"]
    if seen.get(category, 0) == 2:
        continue
    seen[category] = seen.get(category, 0) + 1
    text = prompt["turns"][0]
    tokens = run("tokenize", text)["tokens"]
    written = run("run", text, "--raw", "--max-tokens", "160", "--ignore-eos", "--speculate", "none")["tokens"]
    texts.append({"category": category, "prompt": tokens, "text": written})
with open(os.path.join(folder, "recorded_texts.json"), "w") as file:
    json.dump({"model": "smollm2-135m", "texts": texts}, file, separators=(",", ":"))
    file.write("\n")
