// A model card's Markdown as elements. What it does not know stays text; nothing becomes HTML.
import { make } from "./common.js";

const ESCAPED = /\\([\\`*_{}[\]<>#|!~-])/g;
const plain = (text) => text.replace(ESCAPED, "$1");

function inline(text) {
  const parts = [];
  const pattern = /`([^`]+)`|\*\*(.+?)\*\*|(?<![\w\\])\*([^*]+)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;
  let end = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(plain(text.slice(end, found.index)));
    end = found.index + found[0].length;
    if (found[1] !== undefined) parts.push(make("code", {}, found[1]));
    else if (found[2] !== undefined) parts.push(make("strong", {}, ...inline(found[2])));
    else if (found[3] !== undefined) parts.push(make("em", {}, plain(found[3])));
    else parts.push(plain(found[4])); // a link leads away from this machine: its words are enough
  }
  parts.push(plain(text.slice(end)));
  return parts.filter((part) => part !== "");
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function block(lines) {
  if (/^#{1,6} /.test(lines[0])) {
    const level = Math.min(6, lines[0].match(/^#+/)[0].length + 1);
    return [make(`h${level}`, {}, ...inline(lines[0].replace(/^#+ /, ""))), ...rest(lines)];
  }
  if (/^\s*[-*] /.test(lines[0])) {
    const items = lines.join("\n").split(/\n?^\s*[-*] /m).slice(1);
    return [make("ul", {}, ...items.map((item) => make("li", {}, ...inline(item.replace(/\s*\n\s*/g, " ")))))];
  }
  if (lines.length > 1 && /^\|[\s|:-]+\|?$/.test(lines[1])) {
    const head = cells(lines[0]);
    const body = lines.slice(2).map((line) => make("tr", {}, ...cells(line).map((cell) => make("td", {}, ...inline(cell)))));
    const titles = head.some(Boolean)
      ? make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, ...inline(cell)))))
      : null;
    return [make("table", {}, titles, make("tbody", {}, ...body))];
  }
  if (lines.every((line) => line.startsWith("    "))) return [make("pre", {}, lines.map((line) => line.slice(4)).join("\n"))];
  return [make("p", {}, ...inline(lines.join(" ")))];
}

const rest = (lines) => (lines.length > 1 ? block(lines.slice(1)) : []);

export function markdown(text) {
  const body = text.replace(/^---\n[\s\S]*?\n---\n/, "");
  const blocks = body.split(/\n\s*\n/).map((part) => part.split("\n").filter((line) => line.trim()));
  return blocks.filter((lines) => lines.length).flatMap(block);
}
