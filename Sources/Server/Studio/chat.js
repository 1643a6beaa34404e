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
