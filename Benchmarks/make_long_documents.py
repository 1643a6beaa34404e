#!/usr/bin/env python3
"""Writes long-documents.jsonl: tasks about pages of SQLite's documentation, which is in the public domain.

The pages are those of Debian's package sqlite3-doc (apt-get install sqlite3-doc, /usr/share/doc/sqlite3).

usage: make_long_documents.py FOLDER-OF-PAGES
"""

import html.parser
import json
import os
import sys

LENGTH = 6000  # characters of a document: about 1500 tokens

TASKS = [
    ("long-summary", "Summarise this document in ten sentences."),
    ("long-quote", "Copy the three most important sentences of this document word for word, each on its own line."),
    ("long-edit", "Print the first three paragraphs of this document again, with SQLite written as *SQLite* everywhere."),
]
PAGES = ["wal.html", "whentouse.html", "atomiccommit.html", "queryplanner.html"]


class Text(html.parser.HTMLParser):
    """Paragraphs and headings of a page, one a line; scripts, styles and menus are left out."""

    def __init__(self):
        super().__init__()
        self.lines, self.line, self.hidden = [], [], 0

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "style"):
            self.hidden += 1
        if tag in ("p", "h1", "h2", "h3", "li", "div", "br"):
            self.end_line()

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.hidden -= 1
        if tag in ("p", "h1", "h2", "h3", "li", "div"):
            self.end_line()

    def handle_data(self, data):
        if not self.hidden:
            self.line.append(data)

    def end_line(self):
        text = " ".join("".join(self.line).split())
        self.line = []
        if text:
            self.lines.append(text)


def document(path):
    parser = Text()
    with open(path, encoding="utf-8", errors="replace") as file:
        parser.feed(file.read())
    parser.end_line()
    # The menu is short lines; the document begins with its first long one.
    first = next(index for index, line in enumerate(parser.lines) if len(line) > 120)
    text = "\n\n".join(parser.lines[first:])[:LENGTH]
    return text[: text.rindex(".") + 1]


folder = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "long-documents.jsonl"), "w", encoding="utf-8") as output:
    for page in PAGES:
        text = document(os.path.join(sys.argv[1], page))
        for category, task in TASKS:
            prompt = {"id": f"{page[:-5]} {category}", "category": category, "prompt": f"{task}\n\n{text}"}
            output.write(json.dumps(prompt, ensure_ascii=False) + "\n")
