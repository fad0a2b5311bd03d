// The review: one prediction at a time, by one key each.
import { Refused, get, handle, make, percent, picture, post, remove, say, start } from "./common.js";

const $ = (id) => document.getElementById(id);
const LIMIT = 20;
const KEYS = "animals.keys";

let state = "open";
let items = []; // those fetched so far and not yet answered, in their order
let at = 0;
let next = null;
let counts = { open: 0, done: 0 };
const labels = new Map(); // by model
let done = []; // what was said here, the last one last
let busy = false;
let shown = null; // the object URL on show

// What a correction of these predictions can say.
async function learn(predictions) {
  const models = new Set(predictions.map((item) => item.model).filter((model) => !labels.has(model)));
  await Promise.all([...models].map(async (model) => labels.set(model, await labelsOf(model))));
}

async function labelsOf(model) {
  try {
    return (await get(`v1/review/labels?model=${encodeURIComponent(model)}`)).labels;
  } catch (error) {
    // It answers no more; a correction is in the words of the one that does.
    if (error instanceof Refused && error.kind === "no-such-model") return (await get("v1/review/labels")).labels;
    throw error;
  }
}

async function load() {
  const [open, reviewed] = await Promise.all(
    ["open", "done"].map((which) => get(`v1/review?state=${which}&limit=${which === state ? LIMIT : 1}`)),
  );
  const page = state === "open" ? open : reviewed;
  counts = { open: open.total, done: reviewed.total };
  await learn(page.predictions);
  items = page.predictions;
  next = page.next;
  at = 0;
  show(false);
}

async function more() {
  if (!next) return;
  const page = await get(`v1/review?state=${state}&limit=${LIMIT}&after=${encodeURIComponent(next)}`);
  await learn(page.predictions);
  const known = new Set(items.map((item) => item.id));
  items.push(...page.predictions.filter((item) => !known.has(item.id)));
  next = page.next;
}

const title = (name) => name[0].toUpperCase() + name.slice(1);
const nameOf = (item) => (item.unknown ? item.answer : item.label);

function inWords(word) {
  if (word.verdict === "confirmed") return "confirmed";
  return word.verdict === "none" ? "none of the animals" : word.label;
}

function show(focus = true) {
  const item = items[at];
  $("count-open").textContent = counts.open;
  $("count-done").textContent = counts.done;
  $("show-open").setAttribute("aria-pressed", state === "open");
  $("show-done").setAttribute("aria-pressed", state === "done");
  $("item").hidden = !item;
  $("nothing").hidden = Boolean(item);
  $("undo").disabled = !done.length;
  $("undo-last").hidden = !done.length;
  if (item) fill(item);
  else fillNothing();
  if (focus) (item ? $("item-name") : $("nothing-title")).focus({ preventScroll: true });
}

function fillNothing() {
  $("nothing-title").textContent = state === "done" ? "Nothing was reviewed yet" : "Nothing left to review";
  $("nothing-words").textContent =
    state === "done" ? "What you confirm or correct is listed here." : "New predictions come here by themselves: load the page again.";
}

function fill(item) {
  $("asks").textContent = item.unknown ? "It looks like none of my animals:" : "I think it is:";
  $("item-name").textContent = title(nameOf(item));
  $("stands").hidden = !item.feedback;
  $("stands").textContent = item.feedback
    ? `Said${item.feedback.who ? ` by ${item.feedback.who}` : ""}: ${inWords(item.feedback)}.`
    : "";
  $("confirm-words").textContent = item.unknown ? "Yes, none of them" : `Yes, ${item.label}`;
  $("none").hidden = item.unknown;
  const others = item.top.slice(0, 5);
  $("answers").replaceChildren(...others.map((candidate, index) => answer(item, candidate, index)));
  const when = new Date(item.time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  $("facts").textContent = `${item.file || "A photo"} · ${when} · ${item.model} ${item.version}`;
  $("back").disabled = at === 0;
  $("other-name").value = "";
  $("names").replaceChildren(...labels.get(item.model).map((label) => make("option", { value: label.name })));
  showPhoto(item);
}

function answer(item, candidate, index) {
  const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span"));
  bar.firstChild.style.width = `${100 * candidate.probability}%`;
  const button = make(
    "button",
    { type: "button", class: "answer-button", onclick: () => choose(index) },
    make("kbd", {}, String(index + 1)),
    make("span", { class: "answer-name" }, candidate.label),
    make("span", { class: "answer-share" }, percent(candidate.probability)),
    bar,
  );
  return make("li", {}, button);
}

async function showPhoto(item) {
  const image = $("photo");
  if (shown) URL.revokeObjectURL(shown);
  shown = null;
  image.hidden = true;
  $("no-photo").hidden = Boolean(item.photo);
  if (!item.photo) return;
  try {
    const url = await picture(`v1/${item.photo}`);
    if (items[at] !== item) return URL.revokeObjectURL(url);
    shown = url;
    image.src = url;
    image.alt = `The photo ${item.file}`;
    image.hidden = false;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) $("no-photo").hidden = false;
    else handle(error);
  }
}

async function guarded(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    say(null);
  } catch (error) {
    handle(error);
  } finally {
    busy = false;
  }
}

const give = (verdict, label) =>
  guarded(async () => {
    const item = items[at];
    if (!item) return;
    const answer = await post("v1/feedback", { id: item.id, verdict, ...(label ? { label: label.id } : {}) });
    done.push({ number: answer.said.number, item, at, state, before: item.feedback });
    item.feedback = answer.stands;
    const words = verdict === "confirmed" ? `Confirmed: ${nameOf(item)}` : verdict === "none" ? "None of the animals" : `Corrected: ${label.name}`;
    if (state === "open") {
      items.splice(at, 1);
      counts = { open: counts.open - 1, done: counts.done + 1 };
      if (items.length - at < 5) await more();
      if (at >= items.length) at = 0;
    }
    $("said").textContent = `${words}.`;
    show();
  });

const undo = () =>
  guarded(async () => {
    const last = done.at(-1);
    if (!last) return;
    const answer = await remove(`v1/feedback/${last.number}`);
    done.pop();
    last.item.feedback = answer.stands;
    if (last.state === "open") {
      counts = { open: counts.open + 1, done: counts.done - 1 };
      if (state === "open") {
        at = Math.min(last.at, items.length);
        items.splice(at, 0, last.item);
      } else if (!answer.stands) {
        items = items.filter((item) => item.id !== last.item.id);
        at = Math.min(at, Math.max(0, items.length - 1));
      }
    }
    $("said").textContent = `Undone: ${nameOf(last.item)}.`;
    show();
  });

function choose(index) {
  const item = items[at];
  const candidate = item?.top[index];
  if (!candidate) return;
  if (!item.unknown && candidate.label_id === item.label_id) give("confirmed");
  else give("corrected", { id: candidate.label_id, name: candidate.label });
}

const move = (step) =>
  guarded(async () => {
    if (step > 0 && at + 5 >= items.length) await more();
    const to = at + step;
    if (to < 0) return;
    if (to >= items.length) {
      $("said").textContent = "That was the last one; these are left.";
      at = 0;
    } else at = to;
    show();
  });

const other = () => {
  const wanted = $("other-name").value.trim().toLowerCase();
  const label = labels.get(items[at].model).find((one) => one.name.toLowerCase() === wanted);
  if (label) return give("corrected", label);
  $("said").textContent = wanted ? `The model knows no “${wanted}”. Choose a name from the list, or “none”.` : "Which animal is it?";
  $("other-name").focus();
};

function show_state(which) {
  if (busy || which === state) return;
  state = which;
  guarded(load);
}

const confirm = () => give("confirmed");
const none = () => (items[at]?.unknown ? give("confirmed") : give("none"));

$("confirm").addEventListener("click", confirm);
$("none").addEventListener("click", none);
$("skip").addEventListener("click", () => move(1));
$("back").addEventListener("click", () => move(-1));
$("undo").addEventListener("click", undo);
$("undo-last").addEventListener("click", undo);
$("show-open").addEventListener("click", () => show_state("open"));
$("show-done").addEventListener("click", () => show_state("done"));
$("other").addEventListener("submit", (event) => {
  event.preventDefault();
  other();
});
$("other-name").addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("item-name").focus();
});

// Who dictates, or whose screen reader has other plans for single keys, switches them off.
$("keys").checked = localStorage.getItem(KEYS) !== "off";
$("keys").addEventListener("change", () => localStorage.setItem(KEYS, $("keys").checked ? "on" : "off"));

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
  if (!$("keys").checked || typing || event.ctrlKey || event.altKey || event.metaKey) return;
  if ($("page").hidden) return;
  const key = event.key.toLowerCase();
  if (key === "u") undo();
  else if ($("item").hidden) return;
  else if (key === "c") confirm();
  else if (key === "n") none();
  else if (/^[1-5]$/.test(key)) choose(Number(key) - 1);
  else if (key === "arrowright") move(1);
  else if (key === "arrowleft") move(-1);
  else if (key === "/") $("other-name").focus();
  else return;
  event.preventDefault();
});

start(load);
