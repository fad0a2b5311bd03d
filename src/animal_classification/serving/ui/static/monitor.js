// How the model in use does: what the log says, again every half minute.
import { get, handle, make, percent, say, start } from "./common.js";
import { drift, driftPanels } from "./drift.js";
import { COLOURS, asTable, bars, legend } from "./charts.js";

const $ = (id) => document.getElementById(id);
const AGAIN = 30000;
const ms = (seconds) => (seconds === null ? "–" : `${Math.round(1000 * seconds)} ms`);
const round = (value) => (value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(1));

function tile(name, value, more) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, make("strong", {}, value), more ? make("small", {}, more) : null));
}

function moments(status) {
  const long = Date.parse(status.until) - Date.parse(status.since) > 2 * 86400e3;
  const form = long ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  return status.over_time.map((part) => new Date(part.time).toLocaleString([], form));
}

function chart(title, labels, series, show) {
  const head = ["From", ...series.map((one) => one.name)];
  const rows = labels.map((label, index) => [label, ...series.map((one) => (show ?? String)(one.values[index] ?? 0))]);
  return make(
    "section",
    { class: "panel" },
    make("h2", {}, title),
    bars(title, labels, series, show),
    series.length > 1 ? legend(series) : null,
    asTable(head, rows),
  );
}

function fill(status) {
  const said = status.feedback;
  const waiting = status.waiting.bytes;
  $("tiles").replaceChildren(
    tile("Predictions", status.predictions.toLocaleString(), `${round(status.per_minute)} a minute`),
    tile("Unknown", percent(status.unknown.share), `${status.unknown.predictions.toLocaleString()} ${status.unknown.predictions === 1 ? "photo" : "photos"}`),
    tile("Confidence", percent(status.confidence.p50), "median"),
    tile("Latency", ms(status.latency.p50), `p95 ${ms(status.latency.p95)}, p99 ${ms(status.latency.p99)}`),
    audited(status.accuracy),
    tile("Of those looked at", percent(said.agreement), `right; ${said.predictions.toLocaleString()} reviewed, the doubtful ones`),
    tile("Waiting", waiting ? `${(waiting / 1e6).toFixed(1)} MB` : "nothing", "for the database"),
  );
  $("empty").hidden = status.predictions > 0;
  $("charts").hidden = !status.predictions;
  if (!status.predictions) return;
  const labels = moments(status);
  const parts = status.over_time;
  const named = Object.entries(status.labels_over_time);
  const animals = named.map(([name, values], index) => ({ name, values, colour: COLOURS[index] }));
  const known = parts.map((part) => part.predictions - part.unknown);
  const listed = parts.map((_, index) => named.reduce((sum, [, values]) => sum + values[index], 0));
  const others = { name: "other animals", values: known.map((count, index) => count - listed[index]), colour: "rest" };
  const unknown = { name: "unknown", values: parts.map((part) => part.unknown), colour: "none" };
  $("charts").replaceChildren(
    chart("Animals over time", labels, [...animals, others, unknown]),
    chart("Mean latency in ms", labels, [{ name: "ms", values: parts.map((part) => 1000 * (part.latency ?? 0)), colour: "a" }], round),
    chart(
      "Confidence",
      status.confidence.histogram.map((_, index) => `${5 * index}%`),
      [{ name: "predictions", values: status.confidence.histogram, colour: "a" }],
    ),
    models(status),
  );
}

function audited(accuracy) {
  const reviewed = `${accuracy.reviewed.toLocaleString()} of ${accuracy.chosen.toLocaleString()} chosen photos looked at`;
  if (accuracy.accuracy === null) return tile("Accuracy", "–", reviewed);
  return tile("Accuracy", percent(accuracy.accuracy), `${percent(accuracy.low)} to ${percent(accuracy.high)}; ${reviewed}`);
}

function models(status) {
  const rows = status.models.map((one) =>
    make("li", {}, make("strong", {}, `${one.model} ${one.version}`), ` ${one.predictions.toLocaleString()} predictions, the last ${new Date(one.last).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`),
  );
  const most = status.labels.map((one) => make("li", {}, make("strong", {}, one.label), ` ${one.predictions.toLocaleString()} (${percent(one.share)})`));
  return make(
    "section",
    { class: "panel" },
    make("h2", {}, "Models"),
    make("ul", {}, ...rows),
    make("h2", {}, "Seen most often"),
    make("ol", { class: "columns" }, ...most),
  );
}

let begun = 0; // looks
let shown = 0; // the one that is on the page

async function look(isWanted = () => true) {
  const since = $("since").value;
  const mine = (begun += 1);
  // Another time was chosen meanwhile, or a later look was quicker.
  const isOld = () => since !== $("since").value || mine < shown;
  try {
    const [status, verdicts] = await Promise.all([get(`v1/monitor?since=${since}`), drift(since)]);
    if (isOld() || !isWanted()) return;
    shown = mine;
    fill(status);
    $("drift").replaceChildren(...driftPanels(verdicts));
    say(null);
  } catch (error) {
    if (!isOld()) throw error;
  }
}

// Not under somebody who reads a table, nor while nobody looks; also if that began after the question.
const isIdle = () => !document.hidden && !$("page").hidden && !document.querySelector("details[open]");
$("since").addEventListener("change", () => look().catch(handle));
setInterval(() => isIdle() && look(isIdle).catch(handle), AGAIN);
start(() => look());
