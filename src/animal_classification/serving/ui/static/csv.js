// Answers as the table of `animals predict`: the same columns, the same cells (predict/writers/text.py).
const FORMULA = /^[=+\-@\t\r＝＋－＠]/; // a spreadsheet would run such a cell

// Never 1e-06, which some readers take for text.
const number = (value) => (typeof value === "number" ? value.toFixed(6).replace(/0+$/, "").replace(/\.$/, "") : "");

const SPECIAL = {
  path: ({ file }) => (FORMULA.test(file) ? `./${file}` : file),
  answer: ({ answer }) => answer?.name,
  answer_probability: ({ answer }) => answer?.probability,
  set: ({ set }) => set?.join("|"),
  model_version: ({ version }) => version,
};

function cell(entry, column) {
  const [, name, rank] = column.match(/^(label|probability)_(\d+)$/) ?? [];
  const value = rank ? entry.top?.[rank - 1]?.[name] : SPECIAL[column] ? SPECIAL[column](entry) : entry[column];
  return typeof value === "number" ? number(value) : String(value ?? "");
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// entries: as /v1/predict has them, or { file, error } where there is none; columns: names, in order.
export function csv(entries, columns) {
  const known = entries.find((entry) => entry.model) ?? {};
  const rows = entries.map((entry) => ({ ...entry, model: entry.model ?? known.model, version: entry.version ?? known.version }));
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row, column)))];
  return lines.map((line) => line.map(quoted).join(",") + "\r\n").join("");
}
