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
