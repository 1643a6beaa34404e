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
