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
