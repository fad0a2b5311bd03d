// The model: what it is, how good it is, what it takes for what.
import { Refused, get, make, percent, start, text } from "./common.js";
import { table } from "./charts.js";

const MOST = 40; // classes of a matrix that can still be read

const orNothing = (error) => {
  if (error instanceof Refused && error.status === 404) return null;
  throw error;
};

function value(number) {
  if (typeof number !== "number") return String(number);
  return Number.isInteger(number) ? number.toLocaleString() : number.toPrecision(4).replace(/0+$/, "").replace(/\.$/, "");
}

function facts(model) {
  const rows = [
    ["Version", model.version],
    ["Made", new Date(model.created).toLocaleDateString([], { dateStyle: "long" })],
    ["Animals", model.classes],
    ["Engine here", model.engine],
    ["Input", `${model.input.size} × ${model.input.size} pixels`],
    ["Trained on", `${model.data.version}${model.data.n_train ? `, ${model.data.n_train.toLocaleString()} photos` : ""}`],
    ["Scorecard on", model.data.n_test ? `${model.data.n_test.toLocaleString()} photos` : "not stated"],
    ["Unknown photos", model.unknown ? model.unknown.method.replaceAll("_", " ") : "are not looked for"],
    ["Licence", model.license ?? "not stated"],
    ["SHA-256", model.sha256.slice(0, 16) + "…"],
  ];
  return make("dl", { class: "facts" }, ...rows.flatMap(([name, said]) => [make("dt", {}, name), make("dd", {}, String(said))]));
}

function metrics(model) {
  const rows = Object.entries(model.metrics ?? {}).filter(([, one]) => typeof one === "number");
  if (!rows.length) return make("p", {}, "Nobody measured it: there was no test photo.");
  return make("div", { class: "scrolls", tabindex: "0" }, table(["Measure", "Value"], rows.map(([name, one]) => [name.replaceAll("_", " "), value(one)])));
}

function confusion(found) {
  if (!found) return [make("p", {}, "This bundle holds no confusion matrix. Models that animals train makes hold one.")];
  const { labels, matrix } = found;
  const pairs = matrix
    .flatMap((row, truth) => row.map((count, said) => ({ count, truth, said })))
    .filter((pair) => pair.count && pair.truth !== pair.said)
    .sort((one, other) => other.count - one.count);
  const total = matrix.flat().reduce((sum, count) => sum + count, 0);
  const right = matrix.reduce((sum, row, index) => sum + row[index], 0);
  const words = make("p", {}, `${right.toLocaleString()} of ${total.toLocaleString()} test photos were named rightly (${percent(right / total)}).`);
  const mistakes = pairs.length
    ? table(["It was", "Taken for", "Photos"], pairs.slice(0, 8).map((pair) => [labels[pair.truth], labels[pair.said], pair.count]), "The commonest mistakes")
    : make("p", {}, "There was no mistake.");
  if (labels.length > MOST) return [words, mistakes];
  return [words, make("div", { class: "scrolls matrix", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, grid(labels, matrix)), mistakes];
}

function grid(labels, matrix) {
  const head = make("tr", {}, make("td", {}), ...labels.map((name) => make("th", { scope: "col" }, make("span", {}, name))));
  const rows = matrix.map((row, truth) => {
    const sum = row.reduce((all, count) => all + count, 0) || 1;
    const shown = row.map((count, said) => {
      const cell = make("td", { class: said === truth ? "right" : count ? "wrong" : "", title: `${labels[truth]} taken for ${labels[said]}: ${count}` }, count ? String(count) : "");
      cell.style.setProperty("--share", String(count / sum));
      return cell;
    });
    return make("tr", {}, make("th", { scope: "row" }, labels[truth]), ...shown);
  });
  return make("table", {}, make("caption", {}, "Down: what it was. Across: what it was taken for."), make("thead", {}, head), make("tbody", {}, ...rows));
}

function cardText(html) {
  const section = make("section", { class: "panel card-text" }, make("p", {}, "It has no card."));
  if (html) section.innerHTML = html; // of the server, which escapes whatever HTML the card holds
  return section;
}

async function one(summary) {
  const path = `v1/models/${encodeURIComponent(summary.name)}`;
  const model = await get(path);
  // Asked for only where it is: a browser notes every 404 in its console, as if something were wrong.
  const [card, matrix] = await Promise.all([
    model.card ? text(`tabs/cards/${encodeURIComponent(summary.name)}`).catch(orNothing) : null,
    model.confusion ? get(`${path}/confusion`).catch(orNothing) : null,
  ]);
  return [
    make("h1", {}, model.name),
    make(
      "div",
      { class: "halves" },
      make("section", { class: "panel" }, make("h2", {}, "What it is"), facts(model)),
      make("section", { class: "panel" }, make("h2", {}, "How good it is"), metrics(model)),
    ),
    make("section", { class: "panel" }, make("h2", {}, "What it takes for what"), ...confusion(matrix)),
    cardText(card),
  ];
}

start(async () => {
  const { models } = await get("v1/models");
  const shown = await Promise.all(models.map(one));
  document.getElementById("models").replaceChildren(...shown.flat());
});
