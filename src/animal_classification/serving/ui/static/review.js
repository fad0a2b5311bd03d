// The review: one prediction at a time, by one key each.
import { Refused, blob, get, handle, make, percent, picture, post, remove, single, start } from "./common.js";
import { eventSection, eventsOf, forgetPhotos, framed, photos } from "./events.js";
import { WHY, isBlind, offered, showClasses } from "./review_classes.js";
import { first, guarded, inTurn } from "./turns.js";

const $ = (id) => document.getElementById(id);
const LIMIT = 20;
const EVENT_LIMIT = 60; // photos: some events
const KEYS = "animals.keys";

let state = "open"; // or "events", or "done"
let queue = "all"; // of what is open: all, or one class
let classes = {}; // how many there are of each
let alone = false; // one photo of an event is on show
let items = []; // those fetched so far and not yet answered, in their order
let at = 0;
let next = null;
let counts = { open: 0, done: 0 };
const labels = new Map(); // by model
let others = []; // what people named and no model knows
let done = []; // what was said here, the last one last
let list = null; // another one whenever a list was fetched: what was said in an older one has no place in this
let shown = null; // the object URL on show
let looking = null; // another one whenever something else is on show

// What a correction of these predictions can say.
async function learn(predictions) {
  const models = new Set(predictions.map((item) => item.model).filter((model) => !labels.has(model)));
  await Promise.all([...models].map(async (model) => labels.set(model, await labelsOf(model))));
}

async function labelsOf(model) {
  try {
    return known(await get(`v1/review/labels?model=${encodeURIComponent(model)}`));
  } catch (error) {
    // It answers no more; a correction is in the words of the one that does.
    if (error instanceof Refused && error.kind === "no-such-model") return known(await get("v1/review/labels"));
    throw error;
  }
}

function known(answer) {
  others = answer.others;
  return answer.labels;
}

// A list is on show when all of it is there: until then, and where it fails, the one before it is.
async function fetchList(which = state, of = queue) {
  const [open, reviewed] = await Promise.all(
    [which === "done" ? "open" : which, "done"].map((part) => get(listed(part, of, part !== which))),
  );
  const page = which === "done" ? reviewed : open;
  await learn(page.predictions);
  [state, queue, list] = [which, of, Symbol(which)];
  alone = false;
  if (open.counts) classes = open.counts;
  const all = Object.values(classes).reduce((sum, count) => sum + count, 0);
  counts = { open: open.counts ? all : open.total, done: reviewed.total };
  items = page.predictions;
  next = page.next;
  at = 0;
}

async function load(which, of) {
  await fetchList(which, of);
  show(false);
}

const LISTS = { open: (of) => `?state=open&queue=${of}&`, events: () => "/events?", done: () => "?state=done&" };

function listed(which, of, count = false) {
  const limit = count ? 1 : which === "events" ? EVENT_LIMIT : LIMIT;
  return `v1/review${LISTS[which](of)}limit=${limit}`;
}

async function more() {
  if (!next) return;
  const page = await get(`${listed(state, queue)}&after=${encodeURIComponent(next)}`);
  await learn(page.predictions);
  const known = new Set(items.map((item) => item.id));
  items.push(...page.predictions.filter((item) => !known.has(item.id)));
  next = page.next;
}

const title = (name) => name[0].toUpperCase() + name.slice(1);
const NO_ANIMAL = "not an animal"; // an answer; "unknown" is another: it may well be one
const heading = (item) => (isBlind(item) ? "Which animal is it?" : title(item.answer));
const isEmpty = (item) => item.answer === NO_ANIMAL && item.level === "unknown";
const ASKS = { label: "I think it is:", group: "I think it is some kind of:", known: "I cannot say which, but it is an:", unknown: "It looks like none of my animals:" };

// What a person says yes to: no more than was claimed.
function claim(item) {
  if (item.level === "unknown") return isEmpty(item) ? "no animal" : "none of the animals that the model knows";
  if (item.level === "known") return "some animal";
  return item.level === "group" ? `some kind of ${item.answer}` : item.answer;
}

function inWords(word) {
  if (word.verdict === "confirmed") return word.label ? `confirmed: ${word.label}` : "confirmed";
  return word.label ?? "none of the labels";
}

function show(focus = true) {
  const item = items[at];
  looking = Symbol("view");
  $("count-open").textContent = counts.open;
  $("count-done").textContent = counts.done;
  $("show-open").setAttribute("aria-pressed", state === "open");
  $("show-events").setAttribute("aria-pressed", state === "events");
  $("show-done").setAttribute("aria-pressed", state === "done");
  showClasses(classes, state === "open" ? queue : null);
  const listed = state === "done" && Boolean(item);
  const together = state === "events" && Boolean(item) && !alone;
  $("item").hidden = listed || together || !item;
  $("events").hidden = !together;
  $("reviewed").hidden = !listed;
  $("nothing").hidden = Boolean(item);
  $("undo").disabled = !done.length;
  $("undo-event").disabled = !done.length;
  $("undo-last").hidden = !done.length;
  if (!together) leaveEvents();
  if (together) return listEvents(focus);
  if (listed) fillRows();
  else if (item) fill(item);
  else fillNothing();
  const title = listed ? "reviewed-title" : item ? "item-name" : "nothing-title";
  if (focus) $(title).focus({ preventScroll: true });
}

const moment = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

function fillRows() {
  $("more").hidden = !next;
  $("rows").replaceChildren(...items.map(row));
}

function row(item) {
  const cells = [item.file || "A photo", item.answer, inWords(item.feedback), item.feedback.who ?? "", moment(item.feedback.time)];
  const button = make("button", { type: "button", class: "button", "aria-label": `Undo ${item.file}`, onclick: () => takeBack(item) }, "Undo");
  return make("tr", {}, ...cells.map((text) => make("td", {}, text)), make("td", {}, button));
}

const takeBack = (item) =>
  guarded(async () => {
    await remove(`v1/feedback/${item.feedback.number}`);
    done = done.filter((word) => word.number !== item.feedback.number);
    items = items.filter((one) => one !== item);
    count(item, 1);
    $("said").textContent = `Undone: ${item.file || item.answer}.`;
    try {
      await fetchList();
    } finally {
      show();
    }
  });

const download = () =>
  guarded(async () => {
    const url = URL.createObjectURL(await blob("v1/review/reviewed.csv"));
    make("a", { href: url, download: "reviewed.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });

// Event by event; their photos are fetched one by one, because the server reads few at once.
async function listEvents(focus) {
  const events = eventsOf(items, Boolean(next)).map((event) => eventSection(event, together));
  $("more-events").hidden = !next;
  $("names").replaceChildren(...namesFor(items[0]).map((value) => make("option", { value })));
  $("event-list").replaceChildren(...events.map((event) => event.section));
  if (focus) events[0].heading.focus({ preventScroll: true });
  for (const event of events) if (event.section.isConnected) await event.load();
}

// What is not there any more asks for no more photos.
function leaveEvents() {
  $("event-list").replaceChildren();
  forgetPhotos();
}

// What can be said of all photos of an event.
const together = {
  claim,
  isEmpty,
  title,
  closer: (item) =>
    inTurn(() => {
      const place = items.indexOf(item);
      if (place < 0) return; // it was answered meanwhile
      alone = true;
      at = place;
      show();
      scrollTo(0, 0); // the events before it are not there any more
    }),
  confirm: (event) => tellAll(event, () => ["confirmed"]),
  none: (event) => tellAll(event, (item) => [isEmpty(item) ? "confirmed" : "none"]),
  other: (event, wanted, input) => {
    if (wanted) return tellAll(event, (item) => ["corrected", labelCalled(wanted, item)]);
    $("said").textContent = "Which animal is it?";
    input.focus();
  },
};

const tellAll = (event, word) =>
  guarded(async () => {
    const group = Symbol("event");
    let words = "";
    let kept = 0;
    try {
      for (const item of event) {
        words = await tell(item, word(item), group);
        kept += 1;
      }
      if (eventsOf(items, Boolean(next)).length < 3) await more();
    } finally {
      // Also where the server refused some of them.
      if (kept) $("said").textContent = event.length === 1 ? `${words}.` : `${words} (${kept < event.length ? `${kept} of ` : ""}${photos(event.length)}).`;
      at = 0;
      show();
    }
  });

const NOTHING = {
  open: ["Nothing left to review", "New predictions come here by themselves: load the page again."],
  events: ["No events to review", "An event is made of photos that say when they were taken; others are under “To review”."],
  done: ["Nothing was reviewed yet", "What you confirm or correct is listed here."],
};

function fillNothing() {
  const elsewhere = state === "open" && queue !== "all" && counts.open > 0;
  [$("nothing-title").textContent, $("nothing-words").textContent] = NOTHING[state];
  if (elsewhere) $("nothing-words").textContent = `All of these are answered; ${counts.open} other photos are under All.`;
}

function fill(item) {
  const choices = offered(item);
  const blind = isBlind(item);
  $("why").textContent = WHY[item.why] ?? "";
  $("why").hidden = !WHY[item.why];
  $("asks").textContent = ASKS[item.level] ?? "";
  $("asks").hidden = blind;
  $("item-name").textContent = heading(item);
  $("confirm").hidden = blind;
  $("confirm-words").textContent = blind ? "" : `Yes, ${claim(item)}`;
  $("none").hidden = isEmpty(item);
  $("or").textContent = !blind ? "Or it is:" : choices.length < 2 ? "One model says this; the other has no name for it:" : "They say:";
  $("answers").replaceChildren(...choices.map((candidate, index) => answer(item, candidate, index)));
  $("facts").textContent = [item.file || "A photo", moment(item.time), `${item.model} ${item.version}`.trim()].join(" · ");
  $("back").disabled = at === 0;
  $("other-name").value = "";
  $("names").replaceChildren(...namesFor(item).map((value) => make("option", { value })));
  showPhoto(item);
}

const namesFor = (item) => [...new Set([...labels.get(item.model).map((label) => label.name), ...others])];

function answer(item, candidate, index) {
  const blind = isBlind(item);
  const bar = blind ? null : make("span", { class: "bar", "aria-hidden": "true" }, make("span"));
  if (bar) bar.firstChild.style.width = `${100 * candidate.probability}%`;
  const button = make(
    "button",
    { type: "button", class: "answer-button", onclick: single(() => choose(index)) },
    make("kbd", {}, String(index + 1)),
    make("span", { class: "answer-name" }, candidate.label),
    blind ? null : make("span", { class: "answer-share" }, percent(candidate.probability)),
    bar,
  );
  return make("li", {}, button);
}

async function showPhoto(item) {
  const image = $("photo");
  const mine = looking;
  if (shown) URL.revokeObjectURL(shown);
  shown = null;
  image.hidden = true;
  $("animals").replaceChildren();
  framed($("frame"), image, []);
  $("no-photo").hidden = Boolean(item.photo);
  $("no-photo").textContent = "The photo is not kept.";
  if (!item.photo) return;
  try {
    const url = await picture(`v1/${item.photo}`);
    if (looking !== mine) return URL.revokeObjectURL(url);
    shown = url;
    image.src = url;
    image.alt = `The photo ${item.file}`;
    image.hidden = false;
    await image.decode();
    if (looking === mine) $("animals").replaceChildren(framed($("frame"), image, item.detections) ?? "");
  } catch (error) {
    if (looking === mine) showNoPhoto(error); // else it is not on show any more
  }
}

function showNoPhoto(error) {
  const broken = error instanceof DOMException && error.name === "EncodingError";
  if (!broken && !(error instanceof Refused && error.status === 404)) return handle(error);
  $("photo").hidden = true;
  if (broken) $("no-photo").textContent = "The photo cannot be shown.";
  $("no-photo").hidden = false;
}

// Keeps what is said of a photo, and takes it off the list; gives that in words. What is of one group is undone at once.
async function tell(item, [verdict, label], group) {
  const answer = await post("v1/feedback", { id: item.id, verdict, ...(label ? { label: label.id ?? label.name } : {}) });
  const place = items.indexOf(item);
  items.splice(place, 1);
  const heir = item.begins && items[place]?.begins === false ? items[place] : null;
  if (heir) heir.begins = true; // at the head of what is left of the event
  done.push({ number: answer.said.number, item, list, at: place, group, heir });
  count(item, -1);
  const { label: name, label_id: id } = answer.said;
  const fresh = verdict === "corrected" && !id && !others.includes(name);
  if (fresh) others.push(name);
  const corrected = fresh ? `A new animal: ${name}; U takes it back` : `${isBlind(item) ? "Said" : "Corrected"}: ${name}`;
  return verdict === "confirmed" ? `Confirmed: ${item.answer}` : verdict === "none" ? "No animal" : corrected;
}

const give = (verdict, label) =>
  guarded(async () => {
    const item = items[at];
    if (!item) return;
    const words = await tell(item, [verdict, label], Symbol("photo"));
    alone = false;
    try {
      if (items.length - at < 5) await more();
    } finally {
      // Also where no more came: the next answer is about the next photo, which must be on show.
      if (at >= items.length) at = 0;
      $("said").textContent = `${words}.`;
      show();
    }
  });

function count(item, step) {
  counts = { open: counts.open + step, done: counts.done - step };
  if (item.why) classes = { ...classes, [item.why]: (classes[item.why] ?? 0) + step };
}

const LOST = ["no-such-feedback", "not-yours"]; // why nobody here can take a word back

async function takeLastBack() {
  const word = done.at(-1);
  try {
    await remove(`v1/feedback/${word.number}`);
  } catch (error) {
    if (LOST.includes(error.kind)) done.pop(); // those before it can be taken back all the same
    throw error;
  }
  done.pop();
  count(word.item, 1);
  if (word.list !== list) return;
  if (word.heir) word.heir.begins = false;
  at = Math.min(word.at, items.length);
  items.splice(at, 0, word.item);
}

const undo = () =>
  inTurn(async () => {
    const word = done.at(-1);
    if (!word) return;
    try {
      while (done.at(-1)?.group === word.group) await takeLastBack(); // all of an event
      $("said").textContent = `Undone: ${word.item.answer || word.item.file || "a photo"}.`;
      if (word.list !== list) await find(word.item);
    } finally {
      alone = false;
      show(); // also where some of an event could not be taken back
    }
  });

// A photo that was answered in another list, where this one has it.
async function find(item) {
  await fetchList();
  at = Math.max(0, items.findIndex((one) => one.id === item.id));
}

function choose(index) {
  const item = items[at];
  const candidate = item && offered(item)[index];
  if (!candidate) return;
  if (item.level === "label" && candidate.label_id === item.label_id) give("confirmed");
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

const labelCalled = (wanted, item) =>
  labels.get(item.model).find((one) => one.name.toLowerCase() === wanted.toLowerCase()) ?? { name: wanted };

const other = () => {
  const wanted = $("other-name").value.trim();
  if (wanted) return give("corrected", labelCalled(wanted, items[at]));
  $("said").textContent = "Which animal is it?";
  $("other-name").focus();
};

const showList = (which, of = queue) =>
  inTurn(async () => {
    if (!list || which !== state || of !== queue) return load(which, of);
    if (!alone) return;
    alone = false;
    show();
  });

const confirm = () => {
  if (items[at] && !isBlind(items[at])) return give("confirmed");
};
const none = () => (items[at] && !isBlind(items[at]) && isEmpty(items[at]) ? give("confirmed") : give("none"));

$("confirm").addEventListener("click", single(confirm));
$("none").addEventListener("click", single(none));
$("skip").addEventListener("click", () => move(1));
$("back").addEventListener("click", () => move(-1));
$("undo").addEventListener("click", undo);
$("undo-last").addEventListener("click", undo);
$("download").addEventListener("click", download);
$("more").addEventListener("click", () => guarded(async () => (await more(), fillRows())));
$("show-open").addEventListener("click", () => showList("open"));
$("show-events").addEventListener("click", () => showList("events"));
$("more-events").addEventListener("click", () => guarded(async () => (await more(), show())));
$("undo-event").addEventListener("click", undo);
$("show-done").addEventListener("click", () => showList("done"));
for (const button of $("classes").children) button.addEventListener("click", () => showList("open", button.dataset.queue));
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
  if (event.repeat && !key.startsWith("arrow")) return; // a key that is held down speaks once
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

start(() => first(load));
