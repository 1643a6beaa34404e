// Shows an answer: tinted text whose steps can be looked at with pointer, finger and keyboard.

import { h } from "/dom.js";
import { colourClass, Trace } from "/trace.js";
import { StepPanel } from "/step.js";

/** An answer on the page, and the trace behind it. */
export class AnswerView {
  trace = new Trace();
  #spans = new Map();
  #last = null;
  #current = null;

  constructor(label) {
    this.element = h("div", {
      class: "answer",
      role: "group",
      tabindex: 0,
      "aria-label": `${label}. The arrow keys go through its steps.`,
      "aria-busy": "true",
    });
    this.element.addEventListener("pointerover", (event) => this.#point(event));
    this.element.addEventListener("pointerout", () => StepPanel.leave());
    this.element.addEventListener("click", (event) => this.#press(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("blur", () => StepPanel.blur());
  }

  /** Takes a chunk of the stream. */
  take(chunk) {
    for (const piece of this.trace.take(chunk)) this.#append(piece);
  }

  /** The answer is over. */
  finish() {
    this.element.removeAttribute("aria-busy");
  }

  #append(piece) {
    if (piece.step === null || piece.step !== this.#last?.step) {
      const span = h("span", { class: "step", "data-step": piece.step });
      if (piece.step !== null) this.#spans.set(piece.step, span);
      this.element.append(span);
      this.#last = { step: piece.step, span };
    }
    const isDrafted = piece.drafter !== null;
    const token = h("span", { class: isDrafted ? `token drafted ${colourClass(piece.drafter)}` : "token" });
    if (isDrafted) token.dataset.drafter = piece.drafter;
    token.textContent = piece.text;
    this.#last.span.append(token);
  }

  // MARK: Steps

  #stepOf(event) {
    const span = event.target.closest?.(".step[data-step]");
    return span ? Number(span.dataset.step) : null;
  }

  #point(event) {
    if (event.pointerType === "touch") return;
    const step = this.#stepOf(event);
    if (step !== null) this.#show(step, "hover");
  }

  #press(event) {
    if (!window.getSelection().isCollapsed) return;
    const step = this.#stepOf(event);
    if (step !== null) this.#show(step, "pinned");
  }

  #show(step, how) {
    this.#current = step;
    StepPanel.show(this.trace, step, this.#spans.get(step), how);
  }

  #key(event) {
    const steps = [...this.#spans.keys()];
    if (steps.length === 0) return;
    const at = steps.indexOf(this.#current);
    let next;
    if (event.key === "ArrowRight" || event.key === "ArrowDown") next = Math.min(at + 1, steps.length - 1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") next = Math.max(at - 1, 0);
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = steps.length - 1;
    else return;
    event.preventDefault();
    this.#spans.get(steps[next]).scrollIntoView({ block: "nearest" });
    this.#show(steps[next], "keyboard");
  }
}
