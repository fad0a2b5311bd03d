// The Classify page: photos in, answers out. Which animal it is, and in which words, the API says.
import { card, counted, forget, many, one, show, trouble } from "./answers.js";
import { Refused, blob, get, handle, make, say, start } from "./common.js";
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

async function lookAtMany(photos, signal) {
  forget();
  const list = listOf(photos);
  present(make("article", { class: "answer many", "aria-label": "Answers so far" }, list.cards), false);
  bar.max = photos.length;
  const doing = () => {
    const done = photos.filter((photo) => photo.entry).length;
    bar.value = done;
    setBusy(`Looked at ${done.toLocaleString("en")} of ${counted(photos.length, "photo")}…`);
    bar.hidden = stop.hidden = false;
    list.draw();
  };
  const onWait = (seconds) => (seconds ? (status.textContent = `The server is busy: going on in ${counted(Math.ceil(seconds), "second")}…`) : doing());
  const mine = visit;
  const pictures = drawThumbnails(photos, list, () => visit === mine);
  await sendAll(photos, { limits, detections, signal, onAnswer: doing, onWait });
  const done = photos.filter((photo) => photo.entry);
  if (!done.length) return;
  list.fill();
  present(many(photos, list.cards, columns));
  pictures.then(() => visit === mine && done.length <= MOST_KEPT && keep(done));
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
  const mine = (running = new AbortController());
  try {
    photos.forEach((photo) => (photo.picture = photo.file));
    await (photos.length === 1 ? lookAtOne(photos[0], mine.signal) : lookAtMany(photos, mine.signal));
    tell("");
  } catch (error) {
    mine.abort();
    tell("");
    if (error instanceof Refused && [401, 403].includes(error.status)) unfinished = photos;
    else present(trouble("No answer came", "Is the server still running? Please try again."));
    if (error instanceof Refused || !(error instanceof TypeError || error.name === "AbortError")) handle(error);
  } finally {
    running = null;
  }
}

async function tryExample(which) {
  if (running || box.hasAttribute("data-busy")) return;
  setBusy("Looking…");
  const wanted = [...examples].map((button) => button.dataset.example).filter((name) => name !== "all" && (which === "all" || which === name));
  try {
    const photos = await Promise.all(wanted.map(async (name) => ({ name: `${name}.jpg`, file: await blob(`tabs/examples/${name}.jpg`) })));
    await look(photos);
  } catch (error) {
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
      status.textContent = "Getting ready…";
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

watchIntake(look, tell);
stop.addEventListener("click", () => running?.abort());
examples.forEach((button) => button.addEventListener("click", () => tryExample(button.dataset.example)));
document.getElementById("sign-out").addEventListener("click", drop, { capture: true });
start(async () => {
  await whenReady();
  if (!running) status.textContent = "";
  again();
  const photos = unfinished;
  unfinished = null;
  if (photos) look(photos);
});
