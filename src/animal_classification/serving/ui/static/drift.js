// Whether photos still look as they did: the newest verdict for each model and source, with photos from before and after.
import { Refused, get, make, percent, picture } from "./common.js";

const NAMES = { look: "views", image: "the picture itself", content: "what is in the photos", mix: "the mix of animals" };
const when = (text) => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
let urls = [];

export async function drift(since) {
  try {
    return await get(`v1/drift?since=${since}`);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function title(told) {
  const verdict = told.verdict;
  if (verdict.kind === "none") return "Photos look as they did";
  return `Drift in ${NAMES[verdict.kind] ?? verdict.kind}${told.source ? ` at ${told.source}` : ""}`;
}

function sureness(verdict) {
  if (verdict.kind === "none") return "no drift";
  if (!verdict.confirmed) return "seen once, not confirmed";
  return verdict.harmful ? "confirmed, costs accuracy" : "confirmed, harmless by the estimate";
}

function facts(told) {
  const accuracy = told.accuracy;
  const lines = [
    ["Since", told.began ? when(told.began) : null],
    ["Judged", `${when(told.judged)}: ${told.used} of ${told.read} photos, bursts once`],
    ["Where", told.verdict.source ?? (told.source || "all sources")],
    ["Accuracy by the audit", accuracy.audit ? `${percent(accuracy.audit.accuracy)} (${percent(accuracy.audit.low)} to ${percent(accuracy.audit.high)}), ${accuracy.audit.reviewed} looked at` : "too few photos looked at yet"],
    ["Estimated, without labels", accuracy.estimated ? `${percent(accuracy.estimated[0])} to ${percent(accuracy.estimated[1])}` : null],
    ["Compared with", `${told.reference.photos} photos of ${told.reference.kind === "training" ? "training" : "an accepted baseline"}`],
  ];
  const shown = lines.filter(([, value]) => value);
  return make("dl", { class: "facts" }, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function strip(name, paths) {
  if (!paths.length) return null;
  const row = make("div", { class: "strip" });
  // Each has its place before it comes: they come in any order.
  paths.forEach((path, index) => {
    const image = make("img", { alt: `${name}, photo ${index + 1}`, width: "96", height: "96", hidden: true });
    row.append(image);
    picture(`v1/${path}`)
      .then((url) => {
        if (!row.isConnected) return URL.revokeObjectURL(url); // a later look has replaced it
        urls.push(url);
        image.src = url;
        image.hidden = false;
      })
      .catch(() => image.remove()); // it is not kept any more
  });
  return make("figure", {}, make("figcaption", {}, name), row);
}

function panel(told) {
  const alarm = told.verdict.score > 0.25;
  return make(
    "section",
    { class: `panel drift${alarm ? " alarm" : ""}` },
    make("h2", {}, title(told)),
    make("p", {}, make("strong", {}, `${told.model} ${told.version}`), `: ${sureness(told.verdict)}. ${sentence(told.verdict.says)}.`),
    facts(told),
    strip("Before", told.examples?.before ?? []),
    strip("Now", told.examples?.after ?? []),
  );
}

export function driftPanels(found) {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  if (!found) return [];
  if (!found.newest.length) return [make("p", { class: "panel" }, "Drift has not been judged yet: animals serve --drift-every 15m does it, for a model with a reference.")];
  const order = [...found.newest].sort((a, b) => b.verdict.score - a.verdict.score || a.source.localeCompare(b.source));
  return order.map(panel);
}
