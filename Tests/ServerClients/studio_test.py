"""Drives the page that `foretoken serve` has at / in a headless Chromium, as a person would.

usage: studio_test.py PROGRAM [FOLDER]

Starts the server twice, without and with a key; screenshots go to FOLDER (.build-artifacts/studio).
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from devtools import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
MODEL = "smollm2-135m"
LETTER = """Repeat the following letter word for word, but write Maria instead of Anna:

Dear Anna,

Thank you for your letter of Monday. I am glad that you and your sister arrived safely, and that the \
weather was kind to you on the way. The garden here is full of roses now, and the children play in it \
from morning to evening. We hope to see you both in August, when the harvest is over and the house is \
quiet again.

With best wishes,
Martin"""
DONE = "document.querySelector('#chat-stop').hidden"


class Server:
    """`foretoken serve` on a free port."""

    def __init__(self, program: str, *arguments: str, keys: str | None = None):
        environment = {name: value for name, value in os.environ.items() if name != "FORETOKEN_API_KEYS"}
        if keys:
            environment["FORETOKEN_API_KEYS"] = keys
        self.process = subprocess.Popen(
            [program, "serve", "--model", MODEL, "--port", "0", "--context", "2048",
             "--drain-timeout", "5", *arguments],
            stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.address = None
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"at (http://127\.0\.0\.1:\d+)", line):
                self.address = found[1]
                break
        if self.address is None:
            raise SystemExit("the server did not start:\n" + "".join(self.lines))
        threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True).start()

    def ask(self, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            self.address + path,
            json.dumps(body).encode() if body else None,
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def chat(self, content: str, **fields) -> str:
        body = {"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}
        return self.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        expect(status == 0, f"the server ended with status {status}")


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def equal(found, expected, what: str) -> None:
    expect(found == expected, f"{what} is {found!r}, expected {expected!r}")


class StudioTest:
    """The steps, in the order in which a person might take them."""

    def __init__(self, program: str, server: Server, page: Page, folder: Path):
        self.program, self.server, self.page, self.folder = program, server, page, folder

    def shot(self, name: str) -> None:
        self.page.screenshot(self.folder / f"{name}.png")

    def view(self, name: str) -> None:
        self.page.click(f"nav a[href='#{name}']")
        self.page.wait(f"!document.querySelector('#view-{name}').hidden")
        current = self.page.evaluate("document.querySelector('nav a[aria-current]').hash")
        equal(current, f"#{name}", "the current view")

    def send(self, text: str) -> None:
        self.page.click("#chat-input")
        self.page.type(text)
        self.page.press("Enter")

    def opens(self) -> None:
        """the page opens, says which model is served, and offers the methods"""
        self.page.open(self.server.address + "/")
        self.page.wait("document.querySelector('#set-method').value === 'speculation:auto'")
        self.page.wait(f"document.querySelector('#status-text').textContent === '{MODEL}'")
        self.shot("chat-empty")

    def chats(self) -> None:
        """an answer has the text that the API gives, and what was drafted is tinted"""
        page = self.page
        page.set("#set-method", "speculation:copy")
        page.set("#set-temperature", "0")
        page.set("#set-seed", "3")
        page.set("#set-tokens", "96")
        self.send(LETTER)
        page.wait("document.querySelectorAll('.answer .token').length > 0")
        page.wait(DONE)
        plain = self.server.chat(
            LETTER, temperature=0, seed=3, max_tokens=96, foretoken={"speculation": "none"}
        )
        equal(page.text(".answer"), plain, "the answer")
        drafted = page.count(".answer .token.drafted[data-drafter='copy']")
        expect(drafted > 3, f"{drafted} tokens are tinted, expected more than 3")
        equal(page.count(".answer .token.drafted"), drafted, "tokens tinted for any drafter")
        colours = page.evaluate(
            "[...document.querySelectorAll('.answer .token')].map((token) => "
            "[token.classList.contains('drafted'), getComputedStyle(token).backgroundColor])"
        )
        tints = {colour for is_drafted, colour in colours if is_drafted}
        equal(len(tints), 1, "the number of tints")
        expect(all(colour not in tints for is_drafted, colour in colours if not is_drafted),
               "a token that was not drafted is tinted")  # fmt: skip
        figures = page.text(".turn.model .figures")
        found = re.search(r"(\d+) of \d+ drafts accepted · bitwise, seed 3", figures)
        expect(found is not None, figures)
        # A drafted end of the text is accepted, and is no text.
        expect(0 <= int(found[1]) - drafted <= 1, f"{drafted} tokens are tinted; {figures}")
        self.shot("chat")

    def points_at_a_step(self) -> None:
        """the pointer on a tinted token shows the step's tree, probabilities and cost"""
        page = self.page
        page.point(".answer .token.drafted")
        page.wait("!document.querySelector('#step').hidden")
        expect(page.count("#step .tree .chip.accepted") > 0, "the tree shows nothing accepted")
        chances = page.evaluate(
            "[...document.querySelectorAll('#step .chip:not(.own) small')].map((e) => Number(e.textContent))"
        )
        expect(bool(chances) and all(0 <= chance <= 1 for chance in chances), f"probabilities {chances}")
        cost = page.text("#step .cost")
        expect(re.search(r"draft .*forward .*verify .*rows?", cost), f"the cost is {cost!r}")
        self.shot("step")
        page.send("Input.dispatchMouseEvent", type="mouseMoved", x=3, y=3)
        page.wait("document.querySelector('#step').hidden")

    def walks_by_keyboard(self) -> None:
        """the arrow keys go through the steps, which are spoken; Escape closes"""
        page = self.page
        page.evaluate("document.querySelector('.answer').focus()")
        page.press("Home")
        page.wait("document.querySelector('#announcer').textContent.startsWith('Step 1:')")
        page.press("ArrowRight")
        page.wait("document.querySelector('#announcer').textContent.startsWith('Step 2:')")
        page.press("End")
        last = page.evaluate("[...document.querySelectorAll('.answer .step')].at(-1).dataset.step")
        page.wait(f"document.querySelector('#announcer').textContent.startsWith('Step {int(last) + 1}:')")
        page.press("Escape")
        page.wait("document.querySelector('#step').hidden")

    def shows_markup_as_text(self) -> None:
        """markup in a message and in an answer stays text"""
        page = self.page
        hostile = "Repeat exactly: <img src=x onerror=alert(1)> <b>bold</b>"
        self.send(hostile)
        page.wait(DONE + " && document.querySelectorAll('.turn.model').length === 2")
        equal(page.evaluate("[...document.querySelectorAll('.turn.user')].at(-1).textContent"), hostile,
              "the message")  # fmt: skip
        equal(page.count("#chat-log img, #chat-log .turn b"), 0, "elements made of text")

    def stops(self) -> None:
        """the stop button ends the request at the server too"""
        page = self.page
        page.click("#chat-new")
        equal(page.count(".turn"), 0, "messages of a new chat")
        page.set("#set-method", "speculation:none")
        page.set("#set-tokens", "1500")
        page.set("#set-temperature", "1")
        self.send("Write a very long story about a lighthouse, with many chapters.")
        page.wait("document.querySelectorAll('.answer .token').length > 3")
        expect(self.server.ask("/health")["running"] == 1, "the request does not run")
        page.click("#chat-stop")
        page.wait(DONE + " && document.querySelector('.figures').textContent.includes('stopped')")
        deadline = time.monotonic() + 20
        while self.server.ask("/health")["running"]:
            expect(time.monotonic() < deadline, "the server goes on after the stop")
            time.sleep(0.05)
        page.set("#set-tokens", "64")

    def tells_errors(self) -> None:
        """what the server says of a bad request is shown, and the chat goes on"""
        page = self.page
        page.click("#chat-new")
        page.set("#set-method", "speculation:draft-model")
        before = len(page.errors)
        self.send("Hello")
        page.wait("document.querySelector('.turn .fault')?.textContent.includes('--draft')")
        # The browser itself notes an answer of status 400.
        page.errors[before:] = [error for error in page.errors[before:] if "status of 400" not in error]
        equal(page.evaluate("document.querySelector('#chat-input').value"), "Hello", "the message to send again")
        page.set("#chat-input", "")
        page.set("#set-method", "speculation:auto")
        self.send("Say hello.")
        page.wait("document.querySelectorAll('.answer .token').length > 0")
        page.wait(DONE)

    def races(self) -> None:
        """two methods that keep the bytes agree"""
        page = self.page
        self.view("race")
        page.wait("document.querySelector('#race-b').value !== ''")
        page.set("#race-prompt", LETTER)
        page.set("#race-a", "speculation:copy")
        page.set("#race-b", "speculation:none")
        page.set("#race-temperature", "0.3")
        page.set("#race-tokens", "64")
        page.set("#race-runs", "3")
        page.click("#race-start")
        page.wait("document.querySelector('.lane.active .token') !== null")
        self.shot("race-running")
        page.wait("document.querySelector('#race-stop').hidden", 120)
        verdict = page.text("#race-verdict")
        expect(verdict.startswith("bytes agree: yes"), verdict)
        first, second = (page.text(f".lane:nth-child({i}) .answer") for i in (1, 2))
        equal(first, second, "the text of the first lane")
        expected = self.server.chat(
            LETTER, temperature=0.3, seed=7, max_tokens=64, foretoken={"speculation": "none"}
        )
        equal(first, expected, "the text of both lanes")
        size = len(expected.encode())
        expect(f"{size} bytes" in verdict, f"{verdict!r} does not tell {size} bytes")
        for lane in (1, 2):
            figures = page.evaluate(
                f"[...document.querySelectorAll('.lane:nth-child({lane}) .lane-figures b')].map((e) => e.textContent)"
            )
            expect(float(figures[0]) > 0 and float(figures[1]) >= 1, f"figures of lane {lane}: {figures}")
        equal(page.count(".lane:nth-child(2) .drafted"), 0, "tinted tokens without a drafter")
        self.shot("race")

    def race_shows_differences(self) -> None:
        """two methods that write different texts do not agree"""
        page = self.page
        page.set("#race-prompt", "Write a short poem about the sea.")
        page.set("#race-a", "decode:contrastive")
        page.set("#race-runs", "1")
        page.set("#race-temperature", "1")
        page.click("#race-start")
        page.wait("!document.querySelector('#race-verdict').hidden", 120)
        verdict = page.text("#race-verdict")
        texts = [page.text(f".lane:nth-child({i}) .answer") for i in (1, 2)]
        left, right = (text.encode() for text in texts)
        expect(left != right, "the texts are the same; choose others for this test")
        at = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
        expect(verdict.startswith("bytes agree: no") and f"at byte {at}" in verdict.replace(",", ""), verdict)

    def browses_methods(self) -> None:
        """the browser lists what `foretoken methods` lists"""
        page = self.page
        self.view("methods")
        page.wait("document.querySelectorAll('.method').length > 0")
        listed = json.loads(subprocess.check_output([self.program, "methods", "--json"]))["methods"]
        names = page.evaluate("[...document.querySelectorAll('.method .name')].map((e) => e.textContent)")
        equal(names, [method["name"] for method in listed], "the list of names")
        numbers = page.evaluate("[...document.querySelectorAll('.method .number')].map((e) => Number(e.textContent))")
        equal([n for n in numbers if n == n and n], list(range(1, 50)), "the numbers")
        page.click("#methods-search")
        page.type("copyspec")
        page.wait("document.querySelectorAll('.method').length === 1")
        page.click(".method summary")
        method = next(method for method in listed if method["card"] == "copyspec")
        equal(page.evaluate("document.querySelector('.method a').href"), method["paper"]["url"], "the paper")
        equal(page.text(".method code"), method["example"], "the command")
        equal(page.text(".method .badge"), method["guarantee"], "the guarantee")
        self.shot("methods-one")
        page.click(".method .buttons button")
        page.wait("!document.querySelector('#view-chat').hidden")
        page.wait("document.querySelector('#set-method').value === 'speculation:copy'")
        self.view("methods")
        page.set("#methods-search", "")
        page.set("#methods-status", "planned")
        planned = sum(method["status"] == "planned" for method in listed)
        equal(page.count(".method"), planned, "planned systems")
        page.set("#methods-status", "")
        self.shot("methods")

    def inspects_the_model(self) -> None:
        """the inspector says what `foretoken inspect` says, and not where the file is"""
        page = self.page
        self.view("model")
        page.wait("document.querySelectorAll('.tiles dd').length > 5")
        facts = json.loads(subprocess.check_output([self.program, "inspect", MODEL, "--json"]))
        tiles = page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('.tiles div')].map((e) => "
            "[e.querySelector('dt').textContent, e.querySelector('dd').textContent]))"
        )
        metadata = facts["metadata"]
        equal(tiles["Architecture"], metadata["general.architecture"], "the architecture")
        equal(tiles["Layers"], str(metadata["llama.block_count"]), "the layers")
        expect(tiles["Weights"].startswith(facts["quantization"]), tiles["Weights"])
        expect(tiles["Width"].startswith(str(metadata["llama.embedding_length"])), tiles["Width"])
        expect(tiles["Vocabulary"].replace(",", "").startswith(str(metadata["llama.vocab_size"])), tiles["Vocabulary"])
        expect(tiles["Context"].replace(",", "") == f"{metadata['llama.context_length']} served 2048", tiles["Context"])
        expect(page.count("#model-body details:nth-of-type(1) tbody tr") == len(facts["tensors"]), "not all tensors")
        told = json.dumps(self.server.ask("/foretoken/model"))
        for path in (str(Path.home()), facts["path"], str(Path(facts["path"]).parent)):
            expect(path not in told, f"the model's facts tell the path {path}")
        self.shot("model")

    def watches_metrics(self) -> None:
        """the figures move while a request runs"""
        page = self.page
        self.view("metrics")
        page.wait("document.querySelectorAll('.metric').length > 5")
        count = "Number(document.querySelector(\"[aria-label='Forward passes'] .hint\").textContent.replaceAll(',', '').split(' ')[0])"
        page.wait(f"{count} > 0")
        before = page.evaluate(count)
        self.server.chat("Count from 1 to 30.", temperature=0, max_tokens=60)
        page.wait(f"{count} > {before}")
        page.wait("document.querySelector('.spark .line').getAttribute('d').split('L').length >= 4")
        heights = page.evaluate(
            "document.querySelector(\"[aria-label='Forward passes'] .line\").getAttribute('d')"
            ".match(/ [\\d.]+/g).map(Number)"
        )
        expect(min(heights) < 10 and max(heights) == 45, f"the line of forward passes is flat: {heights}")
        expect("foretoken_forward_passes_total" in page.text("#metrics-raw"), "the raw figures are missing")
        self.shot("metrics")

    def fits_phones(self) -> None:
        """every view fits a phone's width, light and dark"""
        page = self.page
        page.size(390, 844, mobile=True)
        for scheme in ("light", "dark"):
            page.scheme(scheme)
            for view in ("chat", "race", "methods", "model", "metrics"):
                self.view(view)
                wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
                expect(wide[0] <= wide[1], f"{view} is {wide[0]} wide on a phone of {wide[1]}")
                self.shot(f"phone-{view}-{scheme}")
        self.view("chat")
        page.click("#chat-settings-button")
        page.wait("document.querySelector('#chat-settings').classList.contains('open')")
        self.shot("phone-settings")
        page.click("#chat-settings-close")
        page.wait("!document.querySelector('#chat-settings').classList.contains('open')")

    def is_dark(self) -> None:
        """the theme button overrules the system, and stays"""
        page = self.page
        page.size(1280, 860)
        page.scheme("light")
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        page.click("#theme")
        page.click("#theme")
        equal(page.text("#theme-text"), "Theme: dark", "the theme")
        expect(page.evaluate(ground) != light, "the dark theme has the light ground")
        page.open(self.server.address + "/#chat")
        page.wait("document.querySelector('#set-method').value !== ''")
        equal(page.text("#theme-text"), "Theme: dark", "the theme of the page that was opened again")
        page.set("#set-method", "speculation:auto")
        page.set("#set-temperature", "0")
        page.set("#set-tokens", "96")
        self.send(LETTER)
        page.wait("document.querySelectorAll('.answer .token.drafted').length > 3")
        page.wait(DONE)
        page.click(".answer .token.drafted")
        page.wait("!document.querySelector('#step').hidden")
        self.shot("dark-step")
        page.press("Escape")
        page.click("#theme")

    def has_labels(self) -> None:
        """every control has a name, in every view"""
        unnamed = self.page.evaluate(
            """[...document.querySelectorAll('button, input, select, textarea, a[href], [role=img]')].filter(
              (e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"""
        )
        equal(unnamed, [], "controls without a name")
        handlers = self.page.evaluate(
            "[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => a.name.startsWith('on'))).length"
        )
        equal(handlers, 0, "handlers in the markup")

    def run(self) -> None:
        steps = [
            self.opens, self.chats, self.points_at_a_step, self.walks_by_keyboard, self.shows_markup_as_text,
            self.stops, self.tells_errors, self.races, self.race_shows_differences, self.browses_methods,
            self.inspects_the_model, self.watches_metrics, self.fits_phones, self.is_dark, self.has_labels,
        ]  # fmt: skip
        for step in steps:
            start = time.monotonic()
            try:
                step()
            except AssertionError:
                self.shot("failed")
                print(f"FAILED: {step.__doc__}", file=sys.stderr)
                raise
            print(f"ok: {step.__doc__} ({time.monotonic() - start:.1f} s)", flush=True)
        equal(self.page.errors, [], "the errors of the console")
        strange = [a for a in self.page.addresses if not a.startswith(self.server.address + "/")]
        equal(strange, [], "addresses elsewhere")
        print(f"ok: no errors on the console, all {len(self.page.addresses)} requests to the server itself")


def with_key(program: str, browser: Browser, folder: Path) -> None:
    """Where a key is wanted, the page asks for it, and goes on with it."""
    server = Server(program, keys="studio-secret-1")
    try:
        page = browser.page()
        page.size(1280, 860)
        page.open(server.address + "/")
        page.wait("document.querySelector('#key-dialog').open")
        page.screenshot(folder / "key.png")
        page.type("studio-secret-1")
        page.press("Enter")
        page.wait("!document.querySelector('#key-dialog').open")
        page.wait("document.querySelector('#set-method').value === 'speculation:auto'")
        page.click("#chat-input")
        page.type("Say hello.")
        page.press("Enter")
        page.wait("document.querySelectorAll('.answer .token').length > 0")
        page.wait(DONE)
        errors = [error for error in page.errors if "status of 401" not in error]
        equal(errors, [], "the errors of the console, but for the missing key")
        expect("studio-secret" not in page.evaluate("document.documentElement.outerHTML"), "the page shows the key")
        print("ok: the page asks for a key where one is wanted")
    finally:
        server.close()


def main() -> None:
    program = sys.argv[1]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / ".build-artifacts/studio"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    server = Server(program)
    try:
        browser = Browser()
        try:
            page = browser.page()
            page.size(1280, 860)
            StudioTest(program, server, page, folder).run()
            with_key(program, browser, folder)
        finally:
            browser.close()
    finally:
        server.close()
    print(f"screenshots are in {folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}")


if __name__ == "__main__":
    main()
