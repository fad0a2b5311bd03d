// Boxes over a photo, and each animal by itself, enlarged. Positions are fractions of the upright photo, as browsers show it.
import { make, percent } from "./common.js";

const SIDE = 192; // pixels of an enlarged animal, on screens of any density
const AROUND = 1.2; // of the box's longer side, as the model saw it

const nameOf = (box) => box.answer?.name ?? box.category;
const sure = (box) => percent(box.answer?.probability ?? box.confidence);

function place(element, box) {
  element.style.left = `${100 * box.x}%`;
  element.style.top = `${100 * box.y}%`;
  element.style.width = `${100 * box.width}%`;
  element.style.height = `${100 * box.height}%`;
}

function outline(box, number) {
  const element = make("span", { class: `box ${box.category}`, "aria-hidden": "true" }, make("b", {}, String(number)));
  place(element, box);
  return element;
}

// The square around a box, moved into the photo: the part that was named.
export function square(box, width, height) {
  const side = Math.min(AROUND * Math.max(box.width * width, box.height * height), width, height);
  const start = (middle, length) => Math.min(Math.max(middle - side / 2, 0), length - side);
  const left = start((box.x + box.width / 2) * width, width);
  const top = start((box.y + box.height / 2) * height, height);
  return { left, top, side };
}

function enlarged(box, photo) {
  const canvas = make("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": `${nameOf(box)}, enlarged` });
  const { left, top, side } = square(box, photo.naturalWidth, photo.naturalHeight);
  canvas.getContext("2d").drawImage(photo, left, top, side, side, 0, 0, SIDE, SIDE);
  return canvas;
}

// Pointing at one of the two shows which belongs to which.
function together(one, other) {
  for (const element of [one, other]) {
    element.addEventListener("pointerenter", () => [one, other].forEach((each) => each.classList.add("meant")));
    element.addEventListener("pointerleave", () => [one, other].forEach((each) => each.classList.remove("meant")));
  }
}

// Draws what was found into a photo's frame, and gives a list of it; the photo is loaded.
export function drawBoxes(frame, photo, boxes) {
  const list = make("ol", { class: "found", "aria-label": "What was found" });
  boxes.forEach((box, index) => {
    const drawn = outline(box, index + 1);
    const words = make("span", {}, make("b", {}, `${index + 1} ${nameOf(box)}`), " ", make("small", {}, sure(box)));
    const item = make("li", {}, enlarged(box, photo), words);
    together(drawn, item);
    frame.append(drawn);
    list.append(item);
  });
  return list;
}
