// swift-format-ignore-file
// Written by Scripts/embed-studio.py from Sources/Server/Studio: change the files there.

extension StudioFiles {
  /// Name, type and text of each file.
  static let contents: [(name: String, type: String, text: String)] = [
("answer.js", "text/javascript; charset=utf-8", #"""
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

"""#),
("api.js", "text/javascript; charset=utf-8", #"""
// Talks with the server that the page came from.

/** What the server, or the way to it, says is wrong. */
export class ServerFault extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let key = readKey();

function readKey() {
  try { return sessionStorage.getItem("foretoken.key"); } catch { return null; }
}

/** Uses a key from now on. */
export function useKey(value) {
  key = value;
  try { sessionStorage.setItem("foretoken.key", value); } catch { /* until the page is left */ }
}

/** Asks, and gives the answer if it is a good one. */
async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerFault("The server does not answer. Is it still running?", 0);
  }
  if (response.ok) return response;
  if (response.status === 401) document.dispatchEvent(new CustomEvent("keywanted"));
  let message = `The server answered with status ${response.status}.`;
  try { message = (await response.json()).error.message; } catch { /* not one of its own errors */ }
  throw new ServerFault(message, response.status);
}

/** JSON at a path. */
export const getJSON = async (path) => (await ask(path)).json();

/** Text at a path. */
export const getText = async (path) => (await ask(path)).text();

let health = null;

/** Name of the model that is served. */
export async function modelName() {
  health = health ?? await getHealth();
  return health.model;
}

/** How the server is; it says so while it drains, too. */
export async function getHealth() {
  let response;
  try {
    response = await fetch("/health");
  } catch {
    throw new ServerFault("The server does not answer.", 0);
  }
  health = await response.json();
  return health;
}

/** The chunks of a chat's answer, as they come. Breaking off, or the signal, ends the request. */
export async function* streamChat(body, signal) {
  const response = await ask("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, model: await modelName(), stream: true }),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new ServerFault("The answer was cut off.", 0);
      buffer += value;
      for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
        const event = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        if (!event.startsWith("data: ")) continue;
        if (event === "data: [DONE]") return;
        const chunk = JSON.parse(event.slice(6));
        if (chunk.error) throw new ServerFault(chunk.error.message, 0);
        yield chunk;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The fields of a request from what a form says. */
export function chatRequest({ messages, method, temperature, seed, tokens }) {
  const block = { trace: true };
  const [kind, name] = method.split(":");
  block[kind] = name;
  const request = { messages, foretoken: block, temperature, max_completion_tokens: tokens };
  if (Number.isInteger(seed)) request.seed = seed;
  return request;
}

/** The number in a field; undefined if it holds none. */
export function numberIn(field) {
  return field.value.trim() === "" || Number.isNaN(field.valueAsNumber) ? undefined : field.valueAsNumber;
}

"""#),
("catalogue.js", "text/javascript; charset=utf-8", #"""
// The catalogue of methods, and the choice of one of them.

import { h } from "/dom.js";
import { getJSON } from "/api.js";

let methods = null;

/** All methods, asked for once. */
export async function catalogue() {
  methods ??= (await getJSON("/foretoken/methods")).methods;
  return methods;
}

/** Methods that need what a request of this page cannot say. */
const unreachable = new Set(["exact-extract"]);
const needDraftModel = new Set(["draft-model", "entropy-adaptive"]);

/** Methods that compare texts instead of drawing one. */
const drawless = new Set(["beam", "diverse-beam", "superposed", "contrastive", "adadec"]);

/** Whether a choice goes with temperature 0 only. */
export const drawsNothing = (choice) => drawless.has(choice.split(":")[1]);

/** What a request says for a method: `speculation:copy`, `decode:beam`; nothing if it cannot. */
export function choices(method) {
  const kind = { "--speculate": "speculation", "--decode": "decode" }[method.option];
  if (!kind || method.status !== "available") return [];
  return method.values.filter((value) => !unreachable.has(value)).map((value) => `${kind}:${value}`);
}

/** Fills a list of choices, those that keep the bytes first. */
export async function fillMethods(select, preferred) {
  const all = (await catalogue()).flatMap((method) => choices(method).map((choice) => ({ method, choice })));
  const groups = [
    ["Same bytes as plain decoding", all.filter(({ choice }) => choice.startsWith("speculation:"))],
    ["Another text on purpose", all.filter(({ choice }) => choice.startsWith("decode:"))],
  ];
  const order = ["speculation:auto", "speculation:none", "speculation:copy"];
  const place = ({ choice }) => (order.indexOf(choice) + 1) || order.length + 1;
  select.replaceChildren(...groups.map(([label, entries]) => h("optgroup", { label },
    entries.sort((a, b) => place(a) - place(b)).map(({ method, choice }) => {
      const name = choice.split(":")[1];
      return h("option", { value: choice }, needDraftModel.has(name) ? `${name} (with --draft)` : name);
    }))));
  select.value = preferred;
}

/** The method behind a choice. */
export async function methodOf(choice) {
  return (await catalogue()).find((method) => choices(method).includes(choice));
}

"""#),
("chat.js", "text/javascript; charset=utf-8", #"""
// The chat.

import { $, copyButton, digits, h, plural, rate, remember, whole } from "/dom.js";
import { chatRequest, numberIn, streamChat } from "/api.js";
import { AnswerView } from "/answer.js";
import { drawsNothing, fillMethods, methodOf } from "/catalogue.js";
import { StepPanel } from "/step.js";
import { colourClass } from "/trace.js";

const ideas = [
  ["Copy a letter", "Repeat the following letter word for word, but write Maria instead of Anna:\n\nDear Anna,\n\nThank you for your letter of Monday. I am glad that you and your sister arrived safely, and that the weather was kind to you on the way. The garden here is full of roses now, and the children play in it from morning to evening. We hope to see you both in August, when the harvest is over and the house is quiet again.\n\nWith best wishes,\nMartin"],
  ["Count", "Count from 1 to 40, separated by commas."],
  ["Explain", "Explain in a few sentences why the sky is blue."],
  ["Write a table", "Write a Markdown table of the planets with their names and one fact about each."],
];

let messages = [];
let running = null;
let isSetUp = false;

/** Sets the chat up. */
export async function start() {
  if (!isSetUp) setUp();
  await fillMethods($("set-method"), "speculation:auto");
  remember($("set-method"));
  await describeMethod();
}

function setUp() {
  isSetUp = true;
  $("chat-ideas").append(...ideas.map(([name, text]) => h("li", {},
    h("button", { type: "button", onclick: () => send(text) }, h("b", {}, name), h("span", {}, text.split("\n")[0])))));
  const input = $("chat-input");
  input.addEventListener("input", grow);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("chat-form").requestSubmit();
    }
  });
  $("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(input.value);
  });
  $("chat-stop").addEventListener("click", () => running?.abort());
  $("chat-new").addEventListener("click", clear);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("step").hidden) running?.abort();
  });
  setUpSettings();
}

/** Lets the chat use a method. */
export async function use(choice) {
  $("set-method").value = choice;
  $("set-method").dispatchEvent(new Event("change"));
}

// MARK: Settings

function setUpSettings() {
  for (const id of ["set-temperature", "set-seed", "set-tokens", "set-system"]) remember($(id));
  $("set-method").addEventListener("change", describeMethod);
  const button = $("chat-settings-button");
  const toggle = (opens) => {
    $("chat-settings").classList.toggle("open", opens);
    button.setAttribute("aria-expanded", String(opens));
    (opens ? $("set-method") : button).focus();
  };
  button.addEventListener("click", () => toggle(!$("chat-settings").classList.contains("open")));
  $("chat-settings-close").addEventListener("click", () => toggle(false));
  $("chat-settings").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("chat-settings").classList.contains("open")) toggle(false);
  });
}

async function describeMethod() {
  const choice = $("set-method").value;
  const method = await methodOf(choice);
  const draws = drawsNothing(choice) ? " It draws nothing: the temperature is 0." : "";
  $("set-method-hint").textContent = method ? `${method.summary}${draws}` : "";
}

function settings() {
  const fields = ["set-temperature", "set-seed", "set-tokens"].map($);
  const wrong = fields.find((field) => !field.checkValidity());
  if (wrong) {
    $("chat-settings").classList.add("open");
    wrong.reportValidity();
    return null;
  }
  // Without the catalogue the server's own choice is right.
  const method = $("set-method").value || "speculation:auto";
  return {
    method,
    temperature: drawsNothing(method) ? 0 : numberIn($("set-temperature")) ?? 0.7,
    seed: numberIn($("set-seed")),
    tokens: numberIn($("set-tokens")) ?? 256,
  };
}

// MARK: Conversation

function clear() {
  running?.abort();
  messages = [];
  StepPanel.close();
  $("chat-log").replaceChildren($("chat-empty"));
  $("chat-empty").hidden = false;
  $("chat-input").focus();
}

/** Keeps the input as high as its text. */
function grow() {
  const input = $("chat-input");
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight + 2, innerHeight * 0.4)}px`;
}

async function send(text) {
  const content = text.trim();
  if (content === "" || running) return;
  const chosen = settings();
  if (!chosen) return;
  $("chat-input").value = "";
  grow();
  $("chat-empty").hidden = true;
  messages.push({ role: "user", content });
  const log = $("chat-log");
  log.append(h("article", { class: "turn user", "aria-label": "You" }, content));
  const system = $("set-system").value.trim();
  const all = system ? [{ role: "system", content: system }, ...messages] : messages;
  await answer(chatRequest({ ...chosen, messages: all }), log);
}

async function answer(request, log) {
  const view = new AnswerView("Answer");
  const figures = h("div", { class: "figures" }, "Reading the prompt…");
  log.append(h("article", { class: "turn model", "aria-label": "Model" }, view.element, figures));
  log.scrollTop = log.scrollHeight;
  busy(true);
  const conversation = messages;
  let note = "";
  let next = 0;
  try {
    for await (const chunk of streamChat(request, running.signal)) {
      const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
      view.take(chunk);
      if (performance.now() > next && view.trace.begin !== null) {
        figures.textContent = live(view.trace);
        next = performance.now() + 120;
      }
      if (follows) log.scrollTop = log.scrollHeight;
    }
  } catch (error) {
    if (error.name === "AbortError") note = "stopped";
    else figures.before(h("p", { class: "fault", role: "alert" }, error.message));
  }
  view.finish();
  busy(false);
  figures.replaceChildren(...closing(view.trace, note));
  log.scrollTop = log.scrollHeight;
  if (view.trace.text) conversation.push({ role: "assistant", content: view.trace.text });
  else if (conversation.at(-1)?.role === "user") giveBack(conversation.pop().content);
}

/** Puts a message that got no answer back where it can be sent again. */
function giveBack(content) {
  if ($("chat-input").value !== "") return;
  $("chat-input").value = content;
  grow();
}

function busy(isBusy) {
  running = isBusy ? new AbortController() : null;
  $("chat-send").hidden = isBusy;
  $("chat-stop").hidden = !isBusy;
  if (!isBusy && document.activeElement === document.body) $("chat-input").focus();
}

// MARK: Figures

function live(trace) {
  return `${plural(trace.tokens, "token")} · ${rate(trace.tokensPerSecond)} tokens/s`;
}

function closing(trace, note) {
  if (!trace.text) return [note];
  const parts = [plural(trace.tokens, "token")];
  if (Number.isFinite(trace.tokensPerSecond)) parts.push(`${rate(trace.tokensPerSecond)} tokens/s`);
  if (Number.isFinite(trace.tokensPerForward)) parts.push(`${digits(trace.tokensPerForward)} tokens per forward pass`);
  if (trace.drafted > 0) parts.push(`${whole(trace.accepted)} of ${whole(trace.drafted)} drafts accepted`);
  const { summary } = trace;
  if (summary) parts.push(`${summary.guarantee}, seed ${summary.seed}`);
  if (note) parts.push(note);
  else if (trace.reason === "length") parts.push("cut at the most tokens");
  return [
    h("span", {}, parts.join(" · ")),
    h("span", { class: "legend" }, trace.acceptedBy.map(([name, count]) => (
      h("span", { class: colourClass(name) }, h("i", { class: "swatch", "aria-hidden": "true" }), `${name} ${count}`)))),
    ...(summary?.warnings ?? []).map((warning) => h("span", { class: "fault" }, warning.message ?? JSON.stringify(warning))),
    copyButton(trace.text, "Copy the text"),
  ];
}

"""#),
("dom.js", "text/javascript; charset=utf-8", #"""
// Makes elements. Text always goes in as text, never as markup.

/** An element with attributes, listeners (`onclick` and so on) and children. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with an id. */
export const $ = (id) => document.getElementById(id);

/** A whole number with separators. */
export const whole = (value) => Math.round(value).toLocaleString("en");

/** A number with a fixed count of digits after the point; a dash where there is none. */
export function digits(value, count = 2) {
  return Number.isFinite(value) ? value.toFixed(count) : "–";
}

/** A speed: few digits, more for slow ones. */
export const rate = (value) => digits(value, value >= 100 ? 0 : 1);

/** One thing, several things. */
export const plural = (count, one, many = one + "s") => `${whole(count)} ${count === 1 ? one : many}`;

/** Bytes for people. */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${count} bytes` : `${value.toFixed(value >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** A time that is given in microseconds. */
export function time(microseconds) {
  if (!Number.isFinite(microseconds)) return "–";
  if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 2 : 1)} ms`;
  return `${(microseconds / 1e6).toFixed(2)} s`;
}

/** A button that copies a text. */
export function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", class: "quiet small" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}

/** What is kept in the browser between visits; nothing where that is not allowed. */
export const memory = {
  get(name) {
    try { return JSON.parse(localStorage.getItem(`foretoken.${name}`)); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(`foretoken.${name}`, JSON.stringify(value)); } catch { /* not kept */ }
  },
};

/** Keeps the value of a field between visits. */
export function remember(field) {
  const kept = memory.get(field.id);
  const fits = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === kept);
  if (typeof kept === "string" && fits) field.value = kept;
  field.addEventListener("change", () => memory.set(field.id, field.value));
}

"""#),
("icon.svg", "image/svg+xml", #"""
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none">
  <rect width="32" height="32" rx="8" fill="#0d6b60"/>
  <path d="M9 16h6l7-6.500M15 16l7 6.5" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>
  <circle cx="8.5" cy="16" r="3" fill="#fff"/>
  <circle cx="15.5" cy="16" r="3" fill="#fff"/>
  <circle cx="23" cy="9" r="3.2" fill="#7fe3d2"/>
  <circle cx="23" cy="23" r="2.6" fill="#0d6b60" stroke="#fff" stroke-width="1.8"/>
</svg>

"""#),
("index.html", "text/html; charset=utf-8", #"""
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content">
<meta name="color-scheme" content="light dark">
<title>Foretoken</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/studio.css">
<link rel="stylesheet" href="/views.css">
<script type="module" src="/studio.js"></script>
</head>
<body>
<svg class="symbols" aria-hidden="true">
  <symbol id="i-chat" viewBox="0 0 24 24"><path d="M4 5.5h16v11H9.5L4 20.5z"/></symbol>
  <symbol id="i-race" viewBox="0 0 24 24"><path d="M3 7.5h13M12.5 4l3.5 3.5-3.5 3.5M3 16.5h17M16.5 13l3.5 3.5-3.5 3.5"/></symbol>
  <symbol id="i-methods" viewBox="0 0 24 24"><path d="M8.5 6H20M8.5 12H20M8.5 18H20M4 6h.01M4 12h.01M4 18h.01"/></symbol>
  <symbol id="i-model" viewBox="0 0 24 24"><path d="M12 3.5 20.5 8 12 12.5 3.5 8zM3.5 12 12 16.5l8.5-4.5M3.5 16 12 20.5l8.5-4.5"/></symbol>
  <symbol id="i-metrics" viewBox="0 0 24 24"><path d="M3 14h4l3-8.5 4.5 13L17.5 11H21"/></symbol>
  <symbol id="i-theme" viewBox="0 0 24 24"><circle cx="12" cy="12" r="8.2"/><path d="M12 3.8a8.2 8.2 0 0 1 0 16.400z" class="fill"/></symbol>
  <symbol id="i-settings" viewBox="0 0 24 24"><path d="M4 7h9M19 7h1M4 17h1M11 17h9"/><circle cx="16" cy="7" r="2.6"/><circle cx="8" cy="17" r="2.6"/></symbol>
</svg>
<a class="skip" href="#content">Skip to the content</a>

<header class="side">
  <a class="brand" href="#chat"><img src="/icon.svg" width="28" height="28" alt=""><span>Foretoken</span></a>
  <nav aria-label="Views">
    <a href="#chat"><svg aria-hidden="true"><use href="#i-chat"/></svg><span>Chat</span></a>
    <a href="#race"><svg aria-hidden="true"><use href="#i-race"/></svg><span>Race</span></a>
    <a href="#methods"><svg aria-hidden="true"><use href="#i-methods"/></svg><span>Methods</span></a>
    <a href="#model"><svg aria-hidden="true"><use href="#i-model"/></svg><span>Model</span></a>
    <a href="#metrics"><svg aria-hidden="true"><use href="#i-metrics"/></svg><span>Metrics</span></a>
  </nav>
  <div class="foot">
    <p id="status" role="status"><span class="dot" aria-hidden="true"></span><span id="status-text">Asking the server…</span></p>
    <button type="button" class="quiet" id="theme"><svg aria-hidden="true"><use href="#i-theme"/></svg><span id="theme-text">Theme: system</span></button>
  </div>
</header>

<main id="content" tabindex="-1">

<section id="view-chat" class="view chat" aria-labelledby="chat-title">
  <div class="talk">
    <div class="bar">
      <h1 id="chat-title">Chat</h1>
      <div class="actions">
        <button type="button" class="quiet" id="chat-new">New chat</button>
        <button type="button" class="quiet" id="chat-settings-button" aria-expanded="false" aria-controls="chat-settings"><svg aria-hidden="true"><use href="#i-settings"/></svg><span>Settings</span></button>
      </div>
    </div>
    <div id="chat-log" class="log" role="log" aria-label="Conversation" tabindex="-1">
      <div id="chat-empty" class="empty">
        <h2>What shall the model write?</h2>
        <p>Tokens that a drafter guessed and the model confirmed are tinted. Point at any of them, or
        go through them with the arrow keys, to see what that step tried and what it cost.</p>
        <ul id="chat-ideas" class="ideas"></ul>
      </div>
    </div>
    <form id="chat-form" class="composer">
      <label class="hidden" for="chat-input">Message</label>
      <textarea id="chat-input" rows="1" placeholder="Message the model" enterkeyhint="send"></textarea>
      <button type="submit" class="main" id="chat-send">Send</button>
      <button type="button" class="stop" id="chat-stop" hidden>Stop</button>
    </form>
  </div>
  <aside id="chat-settings" class="settings" aria-label="Settings">
    <div class="bar"><h2>Settings</h2><button type="button" class="quiet narrow-only" id="chat-settings-close">Done</button></div>
    <label>Method<select id="set-method"></select></label>
    <p class="hint" id="set-method-hint"></p>
    <div class="pair">
      <label>Temperature<input id="set-temperature" type="number" min="0" max="2" step="0.1" value="0.7" inputmode="decimal"></label>
      <label>Seed<input id="set-seed" type="number" step="1" placeholder="random" inputmode="numeric"></label>
    </div>
    <label>Most tokens<input id="set-tokens" type="number" min="1" step="1" value="256" inputmode="numeric"></label>
    <label>System prompt<textarea id="set-system" rows="4" placeholder="The model's own"></textarea></label>
  </aside>
</section>

<section id="view-race" class="view page" aria-labelledby="race-title" hidden>
  <div class="bar"><h1 id="race-title">Race</h1></div>
  <p class="lead">Two methods write the same answer with the same seed. They run in turn, never at the same
  time, so that neither takes the processor from the other. Speeds are the server's own and leave the
  prompt out, which a later run may find in the cache.</p>
  <form id="race-form" class="card race-form">
    <label class="wide">Prompt<textarea id="race-prompt" rows="3"></textarea></label>
    <label>First method<select id="race-a"></select></label>
    <label>Second method<select id="race-b"></select></label>
    <label>Temperature<input id="race-temperature" type="number" min="0" max="2" step="0.1" value="0" inputmode="decimal"></label>
    <label>Seed<input id="race-seed" type="number" step="1" value="7" inputmode="numeric"></label>
    <label>Most tokens<input id="race-tokens" type="number" min="1" step="1" value="128" inputmode="numeric"></label>
    <label>Runs of each<select id="race-runs"><option value="1">1</option><option value="3" selected>3, in alternation</option><option value="5">5, in alternation</option></select></label>
    <div class="wide buttons">
      <button type="submit" class="main" id="race-start">Start the race</button>
      <button type="button" class="stop" id="race-stop" hidden>Stop</button>
      <span class="hint" id="race-progress" role="status"></span>
    </div>
  </form>
  <div id="race-verdict" class="verdict" role="status" hidden></div>
  <div id="race-lanes" class="lanes"></div>
  <p class="hint">Drafters that learn remember what they saw in earlier requests, so a race that is run again
  can be faster. Other requests on this server slow both methods down.</p>
</section>

<section id="view-methods" class="view page" aria-labelledby="methods-title" hidden>
  <div class="bar"><h1 id="methods-title">Methods</h1></div>
  <p class="lead" id="methods-lead">The catalogue of published decoding systems.</p>
  <form id="methods-form" class="filters" role="search" aria-label="Methods">
    <label class="grow"><span class="hidden">Search</span><input id="methods-search" type="search" placeholder="Search names, papers, descriptions"></label>
    <label><span class="hidden">Area</span><select id="methods-area"><option value="">Area</option></select></label>
    <label><span class="hidden">Guarantee</span><select id="methods-guarantee"><option value="">Guarantee</option></select></label>
    <label><span class="hidden">Status</span><select id="methods-status"><option value="">Status</option><option value="available">Available</option><option value="planned">Planned</option></select></label>
  </form>
  <p class="hint" id="methods-count" role="status"></p>
  <div id="methods-list" class="methods"></div>
</section>

<section id="view-model" class="view page" aria-labelledby="model-title" hidden>
  <div class="bar"><h1 id="model-title">Model</h1></div>
  <div id="model-body" class="stack"><p class="hint">Asking the server…</p></div>
</section>

<section id="view-metrics" class="view page" aria-labelledby="metrics-title" hidden>
  <div class="bar"><h1 id="metrics-title">Metrics</h1><span class="hint" id="metrics-note" role="status"></span></div>
  <div id="metrics-cards" class="cards"></div>
  <details class="card"><summary>All figures, as Prometheus reads them</summary><pre id="metrics-raw" class="raw" tabindex="0"></pre></details>
</section>

</main>

<div id="step" class="step-panel" role="region" aria-label="Step" hidden></div>
<div id="announcer" class="hidden" role="status"></div>

<dialog id="key-dialog" aria-labelledby="key-title">
  <form id="key-form">
    <h2 id="key-title">This server wants a key</h2>
    <p>It is kept until you close this tab, and sent to this server only.</p>
    <label>API key<input id="key-input" type="password" autocomplete="off" required></label>
    <div class="buttons"><button type="submit" class="main">Use it</button><button type="button" class="quiet" id="key-cancel">Cancel</button></div>
  </form>
</dialog>
</body>
</html>

"""#),
("methods.js", "text/javascript; charset=utf-8", #"""
// The method browser.

import { $, copyButton, h, plural } from "/dom.js";
import { catalogue, choices } from "/catalogue.js";

let use = () => {};

/** Sets the browser up; `useInChat` gets the choice that a person wants to try. */
export async function start(useInChat) {
  use = useInChat;
  const methods = await catalogue();
  fill($("methods-area"), methods.map((method) => method.area));
  fill($("methods-guarantee"), methods.map((method) => method.guarantee));
  const systems = methods.filter((method) => method.number !== null);
  const available = systems.filter((method) => method.status === "available").length;
  $("methods-lead").textContent = `${plural(systems.length, "published decoding system")}, of which ${available} can be `
    + `used today, and ${methods.length - systems.length} more that they build on or that join them.`;
  $("methods-form").addEventListener("input", () => show(methods));
  $("methods-form").addEventListener("submit", (event) => event.preventDefault());
  show(methods);
}

function fill(select, values) {
  select.append(...[...new Set(values)].sort().map((value) => h("option", { value }, value)));
}

function show(methods) {
  const words = $("methods-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = ["area", "guarantee", "status"].map((key) => [key, $(`methods-${key}`).value]);
  const found = methods.filter((method) => {
    const text = [method.number, method.name, method.card, method.summary, method.paper?.title, method.example]
      .join(" ").toLowerCase();
    return chosen.every(([key, value]) => value === "" || method[key] === value)
      && words.every((word) => text.includes(word));
  });
  $("methods-count").textContent = found.length === methods.length
    ? `${found.length} entries` : `${found.length} of ${methods.length} entries`;
  $("methods-list").replaceChildren(...found.map(entry));
}

function entry(method) {
  return h("details", { class: "method" },
    h("summary", {},
      h("span", { class: "number" }, method.number ?? "–"),
      h("span", { class: "name" }, method.name),
      h("span", { class: "what" }, method.summary),
      h("span", { class: "badges" },
        h("span", { class: `badge ${method.guarantee}` }, method.guarantee),
        h("span", { class: `badge ${method.status}` }, method.status))),
    h("div", { class: "method-body" },
      h("dl", { class: "facts" },
        fact("Area", method.area),
        fact("Selected by", method.option ? `${method.option} ${method.values.join(", ")}` : null),
        fact("Paper", method.paper ? h("a", { href: method.paper.url, rel: "noreferrer", target: "_blank" }, method.paper.title) : null)),
      h("p", { class: "command" }, h("code", {}, method.example), copyButton(method.example)),
      method.status === "planned" ? h("p", { class: "hint" }, "Planned: the command is what it will be.") : null,
      h("div", { class: "buttons" }, choices(method).map((choice) => (
        h("button", { type: "button", onclick: () => use(choice) }, `Use ${choice.split(":")[1]} in the chat`))))));
}

function fact(name, value) {
  return value === null ? null : h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

"""#),
("metrics.js", "text/javascript; charset=utf-8", #"""
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

"""#),
("model.js", "text/javascript; charset=utf-8", #"""
// The model inspector.

import { $, bytes, copyButton, h, plural, whole } from "/dom.js";
import { getJSON } from "/api.js";

/** Shows the model that is served now. */
export async function show() {
  let facts;
  try {
    facts = await getJSON("/foretoken/model");
  } catch (error) {
    $("model-body").replaceChildren(h("p", { class: "fault", role: "alert" }, error.message));
    return;
  }
  $("model-body").replaceChildren(headline(facts), shape(facts), ...file(facts));
}

function headline(facts) {
  const name = facts.metadata?.["general.name"];
  const license = facts.metadata?.["general.license"];
  return h("header", { class: "model-head" },
    h("h2", {}, facts.id),
    h("p", { class: "hint" }, [name, facts.metadata?.["general.organization"], license && `licence ${license}`].filter(Boolean).join(" · ")));
}

function shape(facts) {
  const tiles = [
    ["Architecture", facts.architecture],
    ["Parameters", facts.parameters ? short(facts.parameters) : null],
    ["Weights", facts.quantization ? `${facts.quantization}, ${bytes(facts.bytes)}` : null],
    ["Layers", whole(facts.layers)],
    ["Width", `${whole(facts.hidden_size)}, feed-forward ${whole(facts.feed_forward_size)}`],
    ["Heads", `${facts.heads} of ${facts.head_dimension}, ${facts.key_value_heads} for keys and values`],
    ["Vocabulary", plural(facts.vocabulary, "token")],
    ["Context", `${whole(facts.context)}, served ${whole(facts.served_context)}`],
    ["Window", facts.sliding_window ? plural(facts.sliding_window, "token") : null],
    ["Keys and values", facts.kv_type],
    ["Threads", String(facts.threads)],
    ["Chat template", facts.chat ? "yes" : "none"],
  ];
  return h("dl", { class: "tiles" }, tiles.filter(([, value]) => value).map(([name, value]) => (
    h("div", { class: "card" }, h("dt", {}, name), h("dd", {}, value)))));
}

const short = (count) => (count >= 1e9 ? `${(count / 1e9).toFixed(2)} billion` : `${(count / 1e6).toFixed(1)} million`);

// MARK: The file

const parts = [
  ["Embedding", /^token_embd/], ["Attention", /attn_(q|k|v|output|qkv)\b/], ["Feed-forward", /ffn_(up|down|gate)\b/],
  ["Output", /^output\.weight/], ["Norms and the rest", /./],
];

function file(facts) {
  if (!facts.tensors) return [h("p", { class: "hint" }, "The file of the model cannot be read any more.")];
  const metadata = Object.entries(facts.metadata);
  return [
    h("section", { class: "card", "aria-labelledby": "bytes-title" },
      h("h3", { id: "bytes-title" }, "Where the bytes are"), share(facts.tensors)),
    h("section", { class: "card", "aria-labelledby": "types-title" },
      h("h3", { id: "types-title" }, "Weights by type"), typeTable(facts.tensors)),
    h("details", { class: "card" }, h("summary", {}, plural(facts.tensors.length, "tensor")), tensorTable(facts.tensors)),
    h("details", { class: "card" }, h("summary", {}, plural(metadata.length, "metadata key")), metadataTable(metadata)),
  ];
}

const sum = (tensors, value) => tensors.reduce((total, tensor) => total + value(tensor), 0);
const elements = (tensor) => tensor.shape.reduce((product, size) => product * size, 1);

function share(tensors) {
  const groups = parts.map(([name]) => ({ name, count: 0 }));
  for (const tensor of tensors) {
    groups[parts.findIndex(([, pattern]) => pattern.test(tensor.name))].count += tensor.bytes ?? 0;
  }
  const total = sum(tensors, (tensor) => tensor.bytes ?? 0);
  const bar = h("div", { class: "share-bar", "aria-hidden": "true" });
  const list = h("p", { class: "legend" });
  groups.filter(({ count }) => count > 0).forEach(({ name, count }, i) => {
    const part = h("span", { class: `share-${i}` });
    part.style.flexGrow = String(count);
    bar.append(part);
    list.append(h("span", {}, h("i", { class: `swatch share-${i}`, "aria-hidden": "true" }),
      `${name} ${bytes(count)}, ${(100 * count / total).toFixed(1)} %`));
  });
  return h("div", {}, bar, list);
}

function typeTable(tensors) {
  const groups = Map.groupBy ? Map.groupBy(tensors, (tensor) => tensor.type) : group(tensors);
  const rows = [...groups].map(([type, list]) => ({ type, list, size: sum(list, (tensor) => tensor.bytes ?? 0) }))
    .sort((a, b) => b.size - a.size);
  return table(["Type", "Tensors", "Parameters", "Size", "Bits each"], rows.map(({ type, list, size }) => [
    type, whole(list.length), whole(sum(list, elements)), bytes(size), (8 * size / sum(list, elements)).toFixed(2),
  ]));
}

function group(tensors) {
  const groups = new Map();
  for (const tensor of tensors) groups.set(tensor.type, [...groups.get(tensor.type) ?? [], tensor]);
  return groups;
}

function tensorTable(tensors) {
  return table(["Tensor", "Type", "Shape", "Size"], tensors.map((tensor) => [
    tensor.name, tensor.type, tensor.shape.join(" × "), tensor.bytes === null ? "–" : bytes(tensor.bytes),
  ]));
}

function metadataTable(entries) {
  return table(["Key", "Value"], entries.map(([key, value]) => {
    const text = String(value);
    return [key, text.length < 120 ? text : h("div", { class: "long" }, h("pre", { tabindex: 0 }, text), copyButton(text))];
  }));
}

/** A table that scrolls by itself where it is too wide. */
function table(names, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Table of ${names[0].toLowerCase()}s` },
    h("table", {},
      h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) => (
        i === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell))))))));
}

"""#),
("race.js", "text/javascript; charset=utf-8", #"""
// The race: two methods, one prompt, one seed.

import { $, digits, h, plural, rate, remember, whole } from "/dom.js";
import { chatRequest, getHealth, numberIn, streamChat } from "/api.js";
import { AnswerView } from "/answer.js";
import { drawsNothing, fillMethods, methodOf } from "/catalogue.js";
import { StepPanel } from "/step.js";
import { colourClass } from "/trace.js";

const prompt = "Repeat the following letter word for word, but write Maria instead of Anna:\n\nDear Anna,\n\nThank you for your letter of Monday. I am glad that you and your sister arrived safely, and that the weather was kind to you on the way. The garden here is full of roses now, and the children play in it from morning to evening. We hope to see you both in August, when the harvest is over and the house is quiet again.\n\nWith best wishes,\nMartin";

let running = null;
let isSetUp = false;

/** Sets the race up. */
export async function start() {
  if (!isSetUp) setUp();
  await fillMethods($("race-a"), "speculation:copy");
  await fillMethods($("race-b"), "speculation:none");
  for (const id of ["race-a", "race-b"]) remember($(id));
}

function setUp() {
  isSetUp = true;
  $("race-prompt").value = prompt;
  $("race-form").addEventListener("submit", (event) => {
    event.preventDefault();
    race();
  });
  $("race-stop").addEventListener("click", () => running?.abort());
  for (const id of ["race-prompt", "race-temperature", "race-seed", "race-tokens", "race-runs"]) remember($(id));
}

// MARK: A lane

/** One of the two methods: its texts and speeds over all runs, and the latest run on the page. */
class Lane {
  runs = [];
  #figures = {};

  constructor(letter, choice, method) {
    this.choice = choice;
    this.name = choice.split(":")[1];
    this.method = method;
    this.text = h("div", { class: "lane-text" });
    const figure = (key, label) => {
      this.#figures[key] = h("b", {}, "–");
      return h("div", {}, this.#figures[key], h("span", {}, label));
    };
    this.legend = h("p", { class: "legend" });
    this.element = h("article", { class: "card lane", "aria-label": `${letter} method, ${this.name}` },
      h("header", {}, h("h2", {}, this.name), h("span", { class: `badge ${method.guarantee}` }, method.guarantee)),
      h("div", { class: "lane-figures" },
        figure("speed", "tokens/s"), figure("forward", "tokens per forward"), figure("accepted", "drafts accepted")),
      this.legend, this.text);
    this.element.dataset.lane = letter;
  }

  /** Makes room for the next run. */
  open() {
    this.view = new AnswerView(`Answer of ${this.name}`);
    this.text.replaceChildren(this.view.element);
    this.element.classList.add("active");
  }

  /** Shows the figures of the run so far. */
  update() {
    const { trace } = this.view;
    this.#figures.speed.textContent = rate(trace.tokensPerSecond);
    this.#figures.forward.textContent = digits(trace.tokensPerForward);
    this.#figures.accepted.textContent = trace.drafted > 0 ? `${whole(trace.accepted)} of ${whole(trace.drafted)}` : "–";
  }

  /** Ends the run. */
  close() {
    const { trace } = this.view;
    this.view.finish();
    this.element.classList.remove("active");
    this.runs.push({ text: trace.text, speed: trace.tokensPerSecond, tokens: trace.tokens });
    this.update();
    this.#figures.speed.textContent = rate(this.speed);
    this.legend.replaceChildren(...trace.acceptedBy.map(([name, count]) => (
      h("span", { class: colourClass(name) }, h("i", { class: "swatch", "aria-hidden": "true" }), `${name} ${count}`))));
  }

  /** Median of the runs. */
  get speed() { return median(this.runs.map((run) => run.speed)); }
}

function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// MARK: Running

function busy(isBusy) {
  running = isBusy ? new AbortController() : null;
  $("race-start").hidden = isBusy;
  $("race-stop").hidden = !isBusy;
}

async function race() {
  if (running || !$("race-form").reportValidity()) return;
  StepPanel.close();
  $("race-verdict").hidden = true;
  busy(true);
  const choice = [$("race-a").value, $("race-b").value];
  const lanes = [
    new Lane("First", choice[0], await methodOf(choice[0])), new Lane("Second", choice[1], await methodOf(choice[1])),
  ];
  $("race-lanes").replaceChildren(...lanes.map((lane) => lane.element));
  $("race-lanes").scrollIntoView({ block: "nearest", behavior: "smooth" });
  try {
    const others = await othersRunning();
    await runAll(lanes);
    verdict(lanes, others);
    $("race-progress").textContent = "";
  } catch (error) {
    for (const lane of lanes) lane.element.classList.remove("active");
    $("race-progress").textContent = error.name === "AbortError" ? "Stopped." : "";
    if (error.name !== "AbortError") showFault(error);
  }
  busy(false);
}

async function othersRunning() {
  const { running: count, waiting } = await getHealth();
  return count + waiting;
}

/** All runs, in alternation: who begins changes from pair to pair. */
async function runAll(lanes) {
  const pairs = Number($("race-runs").value);
  const temperature = numberIn($("race-temperature")) ?? 0;
  const seed = numberIn($("race-seed")) ?? 7;
  const tokens = numberIn($("race-tokens")) ?? 128;
  for (let pair = 0; pair < pairs; pair += 1) {
    const order = pair % 2 ? [lanes[1], lanes[0]] : lanes;
    for (const lane of order) {
      $("race-progress").textContent = `Run ${pair + 1} of ${pairs}: ${lane.name} writes`;
      await runOne(lane, chatRequest({
        messages: [{ role: "user", content: $("race-prompt").value }],
        method: lane.choice,
        temperature: drawsNothing(lane.choice) ? 0 : temperature,
        seed,
        tokens,
      }));
    }
  }
}

async function runOne(lane, request) {
  lane.open();
  let next = 0;
  for await (const chunk of streamChat(request, running.signal)) {
    lane.view.take(chunk);
    if (performance.now() > next && lane.view.trace.begin !== null) {
      lane.update();
      next = performance.now() + 100;
    }
  }
  lane.close();
}

// MARK: Verdict

/** The first byte where two texts differ; null if there is none. */
function firstDifference(left, right) {
  const [a, b] = [left, right].map((text) => new TextEncoder().encode(text));
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i += 1) if (a[i] !== b[i]) return i;
  return null;
}

function verdict([first, second], others) {
  const reference = first.runs[0].text;
  const differences = [...first.runs, ...second.runs].map((run) => firstDifference(reference, run.text))
    .filter((at) => at !== null);
  const agree = differences.length === 0;
  const size = new TextEncoder().encode(reference).length;
  const ratios = first.runs.map((run, i) => run.speed / second.runs[i].speed);
  const box = $("race-verdict");
  box.className = `verdict ${agree ? "yes" : "no"}`;
  box.replaceChildren(...[
    h("strong", {}, `bytes agree: ${agree ? "yes" : "no"}`),
    h("span", {}, agree
      ? `${whole(size)} bytes, ${plural(first.runs[0].tokens, "token")}, seed ${$("race-seed").value}`
      : `the first difference is at byte ${whole(Math.min(...differences))}${expected([first, second])}`),
    h("span", {}, `ratio ${digits(median(ratios))} (${first.name} : ${second.name}`
      + `${ratios.length > 1 ? `, median of ${ratios.length} pairs, ${spread(ratios)}` : ", one pair"})`),
    others > 0 ? h("span", {}, `Other requests were running: ${others}. Speeds are lower than alone.`) : null,
  ].filter(Boolean));
  box.hidden = false;
}

const spread = (ratios) => `${digits(Math.min(...ratios))} – ${digits(Math.max(...ratios))}`;

/** Whether a difference is one that the methods allow. */
function expected(lanes) {
  const loose = lanes.filter((lane) => lane.method.guarantee !== "bitwise");
  return loose.length > 0 ? `, as ${loose.map((lane) => lane.name).join(" and ")} may` : "";
}

function showFault(error) {
  const box = $("race-verdict");
  box.className = "verdict no";
  box.replaceChildren(h("span", {}, error.message));
  box.hidden = false;
}

"""#),
("step.js", "text/javascript; charset=utf-8", #"""
// The panel that shows one step: what was drafted, with which probabilities, what it cost.

import { $, digits, h, plural, time, whole } from "/dom.js";
import { colourClass } from "/trace.js";

const outcomes = {
  plain: "Nothing was drafted: the model wrote one token.",
  all_accepted: "A whole path of the drafts is what the model wrote.",
  mismatch: "The model wrote something that was not drafted here.",
  rejected: "A sampling test turned a draft down.",
  stopped: "The text ends in this step.",
};

let span = null;
let isPinned = false;
let timer = 0;

/** The panel; the page has one. */
export const StepPanel = {
  /** Shows a step beside its text. */
  show(trace, index, anchor, how) {
    clearTimeout(timer);
    if (isPinned && how === "hover") return;
    timer = setTimeout(() => open(trace, index, anchor, how), how === "hover" ? 90 : 0);
  },
  /** The pointer has left the text. */
  leave() {
    clearTimeout(timer);
    if (!isPinned) timer = setTimeout(close, 220);
  },
  /** The text has lost the focus. */
  blur() { if (!$("step").contains(document.activeElement)) this.leave(); },
  close,
};

function open(trace, index, anchor, how) {
  if (!anchor?.isConnected) return;
  const panel = $("step");
  span?.classList.remove("current");
  span = anchor;
  span.classList.add("current");
  isPinned = how === "pinned" || how === "keyboard";
  const step = trace.steps[index];
  panel.replaceChildren(head(step, index), ...body(step, index));
  panel.hidden = false;
  panel.scrollTop = 0;
  place(panel, anchor);
  if (how === "keyboard") $("announcer").textContent = spoken(step, index);
}

function close() {
  clearTimeout(timer);
  isPinned = false;
  span?.classList.remove("current");
  span = null;
  $("step").hidden = true;
}

/** Below the end of the text if there is room, else above it; the style sheet has its own place on phones. */
function place(panel, anchor) {
  const rects = anchor.getClientRects();
  const rect = rects[0] ?? anchor.getBoundingClientRect();
  const last = rects[rects.length - 1] ?? rect;
  const width = panel.offsetWidth;
  const height = panel.offsetHeight;
  const below = last.bottom + 8;
  const fits = below + height < innerHeight - 8 || rect.top - 8 < height;
  const left = fits ? last.left : rect.left;
  panel.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  panel.style.top = `${fits ? Math.max(8, Math.min(below, innerHeight - height - 8)) : rect.top - height - 8}px`;
}

document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
document.addEventListener("pointerdown", (event) => {
  if (!$("step").contains(event.target) && !event.target.closest?.(".answer")) close();
});
addEventListener("scroll", (event) => {
  if ($("step").hidden || $("step").contains(event.target)) return;
  if (isPinned) place($("step"), span);
  else close();
}, true);
addEventListener("resize", close);
$("step").addEventListener("pointerenter", () => clearTimeout(timer));
$("step").addEventListener("pointerleave", () => StepPanel.leave());

// MARK: Contents

function spoken(step, index) {
  const drafters = [...new Set(step.accepted.map((node) => step.drafters[step.draft_origins[node]]))];
  const from = drafters.length ? ` from ${drafters.join(" and ")}` : "";
  return `Step ${index + 1}: ${step.emitted_texts.join("")}. ${step.accepted.length} of `
    + `${plural(step.draft_tokens.length, "drafted token")} accepted${from}, ${time(total(step.costs))}.`;
}

const total = (costs) => costs.draft_us + costs.forward_us + costs.verify_us;

function head(step, index) {
  return h("div", { class: "step-head" },
    h("strong", {}, index === 0 ? "Step 1, the prompt's pass" : `Step ${index + 1}`),
    h("span", { class: "hint" }, `${plural(step.emitted.length, "token")} in one forward pass`),
    h("button", { type: "button", class: "quiet small", "aria-label": "Close", onclick: close }, "✕"));
}

function body(step, index) {
  const parts = [h("p", { class: "hint" }, index === 0 ? "The pass over the prompt gives the first token." : outcomes[step.outcome])];
  if (step.draft_tokens.length > 0) parts.push(tree(step), drafterList(step));
  parts.push(costBar(step.costs));
  if (step.plan && index > 0) parts.push(...planLines(step.plan));
  return parts;
}

/** A token with its blanks made visible. */
export function visible(text) {
  const marks = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍" };
  return [...text.matchAll(/[ \n\t\r]+|[^ \n\t\r]+/g)].map(([part]) => (
    part[0] in marks ? h("span", { class: "blank" }, [...part].map((c) => marks[c]).join("")) : part));
}

/** The drafted nodes as nested lists: a line is a path without branches. */
function tree(step) {
  const children = new Map([[-1, []]]);
  step.draft_tokens.forEach((_, node) => children.set(node, []));
  step.draft_parents.forEach((parent, node) => children.get(parent).push(node));
  const accepted = new Set(step.accepted);
  for (const list of children.values()) list.sort((a, b) => accepted.has(b) - accepted.has(a));
  // The model's own token hangs below the last node that was accepted.
  if (step.emitted.length > step.accepted.length) {
    children.get(step.accepted.at(-1) ?? -1).unshift("own");
    children.set("own", []);
  }
  return h("div", { class: "tree", role: "img", "aria-label": treeLabel(step) }, branches(-1, step, children, accepted));
}

function treeLabel(step) {
  const nodes = step.draft_texts.map((text, node) => (
    `${text.trim() || "blank"} ${digits(step.draft_probabilities[node])}`
    + (step.accepted.includes(node) ? " accepted" : "")));
  return `Draft tree: ${nodes.join(", ")}`;
}

function branches(parent, step, children, accepted) {
  return h("ul", {}, children.get(parent).map((first) => {
    const line = h("div", { class: "path" });
    let node = first;
    line.append(chip(node, step, accepted));
    while (children.get(node).length === 1) {
      [node] = children.get(node);
      line.append(chip(node, step, accepted));
    }
    return h("li", {}, line, children.get(node).length > 1 ? branches(node, step, children, accepted) : null);
  }));
}

function chip(node, step, accepted) {
  if (node === "own") {
    return h("span", { class: "chip own", title: "the model's own token" },
      h("span", {}, visible(step.emitted_texts.at(-1))), h("small", {}, "model"));
  }
  const drafter = step.drafters[step.draft_origins[node]];
  const proposers = step.draft_proposers?.[node];
  const names = proposers === undefined ? [drafter] : step.drafters.filter((_, i) => proposers & (1 << i));
  const state = accepted.has(node) ? "accepted" : "not used";
  return h("span", {
    class: `chip ${colourClass(drafter)} ${accepted.has(node) ? "accepted" : ""}`,
    title: `drafted by ${names.join(", ")}; ${state}`,
  }, h("span", {}, visible(step.draft_texts[node])), h("small", {}, digits(step.draft_probabilities[node])));
}

/** Who drafted how many nodes. */
function drafterList(step) {
  const counts = new Map();
  step.draft_origins.forEach((origin, node) => {
    const name = step.drafters[origin];
    const count = counts.get(name) ?? { drafted: 0, accepted: 0 };
    count.drafted += 1;
    if (step.accepted.includes(node)) count.accepted += 1;
    counts.set(name, count);
  });
  return h("p", { class: "legend" }, [...counts].map(([name, { drafted, accepted }]) => (
    h("span", { class: colourClass(name) }, h("i", { class: "swatch", "aria-hidden": "true" }),
      `${name}: ${accepted} of ${drafted} accepted`))));
}

function costBar(costs) {
  const parts = [["draft", costs.draft_us], ["forward", costs.forward_us], ["verify", costs.verify_us]];
  const bar = h("div", { class: "cost-bar", "aria-hidden": "true" });
  for (const [name, value] of parts) {
    const part = h("span", { class: `cost-${name}` });
    part.style.flexGrow = String(Math.max(value, 0));
    bar.append(part);
  }
  return h("div", { class: "cost" }, bar,
    h("p", {}, parts.map(([name, value]) => (
      h("span", {}, h("i", { class: `swatch cost-${name}`, "aria-hidden": "true" }), `${name} ${time(value)}`))),
    h("span", {}, plural(costs.forward_rows, "row"))));
}

function planLines(plan) {
  const { chosen } = plan;
  const lines = [h("p", { class: "plan" },
    `Planned: ${plural(chosen.nodes, "node")} of ${whole(plan.proposed)} proposed, for `
    + `${digits(chosen.expected_tokens)} tokens in ${time(chosen.us)} `
    + `(1 token in ${time(plan.plain_us)} without drafts).`)];
  const asked = plan.members.filter((member) => member.note || (member.asked && member.proposed > 0));
  if (asked.length > 0) {
    lines.push(h("ul", { class: "members" }, asked.map((member) => h("li", {},
      h("b", {}, member.drafter), " ",
      member.asked ? `${member.proposed} proposed, ${member.kept} kept` : "passed over",
      member.note ? `, ${member.note}` : ""))));
  }
  return lines;
}

"""#),
("studio.css", "text/css; charset=utf-8", #"""
/* The frame of the page, and what all views share. Colours come in pairs: light, dark. */

:root {
  color-scheme: light dark;
  --ground: light-dark(#faf9f6, #131517);
  --panel: light-dark(#ffffff, #1a1d20);
  --raised: light-dark(#f2f0ea, #23272b);
  --line: light-dark(#e4e0d7, #2d3237);
  --text: light-dark(#1e2124, #e9e8e4);
  --dim: light-dark(#62666d, #a0a5ac);
  --accent: light-dark(#0d6b60, #68d3c0);
  --on-accent: light-dark(#ffffff, #0c2420);
  --accent-soft: light-dark(#e0f0ec, #1c3632);
  --red: light-dark(#a8322d, #f19a92);
  --red-soft: light-dark(#fbe9e7, #3b2221);
  --shadow: 0 1px 2px rgb(0 0 0 / 6%), 0 10px 30px rgb(0 0 0 / 14%);
  --radius: 12px;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", "DejaVu Sans Mono", monospace;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
  font-synthesis-weight: auto;
  -webkit-text-size-adjust: 100%;
}
:root[data-theme="light"] { color-scheme: light; }
:root[data-theme="dark"] { color-scheme: dark; }

*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--text); display: grid; grid-template-columns: 212px minmax(0, 1fr); min-height: 100dvh; }
h1, h2, h3, p, dl, dd, ul, figure { margin: 0; padding: 0; }
ul { list-style: none; }
h1 { font-size: 1.375rem; font-weight: 650; letter-spacing: -0.012em; }
h2 { font-size: 1.0625rem; font-weight: 620; }
h3 { font-size: 0.9375rem; font-weight: 620; }
a { color: var(--accent); text-underline-offset: 0.18em; }
code, pre { font-family: var(--mono); font-size: 0.8125rem; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 6px; }
main:focus, .log:focus { outline: none; }
.symbols { display: none; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: fixed; left: 1rem; top: 0.75rem; transform: translateY(-6rem); z-index: 30; background: var(--panel); padding: 0.5rem 0.9rem; border-radius: 8px; box-shadow: var(--shadow); }
.skip:focus { transform: none; }
.hint { color: var(--dim); font-size: 0.8125rem; line-height: 1.45; }
.fault { color: var(--red); background: var(--red-soft); border-radius: 8px; padding: 0.5rem 0.75rem; font-size: 0.875rem; }

/* The side */

.side { position: sticky; top: 0; height: 100dvh; display: flex; flex-direction: column; gap: 1.5rem; padding: 1.25rem 0.875rem 1rem; border-right: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: 0.625rem; padding: 0 0.5rem; color: var(--text); text-decoration: none; font-weight: 650; letter-spacing: -0.01em; font-size: 1.0625rem; }
.brand img { display: block; }
nav { display: grid; gap: 2px; }
nav a { display: flex; align-items: center; gap: 0.6875rem; padding: 0.5rem 0.625rem; border-radius: 9px; color: var(--dim); text-decoration: none; font-size: 0.9375rem; font-weight: 500; transition: background 0.12s, color 0.12s; }
@media (hover: hover) { nav a:hover { background: var(--raised); color: var(--text); } }
nav a[aria-current] { background: var(--accent-soft); color: var(--accent); }
nav svg, button svg { width: 20px; height: 20px; flex: none; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
button svg { width: 18px; height: 18px; }
.fill { fill: currentColor; stroke: none; }
.foot { margin-top: auto; display: grid; gap: 0.5rem; }
#status { display: flex; gap: 0.55rem; align-items: baseline; padding: 0 0.625rem; font-size: 0.8125rem; color: var(--dim); overflow-wrap: anywhere; line-height: 1.4; }
.dot { flex: none; width: 8px; height: 8px; border-radius: 50%; background: var(--dim); }
#status[data-state="ok"] .dot { background: light-dark(#23a188, #46c8ae); }
#status[data-state="draining"] .dot { background: light-dark(#c98a17, #e9b44c); }
#status[data-state="gone"] .dot { background: var(--red); }

/* Controls */

button { font: inherit; font-size: 0.875rem; font-weight: 530; color: var(--text); background: var(--panel); border: 1px solid var(--line); border-radius: 9px; padding: 0.4375rem 0.875rem; cursor: pointer; display: inline-flex; align-items: center; justify-content: center; gap: 0.45rem; transition: background 0.12s, border-color 0.12s; }
button:hover { background: var(--raised); }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button.main:hover { filter: brightness(1.08); }
button.stop { border-color: var(--red); color: var(--red); }
button.stop:hover { background: var(--red-soft); }
button.quiet { background: none; border-color: transparent; color: var(--dim); padding: 0.4375rem 0.625rem; }
button.quiet:hover { background: var(--raised); color: var(--text); }
button.small { font-size: 0.75rem; padding: 0.125rem 0.5rem; border-radius: 7px; }
.foot button { justify-content: flex-start; font-size: 0.8125rem; }
.narrow-only { display: none; }
label { display: grid; gap: 0.3rem; font-size: 0.8125rem; font-weight: 530; color: var(--dim); }
input, select, textarea { font: inherit; font-size: 0.9375rem; font-weight: 400; color: var(--text); background: var(--panel); border: 1px solid var(--line); border-radius: 9px; padding: 0.4375rem 0.625rem; width: 100%; min-width: 0; }
input, select { height: 2.4375rem; }
select { text-overflow: ellipsis; }
textarea { resize: vertical; line-height: 1.5; }
input:hover, select:hover, textarea:hover { border-color: light-dark(#cdc8bc, #41474e); }
input:focus-visible, select:focus-visible, textarea:focus-visible { outline-offset: -1px; border-radius: 9px; }
input:user-invalid { border-color: var(--red); }
::placeholder { color: light-dark(#85888e, #82878e); opacity: 1; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.75rem; }
.buttons { display: flex; gap: 0.5rem; align-items: center; flex-wrap: wrap; }

/* Pages */

.page { max-width: 1080px; margin: 0 auto; padding: 1.5rem 2rem 4rem; display: grid; gap: 1.125rem; align-content: start; }
.bar { display: flex; align-items: center; justify-content: space-between; gap: 1rem; min-height: 2.25rem; }
.actions { display: flex; gap: 0.25rem; }
.lead { max-width: 44rem; color: var(--dim); }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: var(--radius); padding: 1rem 1.125rem; }
.stack { display: grid; gap: 1rem; }
.badge { display: inline-block; font-size: 0.6875rem; font-weight: 600; line-height: 1; padding: 0.28rem 0.5rem; border-radius: 99px; background: var(--raised); color: var(--dim); white-space: nowrap; }
.badge.bitwise { background: var(--accent-soft); color: var(--accent); }
.badge.distribution { background: light-dark(#e6edfa, #202e47); color: light-dark(#31589c, #9fbcf0); }
.badge.approximate { background: light-dark(#f8eedb, #3b2f1a); color: light-dark(#865c0f, #e6bf7c); }
.badge.available { background: none; border: 1px solid currentColor; padding: calc(0.28rem - 1px) 0.5rem; color: var(--accent); }
.badge.planned { background: none; border: 1px dashed var(--line); padding: calc(0.28rem - 1px) 0.5rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 0.875rem; font-size: 0.8125rem; color: var(--dim); }
.legend > span { display: inline-flex; align-items: center; gap: 0.375rem; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; background: var(--tint, var(--raised)); border-bottom: 2px solid var(--ink, transparent); flex: none; }
summary { cursor: pointer; }
dialog { border: 1px solid var(--line); border-radius: var(--radius); background: var(--panel); color: var(--text); box-shadow: var(--shadow); padding: 1.5rem; width: min(26rem, calc(100vw - 2rem)); }
dialog::backdrop { background: rgb(0 0 0 / 40%); }
dialog form { display: grid; gap: 0.875rem; }
dialog p { color: var(--dim); font-size: 0.875rem; }

/* Drafters: a tint for the ground, an ink for lines. */

.drafter-0 { --hue: 178; } .drafter-1 { --hue: 75; } .drafter-2 { --hue: 300; }
.drafter-3 { --hue: 12; } .drafter-4 { --hue: 250; } .drafter-5 { --hue: 140; }
.drafter-6 { --hue: 45; } .drafter-7 { --hue: 340; } .drafter-8 { --hue: 215; }
[class*="drafter-"] {
  --tint: light-dark(oklch(0.925 0.055 var(--hue)), oklch(0.37 0.065 var(--hue)));
  --ink: light-dark(oklch(0.58 0.125 var(--hue)), oklch(0.76 0.115 var(--hue)));
}
.token.drafted { background: var(--tint); box-shadow: inset 0 -2px 0 var(--ink); }

@media (max-width: 820px) {
  body { display: block; padding-bottom: calc(60px + env(safe-area-inset-bottom)); }
  .side { position: static; height: auto; flex-direction: row; align-items: center; gap: 0.75rem; padding: 0.5rem 1rem; border: 0; border-bottom: 1px solid var(--line); }
  .side nav { position: fixed; inset: auto 0 0; z-index: 10; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 0; padding: 4px 6px calc(4px + env(safe-area-inset-bottom)); background: var(--panel); border-top: 1px solid var(--line); }
  nav a { flex-direction: column; gap: 1px; padding: 0.3rem 0.2rem; font-size: 0.6875rem; }
  .brand { padding: 0; font-size: 1rem; }
  .foot { margin: 0 0 0 auto; display: flex; align-items: center; gap: 0.25rem; min-width: 0; }
  #status { padding: 0; font-size: 0.75rem; min-width: 0; }
  #status-text { overflow: hidden; text-overflow: ellipsis; display: -webkit-box; -webkit-line-clamp: 1; -webkit-box-orient: vertical; }
  .foot button { padding: 0.5rem; }
  #theme-text { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .page { padding: 1rem 1rem 2.5rem; }
  input, select, textarea { font-size: 1rem; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; scroll-behavior: auto !important; } }
@media (forced-colors: active) { .token.drafted { text-decoration: underline; } }

"""#),
("studio.js", "text/javascript; charset=utf-8", #"""
// The page: which view is shown, how the server is, light or dark.

import { $, memory } from "/dom.js";
import { getHealth, useKey } from "/api.js";
import * as chat from "/chat.js";
import * as race from "/race.js";
import * as methods from "/methods.js";
import * as model from "/model.js";
import * as metrics from "/metrics.js";
import { StepPanel } from "/step.js";

const views = ["chat", "race", "methods", "model", "metrics"];
const started = new Set();
let chatScroll = 0;

// MARK: Views

const starters = {
  chat: () => chat.start(),
  race: () => race.start(),
  methods: () => methods.start((choice) => {
    whenStarted("chat").then(() => chat.use(choice));
    location.hash = "chat";
  }),
};

async function whenStarted(name) {
  if (started.has(name) || !starters[name]) return;
  started.add(name);
  try {
    await starters[name]();
  } catch (error) {
    started.delete(name);
    // A dialog asks for a missing key.
    if (error.status !== 401) $("status-text").textContent = error.message;
  }
}

function showView() {
  const wanted = location.hash.slice(1);
  if (wanted === "content") return;
  const name = views.includes(wanted) ? wanted : "chat";
  StepPanel.close();
  // A view that is not shown forgets how far it was scrolled.
  const log = $("chat-log");
  if (!$("view-chat").hidden) chatScroll = log.scrollTop;
  for (const view of views) $(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "chat") log.scrollTop = chatScroll;
  document.title = `${$(`${name}-title`).textContent} · Foretoken`;
  if (name === "metrics") metrics.start();
  else metrics.stop();
  if (name === "model") model.show();
  whenStarted(name);
}

addEventListener("hashchange", () => {
  showView();
  scrollTo(0, 0);
});
for (const link of document.querySelectorAll("nav a")) {
  // A person who walks the views by keyboard goes on in the view.
  link.addEventListener("click", (event) => { if (event.detail === 0) setTimeout(() => $("content").focus()); });
}

// MARK: Health

async function watchHealth() {
  let text;
  let state;
  try {
    const health = await getHealth();
    const load = health.running + health.waiting > 0
      ? `, ${health.running} running${health.waiting ? `, ${health.waiting} waiting` : ""}` : "";
    state = health.status;
    text = state === "ok" ? `${health.model}${load}` : `${health.model} is ending`;
  } catch (error) {
    state = "gone";
    text = error.message;
  }
  if ($("status-text").textContent !== text) $("status-text").textContent = text;
  $("status").dataset.state = state;
  setTimeout(watchHealth, document.hidden ? 15000 : 4000);
}

// MARK: Theme

const themes = ["system", "light", "dark"];

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme-text").textContent = `Theme: ${theme}`;
  memory.set("theme", theme);
}

let theme = themes.includes(memory.get("theme")) ? memory.get("theme") : "system";
setTheme(theme);
$("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  setTheme(theme);
});

// MARK: Key

document.addEventListener("keywanted", () => {
  const dialog = $("key-dialog");
  if (!dialog.open) dialog.showModal();
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey($("key-input").value.trim());
  $("key-input").value = "";
  $("key-dialog").close();
  showView();
});
$("key-cancel").addEventListener("click", () => $("key-dialog").close());

showView();
watchHealth();

"""#),
("trace.js", "text/javascript; charset=utf-8", #"""
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

"""#),
("views.css", "text/css; charset=utf-8", #"""
/* Chat */

.chat { display: grid; grid-template-columns: minmax(0, 1fr) 296px; height: 100dvh; }
.talk { display: grid; grid-template-rows: auto minmax(0, 1fr) auto; min-width: 0; height: 100dvh; }
.talk > .bar { padding: 1.25rem 2rem 0.75rem; }
#chat-settings-button { display: none; }
.log { overflow-y: auto; padding: 0.5rem 2rem 1.5rem; display: flex; flex-direction: column; gap: 1.375rem; scrollbar-gutter: stable; }
.log > * { width: 100%; max-width: 46rem; margin-inline: auto; }
.turn.user { width: fit-content; max-width: min(38rem, 88%); margin-right: max(0px, calc((100% - 46rem) / 2)); margin-left: auto; background: var(--raised); border-radius: 16px 16px 4px 16px; padding: 0.625rem 0.9375rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.turn.model { display: grid; gap: 0.625rem; }
.answer { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.7; min-height: 1.7em; border-radius: 6px; }
.answer:empty:not([aria-busy]) { display: none; }
.answer[aria-busy]::after { content: ""; display: inline-block; width: 0.5em; height: 1.05em; margin-left: 2px; vertical-align: text-bottom; border-radius: 2px; background: var(--accent); animation: blink 1.1s ease-in-out infinite; }
@keyframes blink { 50% { opacity: 0.2; } }
.answer:has(.step.current):focus-visible { outline: none; }
.step { cursor: help; border-radius: 3px; transition: box-shadow 0.1s; }
.step .token.drafted:first-child { border-start-start-radius: 3px; border-end-start-radius: 3px; }
.step.current { box-shadow: 0 0 0 2px var(--ground), 0 0 0 3.5px var(--accent); -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.figures { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1rem; font-size: 0.8125rem; color: var(--dim); font-variant-numeric: tabular-nums; min-height: 1.5rem; }
.composer { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-items: end; gap: 0.5rem; width: calc(100% - 4rem); max-width: 46rem; margin: 0 auto 1.25rem; padding: 0.4375rem; background: var(--panel); border: 1px solid var(--line); border-radius: 16px; box-shadow: 0 4px 18px rgb(0 0 0 / 5%); }
.composer:focus-within { border-color: var(--accent); }
.composer textarea { border: 0; background: none; resize: none; padding: 0.4375rem 0.625rem; min-height: 2.375rem; }
.composer textarea:focus-visible { outline: none; }
.composer button { height: 2.375rem; border-radius: 11px; }
.settings { border-left: 1px solid var(--line); padding: 1.25rem 1.25rem; overflow-y: auto; height: 100dvh; display: flex; flex-direction: column; gap: 1rem; }
.settings .hint { margin-top: -0.5rem; }
.empty { margin-block: auto; padding-block: 2rem; display: grid; gap: 0.75rem; }
.empty h2 { font-size: 1.5rem; letter-spacing: -0.018em; }
.empty p { color: var(--dim); max-width: 36rem; }
.ideas { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 0.625rem; margin-top: 0.75rem; }
.ideas button { width: 100%; height: 100%; text-align: start; display: grid; justify-content: stretch; align-content: start; gap: 0.125rem; padding: 0.75rem 0.9375rem; border-radius: var(--radius); }
.ideas span { color: var(--dim); font-weight: 400; font-size: 0.8125rem; line-height: 1.4; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }

/* The step panel */

.step-panel { position: fixed; z-index: 20; width: min(29rem, calc(100vw - 1rem)); max-height: min(26rem, 60dvh); overflow: auto; overscroll-behavior: contain; background: var(--panel); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--shadow); padding: 0.75rem 0.9375rem 0.9375rem; font-size: 0.8125rem; display: grid; gap: 0.625rem; }
.step-head { display: flex; align-items: baseline; gap: 0.625rem; }
.step-head strong { font-size: 0.875rem; }
.step-head button { margin-left: auto; }
.tree { overflow-x: auto; padding-bottom: 2px; }
.tree ul ul { margin-left: 0.875rem; padding-left: 0.75rem; border-left: 1.5px solid var(--line); }
.path { display: flex; flex-wrap: wrap; gap: 4px; padding-block: 2.5px; }
.chip { display: inline-grid; justify-items: center; min-width: 2.25rem; padding: 0.125rem 0.4375rem 0.1875rem; border: 1px dashed var(--ink, var(--line)); border-radius: 7px; font-family: var(--mono); font-size: 0.75rem; line-height: 1.35; color: var(--dim); white-space: nowrap; }
.chip small { font: 0.625rem/1.2 system-ui, sans-serif; font-variant-numeric: tabular-nums; opacity: 0.85; }
.chip.accepted { border: 1px solid var(--ink); background: var(--tint); color: var(--text); }
.chip.own { border: 1px solid var(--text); color: var(--text); }
.blank { opacity: 0.55; }
.cost { display: grid; gap: 0.3125rem; }
.cost p { display: flex; flex-wrap: wrap; gap: 0.25rem 0.875rem; color: var(--dim); font-variant-numeric: tabular-nums; }
.cost p > span { display: inline-flex; align-items: center; gap: 0.375rem; }
.cost-bar, .share-bar { display: flex; gap: 2px; height: 7px; border-radius: 4px; overflow: hidden; }
.cost-bar span, .share-bar span { min-width: 2px; flex-basis: 0; }
.cost-draft, .share-3 { background: light-dark(#d99a2b, #e2b45c); }
.cost-forward, .share-0 { background: light-dark(#2a8c7e, #58bfae); }
.cost-verify, .share-1 { background: light-dark(#6f7fb8, #93a3da); }
.share-2 { background: light-dark(#b4698f, #d593b7); }
.share-4 { background: light-dark(#8b8f96, #7b8087); }
.plan { color: var(--dim); line-height: 1.45; }
.members { color: var(--dim); display: grid; gap: 1px; }
.members b { color: var(--text); font-weight: 560; }

/* Race */

.race-form { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 0.875rem; }
.race-form .wide { grid-column: 1 / -1; }
.race-form label:nth-of-type(2), .race-form label:nth-of-type(3) { grid-column: span 3; }
.race-form label:nth-of-type(n + 4) { grid-column: span 1; }
.race-form label:nth-of-type(7) { grid-column: span 3; }
.verdict { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.125rem 1.25rem; padding: 0.8125rem 1.125rem; border-radius: var(--radius); font-size: 0.9375rem; font-variant-numeric: tabular-nums; }
.verdict strong { font-size: 1.0625rem; }
.verdict.yes { background: var(--accent-soft); color: var(--accent); }
.verdict.no { background: var(--red-soft); color: var(--red); }
.lanes { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; align-items: start; }
.lanes:empty { display: none; }
.lane { display: grid; gap: 0.75rem; align-content: start; transition: border-color 0.2s; }
.lane.active { border-color: var(--accent); }
.lane header { display: flex; justify-content: space-between; align-items: center; gap: 0.5rem; }
.lane-figures { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.5rem; padding-bottom: 0.75rem; border-bottom: 1px solid var(--line); }
.lane-figures b { display: block; font-size: 1.3125rem; font-weight: 620; letter-spacing: -0.015em; font-variant-numeric: tabular-nums; line-height: 1.25; }
.lane-figures span { font-size: 0.75rem; color: var(--dim); }
.lane .legend:empty { display: none; }
.lane-text { font-size: 0.9375rem; min-height: 5rem; }

/* Methods */

.filters { display: grid; grid-template-columns: minmax(0, 1fr) repeat(3, auto); gap: 0.625rem; }
.methods { background: var(--panel); border: 1px solid var(--line); border-radius: var(--radius); overflow: clip; }
.methods:empty { display: none; }
.method + .method { border-top: 1px solid var(--line); }
.method summary { display: grid; grid-template-columns: 2rem 13rem minmax(0, 1fr) auto; gap: 0.25rem 0.875rem; align-items: baseline; padding: 0.6875rem 1.125rem; list-style: none; }
.method summary::-webkit-details-marker { display: none; }
.method summary:hover { background: light-dark(#faf8f4, #1f2226); }
.method summary:focus-visible { outline-offset: -2px; }
.method[open] summary { background: light-dark(#faf8f4, #1f2226); }
.method .number { color: var(--dim); font-variant-numeric: tabular-nums; font-size: 0.8125rem; text-align: end; }
.method .name { font-weight: 570; }
.method .what { color: var(--dim); font-size: 0.875rem; line-height: 1.45; }
.badges { display: flex; gap: 0.375rem; justify-content: flex-end; min-width: 11rem; }
.method-body { padding: 0.25rem 1.125rem 1.125rem 4rem; display: grid; gap: 0.75rem; background: light-dark(#faf8f4, #1f2226); }
.facts { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; font-size: 0.875rem; }
dt { color: var(--dim); font-size: 0.75rem; }
.command { display: flex; align-items: center; gap: 0.5rem; justify-content: space-between; background: var(--panel); border: 1px solid var(--line); border-radius: 9px; padding: 0.5rem 0.5rem 0.5rem 0.75rem; }
.command code { overflow-wrap: anywhere; }
.buttons:empty { display: none; }

/* Model */

.model-head h2 { font-size: 1.25rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: 0.75rem; }
.tiles .card { padding: 0.75rem 1rem; }
.tiles dd { font-weight: 560; font-variant-numeric: tabular-nums; }
#model-body section { display: grid; gap: 0.75rem; }
.share-bar { height: 14px; border-radius: 6px; margin-bottom: 0.625rem; }
.swatch[class*="cost-"], .swatch[class*="share-"] { border: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th { text-align: start; font-weight: 500; color: var(--dim); font-size: 0.8125rem; }
th[scope="row"] { color: var(--text); font-family: var(--mono); font-size: 0.8125rem; font-weight: 400; vertical-align: top; }
th, td { padding: 0.3125rem 1rem 0.3125rem 0; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
td { overflow-wrap: anywhere; }
details.card > summary { font-weight: 570; font-size: 0.9375rem; }
details.card[open] > summary { margin-bottom: 0.75rem; }
.long { display: flex; gap: 0.5rem; align-items: start; }
.long pre { max-height: 9rem; overflow: auto; flex: 1; }

/* Metrics */

.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: 0.75rem; }
.metric { display: grid; gap: 0.25rem; align-content: start; padding-bottom: 0.75rem; }
.metric h2 { font-size: 0.8125rem; font-weight: 530; color: var(--dim); }
.figure { display: flex; align-items: baseline; gap: 0.375rem; }
.figure b { font-size: 1.5rem; font-weight: 620; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; line-height: 1.3; white-space: nowrap; }
.figure span { color: var(--dim); font-size: 0.8125rem; }
.spark { width: 100%; height: 48px; display: block; margin-block: 0.25rem; border-bottom: 1px solid var(--line); }
.spark .line { fill: none; stroke: var(--accent); stroke-width: 1.75; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.spark .area { fill: var(--accent-soft); }
.raw { max-height: 28rem; overflow: auto; font-size: 0.75rem; }

@media (max-width: 1080px) {
  .chat { grid-template-columns: minmax(0, 1fr); }
  #chat-settings-button { display: inline-flex; }
  .settings { display: none; position: fixed; inset: 0 0 0 auto; z-index: 15; width: min(22rem, 100vw); background: var(--panel); box-shadow: var(--shadow); }
  .settings.open { display: flex; }
  .narrow-only { display: inline-flex; }
  .method summary { grid-template-columns: 2rem minmax(0, 1fr) auto; }
  .method .what { grid-column: 2 / -1; grid-row: 2; }
}

@media (max-width: 820px) {
  .chat, .talk { height: calc(100dvh - 60px - env(safe-area-inset-bottom) - 53px); }
  .talk > .bar { padding: 0.5rem 1rem; }
  .log { padding: 0.25rem 1rem 1rem; }
  .turn.user { margin-right: 0; }
  .composer { width: calc(100% - 1.5rem); margin-bottom: 0.75rem; }
  .settings { height: auto; padding-bottom: 5rem; }
  .empty { padding-block: 0.5rem; }
  .empty h2 { font-size: 1.25rem; }
  .ideas { grid-template-columns: 1fr 1fr; gap: 0.5rem; }
  .step-panel { left: 0 !important; right: 0; top: auto !important; bottom: calc(60px + env(safe-area-inset-bottom)); width: 100%; max-height: 46dvh; border-radius: 16px 16px 0 0; border-width: 1px 0 0; }
  .race-form { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .race-form label:nth-of-type(n) { grid-column: span 1; }
  .race-form label.wide { grid-column: 1 / -1; }
  .race-form label:nth-of-type(6), .race-form label:nth-of-type(7) { grid-column: span 1; }
  .lanes { gap: 0.5rem; }
  .lane { padding: 0.75rem; }
  .lane-figures { grid-template-columns: 1fr; gap: 0.25rem; }
  .lane-figures div { display: flex; align-items: baseline; gap: 0.375rem; }
  .lane-figures b { font-size: 1.0625rem; white-space: nowrap; }
  .lane-text { font-size: 0.875rem; }
  .filters { grid-template-columns: 1fr 1.4fr 1fr; }
  .filters .grow { grid-column: 1 / -1; }
  .method summary { grid-template-columns: 1.5rem minmax(0, 1fr); padding: 0.6875rem 0.875rem; }
  .method .badges { grid-column: 2; grid-row: 3; justify-content: flex-start; }
  .method .what { grid-column: 2; }
  .method-body { padding-left: 0.875rem; }
  .cards { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.625rem; }
  .metric { padding: 0.75rem; }
  .figure { flex-wrap: wrap; gap: 0 0.375rem; }
  .figure b { font-size: 1.25rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.5rem; }
}

"""#),
  ]
}
