// What a page does with the server, one thing at a time: each changes the list that the next one is about.
import { handle, say } from "./common.js";

let busy = false;
let working = Promise.resolve(); // what was begun last, until it is done

async function run(work) {
  busy = true;
  try {
    await work();
  } finally {
    busy = false;
  }
}

// An answer is about the photo on show: while one is being kept, another one is not taken.
export function guarded(work) {
  if (!busy) working = run(work).then(() => say(null), handle);
  return working;
}

// What is no answer to the photo on show waits until it can be done; not if somebody has to sign in first.
export async function inTurn(work) {
  while (busy) await working;
  if (!document.getElementById("page").hidden) await guarded(work);
}

// What fills the page at first: it throws what fails, and the others wait for it.
export async function first(work) {
  while (busy) await working;
  const filling = run(work);
  working = filling.catch(() => {});
  await filling;
}
