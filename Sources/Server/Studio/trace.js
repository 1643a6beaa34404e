// Follows an answer: which step and which drafter each piece of its text comes from.

/** Colour of each drafter, by its class in the style sheet. */
const colours = new Map(
  ["copy", "input", "recycling", "aded", "stand", "jacobi", "draft-model"].map((name, i) => [name, i]));
const colourCount = 9;

/** The class that gives an element the colour of a drafter. */
export function colourClass(drafter) {
  if (!colours.has(drafter)) colours.set(drafter, colours.size % colourCount);
  return `drafter-${colours.get(drafter)}`;
}

/** The state of one answer. */
export class Trace {
  /** Steps, as the server describes them. */
  steps = [];
  /** The text so far. */
  text = "";
  /** Figures of the whole answer, once it is over. */
  summary = null;
  /** Why the answer ended, in OpenAI's word. */
  reason = null;
  /** When the first and the latest text came, by this page's clock. */
  begin = null;
  end = null;
  #waiting = [];

  /** Takes a chunk, and returns the pieces of text that it adds. */
  take(chunk) {
    const block = chunk.foretoken ?? {};
    for (const step of block.steps ?? []) this.#addStep(step);
    if (block.summary) this.summary = block.summary;
    const choice = chunk.choices?.[0];
    if (choice?.finish_reason) this.reason = choice.finish_reason;
    const content = choice?.delta?.content ?? "";
    const tokens = this.#claim(block.tokens ?? []);
    if (content === "") return [];
    this.end = performance.now();
    this.begin ??= this.end;
    this.text += content;
    return split(content, tokens);
  }

  #addStep(step) {
    const index = this.steps.length;
    this.steps.push(step);
    step.emitted.forEach((id, i) => {
      const node = i < step.accepted.length ? step.accepted[i] : null;
      this.#waiting.push({
        id,
        step: index,
        text: step.emitted_texts[i],
        drafter: node === null ? null : step.drafters[step.draft_origins[node]],
      });
    });
  }

  /** The waiting tokens with these ids. Tokens that never became text are passed over. */
  #claim(ids) {
    const claimed = [];
    for (const id of ids) {
      const at = this.#waiting.findIndex((token) => token.id === id);
      if (at < 0) continue;
      claimed.push(this.#waiting[at]);
      this.#waiting.splice(0, at + 1);
    }
    return claimed;
  }

  // Figures. The prompt's own pass gives one token whatever the method is, and is left out.

  /** Tokens that were generated. */
  get tokens() {
    return this.summary?.generated_tokens ?? this.steps.reduce((sum, step) => sum + step.emitted.length, 0);
  }

  /** Tokens of a forward pass on average. */
  get tokensPerForward() {
    const steps = this.steps.slice(1);
    return steps.reduce((sum, step) => sum + step.emitted.length, 0) / steps.length;
  }

  /** Tokens per second: the server's figure when it is there, before that the page's own. */
  get tokensPerSecond() {
    if (this.tokens < 2) return NaN;
    if (this.summary) return (this.tokens - 1) * 1000 / this.summary.decode_ms;
    return (this.tokens - 1) * 1000 / (this.end - this.begin);
  }

  get drafted() { return this.steps.reduce((sum, step) => sum + step.draft_tokens.length, 0); }
  get accepted() { return this.steps.reduce((sum, step) => sum + step.accepted.length, 0); }

  /** Accepted tokens of each drafter, most first. */
  get acceptedBy() {
    const counts = new Map();
    for (const step of this.steps) {
      for (const node of step.accepted) {
        const name = step.drafters[step.draft_origins[node]];
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
    return [...counts].sort((a, b) => b[1] - a[1]);
  }
}

/** Divides a text among its tokens. Tokens that share a character stay together. */
function split(content, tokens) {
  if (tokens.length === 0) return [{ text: content, step: null, drafter: null }];
  const pieces = [];
  let rest = content;
  let i = 0;
  for (; i < tokens.length - 1; i += 1) {
    const { text, step, drafter } = tokens[i];
    if (text.includes("\uFFFD") || !rest.startsWith(text)) break;
    pieces.push({ text, step, drafter });
    rest = rest.slice(text.length);
  }
  const { step, drafter } = tokens[i];
  if (rest !== "") pieces.push({ text: rest, step, drafter });
  return pieces;
}
