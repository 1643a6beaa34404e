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
