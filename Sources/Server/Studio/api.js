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
