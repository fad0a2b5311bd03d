// Answers as elements: one photo large, many as cards with a table to download, or why there is none.
// What is said of a photo comes from the API (`words`); here is only how it is laid out.
import { drawBoxes } from "./boxes.js";
import { make, percent } from "./common.js";
import { csv } from "./csv.js";
import { fromDataUrl } from "./previews.js";

// A byte order mark: a double click on the table opens it in Excel, which would take it for another alphabet without.
const MARK = "\ufeff";

const BARS = 5;
const TONES = { label: "sure", group: "partly", known: "partly", unknown: "not" };
const urls = [];

// Addresses of pictures on show; those of the answer before are given back.
export function forget() {
  urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
}

export function shown(blob) {
  const url = URL.createObjectURL(blob);
  urls.push(url);
  return url;
}

export const counted = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
// For people, a probability is never quite certain.
const chance = (share) => (share >= 0.995 ? ">99%" : percent(share));

function bars(rows, label) {
  return make(
    "ol",
    { class: "bars", "aria-label": label },
    ...rows.map(([name, share], index) => {
      const filled = make("span");
      filled.style.width = `${100 * share}%`;
      return make(
        "li",
        { class: index === 0 ? "first" : null },
        make("span", { class: "bar-name" }, name),
        make("span", { class: "bar-value" }, chance(share)),
        make("span", { class: "bar", "aria-hidden": "true" }, filled),
      );
    }),
  );
}

function shares(entry) {
  if (!entry.unknown) return entry.top.slice(0, BARS).map((guess) => [guess.label, guess.probability]);
  const none = entry.answer.probability;
  return [["no animal that I know", none], ["an animal", 1 - none]];
}

const labelOf = (entry) => (entry.unknown ? "Animal or not" : "The five most probable animals");
const named = (text, attributes = {}) => make("h2", { class: "name", id: "answer-name", tabindex: "-1", ...attributes }, text);

export function trouble(title, text) {
  return make(
    "article",
    { class: "answer trouble", "aria-labelledby": "answer-name" },
    named(title),
    make("p", { class: "sentence" }, text),
  );
}

// The part of a photo that the heatmap covers: the central square, whose side is a share of the shorter one.
function cover(heat, share, width, height) {
  const side = share * Math.min(width, height);
  heat.style.left = `${(50 * (width - side)) / width}%`;
  heat.style.top = `${(50 * (height - side)) / height}%`;
  heat.style.width = `${(100 * side) / width}%`;
  heat.style.height = `${(100 * side) / height}%`;
}

function heatControls(heat, label, frame) {
  const slider = make("input", { type: "range", min: 0, max: 100, value: 0, "data-heat": true, "aria-label": "Blend the heatmap over the photo" });
  slider.addEventListener("input", () => frame.style.setProperty("--heat", String(slider.value / 100)));
  return make(
    "figcaption",
    { class: "looked" },
    make("img", { class: "heat-inset", src: heat, alt: `Heatmap over the photo: where I looked to say ${label}` }),
    make(
      "label",
      {},
      make("span", {}, "Where I looked"),
      slider,
      make("small", {}, `The warmer a place, the more it spoke for ${label}.`),
    ),
  );
}

function figure({ entry, name, picture }) {
  const heat = entry.heatmap && !entry.unknown ? shown(fromDataUrl(entry.heatmap)) : null;
  const overlay = heat && make("img", { class: "heat", src: heat, alt: "", "aria-hidden": "true" });
  const photo = make("img", { class: "whole", alt: `The photo: ${name}` });
  const frame = make("div", { class: "frame" }, photo, overlay);
  const whole = make("figure", { class: "photo" }, frame);
  photo.addEventListener("load", () => {
    whole.style.setProperty("--wide", String(photo.naturalWidth / photo.naturalHeight));
    frame.style.aspectRatio = `${photo.naturalWidth} / ${photo.naturalHeight}`;
    if (overlay) cover(overlay, entry.heatmap_side, photo.naturalWidth, photo.naturalHeight);
    if (entry.detections?.length) whole.append(drawBoxes(frame, photo, entry.detections));
  });
  // A kind of photo that the server reads and this browser does not, such as HEIC.
  photo.addEventListener("error", () => {
    const note = make("p", { class: "no-preview" }, "This browser cannot show this kind of photo.");
    if (heat) overlay.remove();
    photo.replaceWith(heat ? make("img", { class: "whole", src: heat, alt: `What I saw of ${name}` }) : note);
    whole.classList.add("unseen");
    if (heat) whole.querySelector(".looked").replaceChildren(note);
  });
  photo.src = shown(picture);
  if (heat) whole.append(heatControls(heat, entry.label, whole));
  return whole;
}

// photo: { name, picture (a blob), entry }.
export function one(photo) {
  const { entry } = photo;
  if (entry.error) return trouble("I cannot read this photo", `${photo.name} ${entry.error}.`);
  const { headline, sentence, lineage, taxon } = entry.words;
  return make(
    "article",
    { class: `answer one ${TONES[entry.answer.level]}`, "aria-labelledby": "answer-name" },
    figure(photo),
    make(
      "div",
      { class: "said" },
      lineage.length ? make("p", { class: "lineage" }, lineage.join(" › ")) : null,
      named(headline),
      taxon ? make("p", { class: "taxon", lang: "la" }, taxon) : null,
      make("p", { class: "sentence" }, sentence),
      bars(shares(entry), labelOf(entry)),
      entry.unknown ? make("p", { class: "note" }, "It may still be an animal that I was never shown.") : null,
    ),
  );
}

function said(photo) {
  const { entry } = photo;
  const file = make("p", { class: "file", title: photo.name }, photo.name);
  if (entry.error) return ["unreadable", make("h3", {}, "Cannot be read"), file, make("p", { class: "card-sentence" }, `It ${entry.error}.`)];
  const { words, answer } = entry;
  const title = make("h3", {}, make("span", {}, words.headline), " ", make("span", { class: "card-percent" }, chance(answer.probability)));
  return [
    TONES[answer.level],
    title,
    file,
    answer.level === "label" ? null : make("p", { class: "card-sentence" }, words.sentence),
    numbers(entry),
    entry.unknown ? null : make("details", {}, make("summary", {}, "Top five"), bars(shares(entry), labelOf(entry))),
  ];
}

// How many animals, people and vehicles there are, where the server looked for them.
function numbers({ detections }) {
  if (!detections) return null;
  const counts = Map.groupBy?.(detections, (box) => box.category) ?? new Map();
  const named = { animal: "animal", person: "person", vehicle: "vehicle" };
  const parts = [...counts].map(([category, boxes]) => counted(boxes.length, named[category]));
  return make("p", { class: "card-sentence" }, parts.join(", ") || "Nothing was found as a box.");
}

export function card(photo) {
  const [tone, ...words] = said(photo);
  const thumb = make("div", { class: "thumb" }, make("span", { "aria-hidden": "true" }, "?"));
  const whole = make("li", { class: `card ${tone}` }, thumb, make("div", { class: "card-words" }, ...words));
  if (photo.thumbnail) show(whole, photo);
  return whole;
}

// The picture of a card that is there already.
export function show(whole, photo) {
  const picture = make("img", { src: shown(photo.thumbnail), alt: photo.name, loading: "lazy" });
  whole.querySelector(".thumb").replaceChildren(picture);
}

export function summary(photos) {
  const entries = photos.map((photo) => photo.entry);
  const read = entries.filter((entry) => !entry.error);
  const animals = read.filter((entry) => !entry.unknown).length;
  const parts = [counted(animals, "animal")];
  if (read.length > animals) parts.push(`${(read.length - animals).toLocaleString("en")} without an animal`);
  if (entries.length > read.length) parts.push(`${(entries.length - read.length).toLocaleString("en")} unreadable`);
  return parts.join(", ");
}

// photos: all that were sent, the unanswered ones without an entry; cards: a list that is filled already.
export function many(photos, cards, columns) {
  const done = photos.filter((photo) => photo.entry);
  const table = new Blob([MARK, csv(done.map((photo) => photo.entry), columns)], { type: "text/csv;charset=utf-8" });
  const left = photos.length - done.length;
  return make(
    "article",
    { class: "answer many", "aria-labelledby": "answer-name" },
    make(
      "header",
      {},
      make("div", {}, named(counted(done.length, "photo")), make("p", { class: "sentence" }, summary(done))),
      make("a", { class: "button", download: "animals.csv", href: shown(table) }, "Download the table (CSV)"),
    ),
    left ? make("p", { class: "note" }, `${counted(left, "photo")} more ${left === 1 ? "was" : "were"} not looked at.`) : null,
    cards,
  );
}
