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
