// The classes of photos to review: why somebody should look at one, and how it is asked about.

export const WHY = {
  disagree: "Two models differ on this photo. You are not told which one says what: your answer decides between them.",
  asked: "The loop asks for this photo: the next model learns from your answer.",
  audit: "Chosen by chance: your answer tells how accurate all answers are.",
};
const NO_NAME = "unknown"; // what one of two models says that has no name for it
const MOST = 5;

export const isBlind = (item) => Boolean(item.choices);

// What can be chosen with a key: the most probable labels, or what the two models say.
export function offered(item) {
  if (!isBlind(item)) return item.top.slice(0, MOST);
  return item.choices.filter((name) => name !== NO_NAME).map((label) => ({ label }));
}

// A button for each class that has photos, where there is more than the usual chance and doubt. `queue`: the one that is
// on show, `null` where that is what was reviewed.
export function showClasses(counts, queue) {
  const group = document.getElementById("classes");
  group.hidden = queue === null || (queue === "all" && !counts.disagree && !counts.asked);
  for (const button of group.children) {
    const name = button.dataset.queue;
    button.setAttribute("aria-pressed", name === queue);
    if (name === "all") continue;
    button.lastElementChild.textContent = counts[name] ?? 0;
    button.hidden = !counts[name] && name !== queue;
  }
}
