// Sends photos to /v1/predict: a few requests at once, each within the server's bounds; waits where it is told to.
import { Refused, get, postForm } from "./common.js";

const AT_ONCE = 3;
const MOST_PHOTOS = 8; // of a request: answers come while others are on their way
const MOST_BYTES = 8 * 1024 * 1024; // a slow line must carry a request within the server's time
const ROOM = 64 * 1024; // what a request holds beside photos
const GIVE_UP = 150_000; // milliseconds without an answer
const TRIES = 10; // while the server is busy, for each request; who is merely too fast waits as long as it takes
const LONGEST_WAIT = 120; // seconds

const sleep = (seconds, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });

function requests(photos, limits) {
  const bytes = Math.min(MOST_BYTES, limits.maxRequestBytes - ROOM);
  const most = Math.min(MOST_PHOTOS, limits.maxFiles);
  const chunks = [];
  let size = Infinity;
  for (const photo of photos) {
    if (size + photo.file.size > bytes || chunks.at(-1).length >= most) {
      chunks.push([]);
      size = 0;
    }
    chunks.at(-1).push(photo);
    size += photo.file.size;
  }
  return chunks;
}

async function request(photos, { heatmap, detections, signal }) {
  const form = new FormData();
  form.append("words", "true");
  if (heatmap) form.append("heatmap", "true");
  if (detections) form.append("detections", "true");
  for (const photo of photos) form.append("files", photo.file, photo.name);
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = setTimeout(end, GIVE_UP);
  signal.addEventListener("abort", end);
  try {
    return (await postForm("v1/predict", form, ending.signal)).predictions;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

const isAlive = () => get("healthz").then(() => true, () => false);

// Gives each photo an `entry`, as the API has it, or one with an `error` where it failed; calls `onAnswer` after each
// request and `onWait` with the seconds to wait, or 0. Throws what stops everything: a key is wanted, the server is gone.
export async function sendAll(photos, { limits, heatmap = false, detections = false, signal, onAnswer, onWait }) {
  const sent = [];
  for (const photo of photos) {
    if (photo.entry) continue;
    if (photo.file.size > limits.maxFileBytes) photo.entry = { file: photo.name, error: limits.tooLarge };
    else sent.push(photo);
  }
  onAnswer();
  const waiting = requests(sent, limits).map((chunk) => ({ chunk, tries: 0 }));
  let resume = Promise.resolve();

  // All wait until the last of these is over. Nobody is told of that after an end: it would look like a beginning.
  function pause(seconds) {
    onWait(seconds);
    const mine = Promise.all([resume, sleep(seconds, signal)]).then(() => resume === mine && !signal.aborted && onWait(0));
    resume = mine;
  }

  async function pauses() {
    for (let seen = null; seen !== resume; ) await (seen = resume);
  }

  function failed(job, error) {
    if (error instanceof Refused && [401, 403].includes(error.status)) throw error;
    const busy = error instanceof Refused && [429, 503].includes(error.status);
    if (busy && (error.status === 429 || job.tries < TRIES)) {
      pause(Math.min(LONGEST_WAIT, error.retryAfter ?? 2 ** job.tries));
      waiting.unshift({ chunk: job.chunk, tries: job.tries + 1 });
    } else if (job.chunk.length > 1) {
      waiting.unshift(...job.chunk.map((photo) => ({ chunk: [photo], tries: 0 }))); // so that one fails alone
    } else {
      const why = error instanceof Refused ? `was refused: ${error.message}` : "could not be sent";
      job.chunk[0].entry = { file: job.chunk[0].name, error: why };
    }
  }

  async function work() {
    while (waiting.length && !signal.aborted) {
      await pauses();
      const job = waiting.shift();
      if (!job || signal.aborted) return;
      try {
        const entries = await request(job.chunk, { heatmap, detections, signal });
        // In the order sent. The name is ours: a form cannot carry every letter of one.
        job.chunk.forEach((photo, index) => (photo.entry = { ...entries[index], file: photo.name }));
      } catch (error) {
        const isGone = !signal.aborted && !(error instanceof Refused) && !(await isAlive());
        if (signal.aborted) return;
        if (isGone) throw error;
        failed(job, error);
      }
      if (!signal.aborted) onAnswer();
    }
  }

  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
