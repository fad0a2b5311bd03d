// The review by event: the photos of one visit together, each with its boxes and its animals enlarged.
import { drawBoxes } from "./boxes.js";
import { make, percent, picture, single } from "./common.js";

const urls = new Map(); // object URLs of photos, by prediction

// What a photo's frame needs: its own proportions, then the boxes; gives the list of animals, or nothing.
export function framed(frame, photo, boxes) {
  frame.style.setProperty("--wide", String(photo.naturalWidth / photo.naturalHeight));
  frame.style.aspectRatio = `${photo.naturalWidth} / ${photo.naturalHeight}`;
  for (const box of frame.querySelectorAll(".box")) box.remove();
  return boxes?.length ? drawBoxes(frame, photo, boxes) : null;
}

// Photos in their order to events; the last one is left out while more of it may come, unless it is alone.
export function eventsOf(items, mayGoOn) {
  const events = [];
  for (const item of items) {
    const last = events.at(-1);
    if (!last || item.begins || last[0].source !== item.source) events.push([item]);
    else last.push(item);
  }
  return mayGoOn && events.length > 1 ? events.slice(0, -1) : events;
}

export function forgetPhotos() {
  for (const url of urls.values()) URL.revokeObjectURL(url);
  urls.clear();
}

// A camera's clock has no zone: its time is shown as it is, wherever one reads it.
const clock = (taken, options) => new Date(`${taken}Z`).toLocaleString([], { timeZone: "UTC", ...options });

function when(event) {
  const [first, last] = [event[0].taken, event.at(-1).taken];
  const day = clock(first, { dateStyle: "medium" });
  const [from, to] = [first, last].map((taken) => clock(taken, { timeStyle: "short" }));
  return from === to ? `${day}, ${from}` : `${day}, ${from} – ${to}`;
}

export const photos = (number) => `${number} photo${number === 1 ? "" : "s"}`;

function inAll(event, claim) {
  const counts = new Map();
  for (const item of event) counts.set(claim(item), (counts.get(claim(item)) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]);
}

async function load(item, frame, caption) {
  if (!item.photo) return frame.replaceWith(make("p", { class: "no-photo" }, "The photo is not kept."));
  try {
    if (!urls.has(item.id)) {
      const url = await picture(`v1/${item.photo}`);
      if (!frame.isConnected) return URL.revokeObjectURL(url); // something else is on show by now
      urls.set(item.id, url);
    }
    const photo = frame.querySelector("img");
    photo.src = urls.get(item.id);
    await photo.decode();
    const found = framed(frame, photo, item.detections);
    if (found) caption.before(found);
  } catch {
    frame.replaceWith(make("p", { class: "no-photo" }, "The photo cannot be shown."));
  }
}

function shot(item, act) {
  const frame = make("div", { class: "frame" }, make("img", { class: "whole", alt: `The photo ${item.file}` }));
  const caption = make(
    "figcaption",
    {},
    make("b", {}, act.title(item.answer)),
    ` ${percent(item.probability)} · ${item.file || "A photo"} · ${clock(item.taken, { timeStyle: "medium" })}`,
  );
  const closer = make("button", { type: "button", class: "link", onclick: () => act.closer(item) }, "This one alone");
  closer.setAttribute("aria-label", `${item.file || "This photo"} alone`);
  const element = make("li", {}, make("figure", {}, frame, caption), closer);
  return { element, load: () => load(item, frame, caption) };
}

function otherForm(event, act) {
  const input = make("input", { list: "names", maxlength: 200, autocomplete: "off", spellcheck: "false", placeholder: "type its name" });
  input.setAttribute("aria-label", "Another animal, in all photos of this event");
  const form = make("form", { class: "row" }, input, make("button", { type: "submit", class: "button" }, "It is that"));
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    act.other(event, input.value.trim(), input);
  });
  return form;
}

// One event as a section, and what loads its photos, one after the other.
export function eventSection(event, act) {
  const claims = inAll(event, act.claim);
  const all = event.length === 1 ? "" : event.length === 2 ? "both: " : `all ${event.length}: `;
  const yes = claims.length === 1 ? `Yes, ${all}${claims[0][0]}` : "Yes, each as it says";
  const shots = event.map((item) => shot(item, act));
  const named = claims.map(([claim, count]) => (claims.length === 1 ? claim : `${claim} (${count})`)).join(", ");
  const heading = make("h2", { tabindex: -1 }, [event[0].source, when(event)].filter(Boolean).join(" · "));
  const section = make(
    "section",
    { class: "panel event" },
    heading,
    make("p", { class: "asks" }, `${photos(event.length)}: ${named}`),
    make("ol", { class: "shots" }, ...shots.map((one) => one.element)),
    make(
      "div",
      { class: "row" },
      make("button", { type: "button", class: "button primary", onclick: single(() => act.confirm(event)) }, yes),
      event.every(act.isEmpty) ? null : make("button", { type: "button", class: "button", onclick: single(() => act.none(event)) }, "No animal"),
      otherForm(event, act),
    ),
  );
  return { section, heading, load: async () => { for (const one of shots) if (section.isConnected) await one.load(); } };
}
