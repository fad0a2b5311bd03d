// What the tabs share: asking the API, signing in where it wants a key, making elements without any HTML in strings.
const KEY = "animals.key";
const page = document.getElementById("page");
const form = document.getElementById("sign-in");
const signOut = document.getElementById("sign-out");
const troubleLine = document.getElementById("trouble");

export class Refused extends Error {
  constructor(status, problem, { retryAfter = null, key = null } = {}) {
    super(problem?.detail ?? `the server answered ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
    this.key = key; // that was refused
    this.kind = (problem?.type ?? "").split(":").pop();
  }
}

async function send(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(options.headers ?? {}), ...(key ? { "X-API-Key": key } : {}) };
  const answer = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
  if (answer.ok) return answer;
  let problem = null;
  try {
    problem = await answer.json();
  } catch {
    // not every answer on the way is ours
  }
  throw new Refused(answer.status, problem, { retryAfter: Number(answer.headers.get("Retry-After")) || null, key });
}

export const get = async (path) => (await send(path)).json();
export const text = async (path) => (await send(path)).text();
export const blob = async (path) => (await send(path)).blob();
export const picture = async (path) => URL.createObjectURL(await blob(path));
export const remove = async (path) => (await send(path, { method: "DELETE" })).json();
export const postForm = async (path, body, signal) => (await send(path, { method: "POST", body, signal })).json();
export const post = async (path, body) =>
  (
    await send(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    })
  ).json();

// Make an element: its name, attributes (on… are listeners), children that are elements or text.
export function make(name, attributes = {}, ...children) {
  const vector = ["svg", "g", "rect", "path", "line", "text", "title"].includes(name) && attributes.vector !== false;
  const element = vector
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "vector" || value === false || value === null || value === undefined) continue;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The second click of a double click was meant for what the first one has taken away; who clicks on and on is slower.
const DOUBLE = 300; // milliseconds
let clicked = -Infinity;

export const single = (work) => (click) => {
  const again = click.detail > 1 && click.timeStamp - clicked < DOUBLE;
  clicked = click.timeStamp;
  if (!again) work();
};

export function say(error) {
  troubleLine.hidden = !error;
  troubleLine.textContent = error
    ? error instanceof Refused
      ? `${error.message[0].toUpperCase()}${error.message.slice(1)}.`
      : "The server does not answer. Is it still running?"
    : "";
}

export const percent = (share) => {
  if (share === null || share === undefined) return "–";
  if (share >= 0.995 && share < 1) return ">99%";
  if (share > 0 && share < 0.005) return "<1%";
  return `${Math.round(100 * share)}%`;
};

// Runs `work` now, and again when somebody has signed in. A refusal for want of a key shows the form.
export function start(work) {
  let shownTo = null; // the key that what is on the page was shown to
  const run = async () => {
    const key = sessionStorage.getItem(KEY);
    try {
      await work();
      shownTo = key;
      say(null);
      page.hidden = false;
      form.hidden = true;
      signOut.hidden = !sessionStorage.getItem(KEY);
    } catch (error) {
      handle(error);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = document.getElementById("key");
    sessionStorage.setItem(KEY, input.value.trim());
    input.value = "";
    run();
  });
  signOut.addEventListener("click", () => {
    const ours = Object.keys(sessionStorage).filter((name) => name.startsWith("animals."));
    ours.forEach((name) => sessionStorage.removeItem(name));
    location.reload();
  });
  // Back to a page that the browser kept as it was: not after somebody has signed out, or in.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted && sessionStorage.getItem(KEY) !== shownTo) location.reload();
  });
  run();
}

// A photo that somebody else spoke of is no reason to sign in again.
export const wantsKey = (error) => error instanceof Refused && [401, 403].includes(error.status) && error.kind !== "not-yours";

export function handle(error) {
  if (wantsKey(error)) {
    // The answer to an older key says nothing of the one that somebody has signed in with since.
    if (error.key !== sessionStorage.getItem(KEY)) return;
    const tried = error.key !== null;
    sessionStorage.removeItem(KEY);
    page.hidden = true;
    form.hidden = false;
    document.getElementById("sign-in-why").textContent = !tried
      ? "This server wants an API key."
      : error.status === 401
        ? "That key is not known here, or has expired."
        : `That key does not allow this: ${error.message.split(": ").pop()}.`;
    document.getElementById("key").focus();
    return;
  }
  if (!(error instanceof Refused) && !(error instanceof TypeError)) console.error(error);
  say(error);
}
