// The Classify page: photos in, answers out. Which animal it is, and in which words, the API says.
import { card, counted, forget, many, one, show, trouble } from "./answers.js";
import { Refused, blob, get, handle, make, say, start, wantsKey } from "./common.js";
import { closeCamera, watchIntake } from "./intake.js";
import { drop, keep, kept } from "./keeping.js";
import { thumbnail } from "./previews.js";
import { sendAll } from "./sending.js";

const box = document.querySelector(".intake");
const answer = document.getElementById("answer");
const status = box.querySelector(".status");
const bar = box.querySelector("progress");
const stop = box.querySelector("[data-stop]");
const examples = document.querySelectorAll("[data-example]");
const columns = box.dataset.columns.split(",");
const limits = {
  maxFiles: Number(box.dataset.maxFiles),
  maxFileBytes: Number(box.dataset.maxFileBytes),
  maxRequestBytes: Number(box.dataset.maxRequestBytes),
  tooLarge: box.dataset.tooLarge,
};
const detections = box.dataset.detections === "true";
const MOST_KEPT = 64; // answers that are there again after a look at another page
let visit = 0; // how often photos came
let asked = 0; // how often somebody asked for something: photos, an example
let running = null; // ends what is on its way
let unfinished = null; // photos that wait until somebody has signed in

function setBusy(text) {
  status.textContent = text;
  box.toggleAttribute("data-busy", Boolean(text));
  examples.forEach((button) => (button.disabled = Boolean(text)));
  if (!text) bar.hidden = stop.hidden = true;
}

function tell(text) {
  setBusy("");
  status.textContent = text;
}

// What came last goes to eyes, keyboard and screen reader.
function present(element, focus = true) {
  answer.replaceChildren(element);
  document.documentElement.classList.add("answered");
  if (!focus) return;
  element.querySelector("#answer-name")?.focus({ preventScroll: true });
  window.scrollTo({ top: 0, behavior: "instant" });
}

async function lookAtOne(photo, signal) {
  const onWait = (seconds) => setBusy(seconds ? `The server is busy: once more in ${counted(Math.ceil(seconds), "second")}…` : "Looking at the photo…");
  setBusy("Looking at the photo…");
  await sendAll([photo], { limits, heatmap: true, detections, signal, onAnswer: () => {}, onWait });
  if (!photo.entry) return;
  forget();
  present(one(photo));
  keep([photo]);
}

// Cards appear in the order of the photos, as soon as all before them are there.
function listOf(photos) {
  const cards = make("ul", { class: "cards" });
  const made = new Map();
  const cardOf = (photo) => {
    if (!made.has(photo)) made.set(photo, card(photo));
    return made.get(photo);
  };
  let next = 0;
  const draw = () => {
    for (; photos[next]?.entry; next++) cards.append(cardOf(photos[next]));
  };
  // What was stopped has gaps: all that is answered comes along.
  const fill = () => cards.replaceChildren(...photos.filter((photo) => photo.entry).map(cardOf));
  const picture = (photo) => made.has(photo) && photo.thumbnail && show(made.get(photo), photo);
  return { cards, draw, fill, picture };
}

async function lookAtMany(photos, mine) {
  forget();
  const list = listOf(photos);
  present(make("article", { class: "answer many", "aria-label": "Answers so far" }, list.cards), false);
  bar.max = photos.length;
  let wait = 0; // seconds that the server asks for
  const doing = () => {
    const done = photos.filter((photo) => photo.entry).length;
    bar.value = done;
    const progress = `Looked at ${done.toLocaleString("en")} of ${counted(photos.length, "photo")}…`;
    setBusy(wait ? `The server is busy: going on in ${counted(Math.ceil(wait), "second")}…` : progress);
    bar.hidden = stop.hidden = false;
    list.draw();
  };
  const onWait = (seconds) => {
    wait = seconds;
    doing();
  };
  const here = visit;
  const pictures = drawThumbnails(photos, list, () => visit === here);
  const showAnswered = () => {
    const done = photos.filter((photo) => photo.entry);
    if (!done.length) return;
    list.fill();
    present(many(photos, list.cards, columns));
    pictures.then(() => visit === here && done.length <= MOST_KEPT && keep(done));
  };
  try {
    await sendAll(photos, { limits, detections, signal: mine.signal, onAnswer: doing, onWait });
  } catch (error) {
    if (wantsKey(error) || !photos.some((photo) => photo.entry)) throw error;
    mine.abort();
    say(error); // and what was answered before stays
  }
  showAnswered();
}

// One after the other: a photo of twelve megapixels takes 48 MB while it is drawn.
async function drawThumbnails(photos, list, isWanted) {
  for (const photo of photos) {
    if (!isWanted()) return;
    photo.thumbnail ??= await thumbnail(photo.file);
    if (isWanted()) list.picture(photo);
  }
}

async function look(photos) {
  if (!photos.length || running) return;
  closeCamera();
  drop();
  say(null);
  visit += 1;
  asked += 1;
  const mine = (running = new AbortController());
  try {
    photos.forEach((photo) => (photo.picture = photo.file));
    await (photos.length === 1 ? lookAtOne(photos[0], mine.signal) : lookAtMany(photos, mine));
    tell("");
  } catch (error) {
    mine.abort();
    tell("");
    if (wantsKey(error)) unfinished = photos;
    else present(trouble("No answer came", "Is the server still running? Please try again."));
    if (error instanceof Refused || !(error instanceof TypeError || error.name === "AbortError")) handle(error);
  } finally {
    running = null;
  }
}

async function tryExample(which) {
  if (running || box.hasAttribute("data-busy")) return;
  setBusy("Looking…");
  const mine = (asked += 1);
  const wanted = [...examples].map((button) => button.dataset.example).filter((name) => name !== "all" && (which === "all" || which === name));
  try {
    const photos = await Promise.all(wanted.map(async (name) => ({ name: `${name}.jpg`, file: await blob(`tabs/examples/${name}.jpg`) })));
    if (asked === mine) await look(photos); // else somebody has chosen others meanwhile
  } catch (error) {
    if (asked !== mine) return;
    tell("");
    handle(error);
  }
}

// The page is there before the model is: it asks until somebody answers.
async function whenReady() {
  for (;;) {
    try {
      await get("v1/models");
      return;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 503) throw error;
      if (!running) status.textContent = "Getting ready…";
      await new Promise((done) => setTimeout(done, 1000 * Math.min(5, error.retryAfter ?? 1)));
    }
  }
}

function again() {
  const photos = kept();
  if (!photos.length || answer.hasChildNodes()) return;
  if (photos.length === 1) present(one(photos[0]), false);
  else present(many(photos, make("ul", { class: "cards" }, ...photos.map(card)), columns), false);
}

// A camera that opens while photos are on their way does not end them.
function hint(text) {
  if (!box.hasAttribute("data-busy")) tell(text);
  else if (text) status.textContent = text;
}

watchIntake(look, hint);
stop.addEventListener("click", () => running?.abort());
examples.forEach((button) => button.addEventListener("click", () => tryExample(button.dataset.example)));
// Before the page is left: nothing is kept afterwards either.
const leave = () => {
  visit += 1;
  drop();
};
document.getElementById("sign-out").addEventListener("click", leave, { capture: true });
start(async () => {
  await whenReady();
  if (!running) status.textContent = "";
  again();
  const photos = unfinished;
  unfinished = null;
  if (photos) look(photos);
});
