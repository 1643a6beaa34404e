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
