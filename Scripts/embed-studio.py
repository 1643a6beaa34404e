#!/usr/bin/env python3
"""Writes the files of Sources/Server/Studio into a Swift file, so that they are part of the program.

Text literals compile at once, where SwiftPM's own way (a list of numbers) takes seconds for every
50 kB. Run it after every change of a file (`make studio`).

usage: Scripts/embed-studio.py [--check]     (--check fails if the Swift file is not up to date)
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "Sources/Server/Studio"
OUTPUT = ROOT / "Sources/Server/HTTP/StudioContents.swift"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def literal(text: str) -> str:
    """The text as a raw literal whose delimiter does not occur in it."""
    hashes = "#"
    while '"""' + hashes in text or "\\" + hashes in text:
        hashes += "#"
    return f'{hashes}"""\n{text}\n"""{hashes}'


def main() -> None:
    parts = [
        "// swift-format-ignore-file",
        "// Written by Scripts/embed-studio.py from Sources/Server/Studio: change the files there.",
        "",
        "extension StudioFiles {",
        "  /// Name, type and text of each file.",
        "  static let contents: [(name: String, type: String, text: String)] = [",
    ]
    for path in sorted(FOLDER.iterdir()):
        if path.suffix not in TYPES:
            raise SystemExit(f"{path.name}: expected a file that ends with {', '.join(TYPES)}")
        text = path.read_text(encoding="utf-8")
        if "\r" in text:
            raise SystemExit(f"{path.name} has carriage returns; save it with line feeds only")
        parts.append(f'("{path.name}", "{TYPES[path.suffix]}", {literal(text)}),')
    parts += ["  ]", "}", ""]
    text = "\n".join(parts)
    if sys.argv[1:] != ["--check"]:
        OUTPUT.write_text(text, encoding="utf-8")
    elif OUTPUT.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{OUTPUT.name} is not up to date: run make studio")


if __name__ == "__main__":
    main()
