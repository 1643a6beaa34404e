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
