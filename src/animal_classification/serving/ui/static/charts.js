// Small charts: drawn as SVG, each with a table of the same numbers for whoever cannot see it.
import { make } from "./common.js";

// Drawn as wide as it is shown, or letters on a phone would be too small to read.
const WIDTH = window.innerWidth < 760 ? 360 : 620;
const HEIGHT = 180;
const LEFT = 44;
const TOP = 14;
const BOTTOM = 22;
export const COLOURS = ["a", "b", "c", "d", "e", "f"]; // classes of tabs.css

function nice(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most) ?? most;
}

// series: [{ name, values, colour }], stacked; labels: one for each value.
export function bars(title, labels, series, show = (value) => String(value)) {
  const sums = labels.map((_, index) => series.reduce((sum, one) => sum + (one.values[index] ?? 0), 0));
  const top = nice(Math.max(...sums, 1e-9));
  const step = (WIDTH - LEFT) / labels.length;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const drawing = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" });
  for (const share of [0, 0.5, 1]) {
    drawing.append(
      make("line", { x1: LEFT, x2: WIDTH, y1: y(share * top), y2: y(share * top), class: "grid" }),
      make("text", { x: LEFT - 6, y: y(share * top) + 4, class: "tick end" }, show(share * top)),
    );
  }
  labels.forEach((label, index) => {
    let below = 0;
    for (const one of series) {
      const value = one.values[index] ?? 0;
      if (!value) continue;
      const height = y(below) - y(below + value);
      drawing.append(
        make(
          "rect",
          { x: LEFT + index * step + 1, y: y(below + value), width: Math.max(1, step - 2), height, class: `fill-${one.colour}` },
          make("title", {}, `${label}: ${one.name} ${show(value)}`),
        ),
      );
      below += value;
    }
  });
  const every = Math.max(1, Math.ceil(labels.length / (WIDTH < 500 ? 4 : 6)));
  labels.forEach((label, index) => {
    if (index % every === 0) drawing.append(make("text", { x: LEFT + index * step, y: HEIGHT - 2, class: "tick" }, label));
  });
  return drawing;
}

export function legend(series) {
  return make(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    ...series.map((one) => make("li", {}, make("span", { class: `swatch back-${one.colour}` }), one.name)),
  );
}

export function table(head, rows, caption) {
  const cell = (value, index) => (index === 0 ? make("th", { scope: "row" }, String(value)) : make("td", {}, String(value)));
  return make(
    "table",
    {},
    caption ? make("caption", {}, caption) : null,
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell)))),
  );
}

export const asTable = (head, rows) =>
  make("details", {}, make("summary", {}, "As a table"), make("div", { class: "scrolls", tabindex: "0" }, table(head, rows)));
