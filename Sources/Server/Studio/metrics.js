// Live figures of the server, from /metrics.

import { $, bytes, digits, h, rate, svg, whole } from "/dom.js";
import { getText } from "/api.js";

const period = 1000;
const kept = 90;
let timer = 0;
let before = null;
const cards = new Map();

/** Reads Prometheus' text: name and labels to value. */
export function parse(text) {
  const values = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const at = line.lastIndexOf(" ");
    values.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return values;
}

/** One reading, and what has changed since the one before. */
class Reading {
  constructor(text, before) {
    this.values = parse(text);
    this.when = performance.now();
    this.before = before;
  }

  now(name) { return this.values.get(`foretoken_${name}`) ?? NaN; }

  /** How much a counter has grown. */
  growth(name) {
    const old = this.before?.now(name);
    // A server that was started anew counts from 0.
    return this.now(name) >= old ? this.now(name) - old : NaN;
  }

  perSecond(name) { return this.growth(name) * 1000 / (this.when - this.before?.when); }

  /** Sum over all labels of a counter. */
  total(name, test = () => true) {
    let sum = 0;
    for (const [key, value] of this.values) {
      if (key.startsWith(`foretoken_${name}{`) && test(key)) sum += value;
    }
    return sum;
  }

  /** A quantile of a histogram since the server began: the bound of the bucket that holds it. */
  quantile(name, share) {
    const wanted = share * this.now(`${name}_count`);
    if (!(wanted > 0)) return NaN;
    for (const [key, value] of this.values) {
      const bound = key.match(/^foretoken_(\w+)_bucket\{le="(.+)"\}$/);
      if (bound?.[1] === name && value >= wanted) return bound[2] === "+Inf" ? Infinity : Number(bound[2]);
    }
    return NaN;
  }
}

const percent = (value) => (Number.isFinite(value) ? `${(100 * value).toFixed(0)} %` : "–");
const count = (value) => (Number.isFinite(value) ? whole(value) : "–");
const bound = (seconds) => (seconds === Infinity ? "more than 60 s" : Number.isNaN(seconds) ? "–"
  : seconds < 1 ? `≤ ${digits(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms` : `≤ ${seconds} s`);

/** Name, unit, value of a reading, its text, and a remark. */
const figures = [
  ["Running", "generations", (r) => r.now("generations_running"), count, (r) => `${count(r.now("requests_waiting"))} waiting`],
  ["Forward passes", "per second", (r) => r.perSecond("forward_passes_total"), rate, (r) => `${count(r.now("forward_passes_total"))} in all`],
  ["Rows", "per second", (r) => r.perSecond("forward_rows_total"), rate, (r) => `${digits(r.now("forward_rows_total") / r.now("forward_passes_total"), 1)} a pass on average`],
  ["Tokens written", "per second", (r) => r.perSecond("completion_tokens_total"), rate, (r) => `${count(r.now("completion_tokens_total"))} in all, told as requests end`],
  ["Drafts accepted", "of drafted", (r) => r.now("accepted_tokens_total") / r.now("drafted_tokens_total"), percent, (r) => `${count(r.now("accepted_tokens_total"))} of ${count(r.now("drafted_tokens_total"))}`],
  ["Prompt tokens", "per second", (r) => r.perSecond("prompt_tokens_total"), rate, (r) => `${count(r.now("cached_tokens_total"))} of ${count(r.now("prompt_tokens_total"))} from the cache`],
  ["Pages in use", "keys and values", (r) => r.now("pages_used"), count, (r) => `${count(r.now("prefix_pages"))} kept for prompts, ${Number.isFinite(r.now("prefix_bytes")) ? bytes(r.now("prefix_bytes")) : "–"}`],
  ["Prefix hits", "of prompts", (r) => r.now("prefix_hits_total") / r.now("prefix_lookups_total"), percent, (r) => `${count(r.now("prefix_hits_total"))} of ${count(r.now("prefix_lookups_total"))}`],
  ["First token", "median", (r) => r.quantile("first_token_seconds", 0.5), bound, (r) => `95 % of requests ${bound(r.quantile("first_token_seconds", 0.95))}`],
  ["Connections", "open", (r) => r.now("connections"), count, (r) => `${count(r.total("requests_total"))} requests, ${count(r.total("requests_total", (key) => /status="[45]/.test(key)))} refused or failed`],
];

/** Begins to watch. */
export function start() {
  if (cards.size === 0) {
    for (const [name, unit, value, text, remark] of figures) {
      const card = new Card(name, unit, value, text, remark);
      cards.set(name, card);
      $("metrics-cards").append(card.element);
    }
  }
  stop();
  tick();
}

/** Stops watching. */
export function stop() {
  clearTimeout(timer);
  timer = 0;
}

async function tick() {
  const mine = setTimeout(tick, period);
  timer = mine;
  if (document.hidden) return;
  try {
    const text = await getText("/metrics");
    const reading = new Reading(text, before);
    for (const card of cards.values()) card.add(reading);
    reading.before = null;
    before = reading;
    $("metrics-raw").textContent = text;
    $("metrics-note").textContent = "every second, the latest 90 seconds";
  } catch (error) {
    $("metrics-note").textContent = error.message;
    if (error.status === 401 && timer === mine) stop();
  }
}

/** A figure with its history. */
class Card {
  #history = [];

  constructor(name, unit, value, text, remark) {
    Object.assign(this, { name, value, text, remark });
    this.number = h("b", {}, "–");
    this.note = h("p", { class: "hint" }, " ");
    this.line = svg("path", { class: "line" });
    this.area = svg("path", { class: "area" });
    this.chart = svg("svg", { class: "spark", viewBox: "0 0 240 48", preserveAspectRatio: "none", role: "img" }, this.area, this.line);
    this.element = h("article", { class: "card metric", "aria-label": name },
      h("h2", {}, name), h("p", { class: "figure" }, this.number, " ", h("span", {}, unit)), this.chart, this.note);
  }

  add(reading) {
    const value = this.value(reading);
    this.#history.push(value);
    if (this.#history.length > kept) this.#history.shift();
    this.number.textContent = this.text(value);
    this.note.textContent = this.remark(reading);
    this.#draw();
  }

  #draw() {
    const known = this.#history.filter(Number.isFinite);
    const most = Math.max(...known, 0);
    this.chart.setAttribute("aria-label", known.length
      ? `${this.name}: now ${this.text(this.#history.at(-1))}, most ${this.text(most)} in the latest ${this.#history.length} seconds`
      : `${this.name}: no figures yet`);
    const start = kept - this.#history.length;
    const points = this.#history.map((value, i) => [
      240 * (start + i) / (kept - 1), 45 - (most > 0 && Number.isFinite(value) ? 42 * value / most : 0),
    ]);
    const line = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", points.length > 1 ? `${line}L240 48L${points[0][0].toFixed(1)} 48Z` : "");
  }
}
