/* The signalling ladder: a lane for each node, an arrow for each message, and all its options on click. */

import { compare, get, isAnchor, of } from "./documents.js";
import { byId, draw, make, sayEmpty, set, setText, update } from "./dom.js";
import { clock, key, plain } from "./words.js";

function lanes() {
  const names = of("node").sort((a, b) => isAnchor(a) - isAnchor(b) || compare(a.name, b.name)).map((one) => one.name);
  for (const message of of("message")) {
    for (const name of [message.from, message.to]) if (!names.includes(name)) names.push(name);
  }
  return names;
}

function create(row) {
  const item = make("li");
  const button = make("button", undefined, { type: "button", "aria-haspopup": "dialog" });
  const lines = draw("svg", { class: "lines", "aria-hidden": "true" });
  const about = make("span", undefined, { class: "about" });
  about.append(make("span", undefined, { class: "unseen" }), make("span", undefined, { class: "what" }), make("span"));
  const arrow = draw("svg", { class: "arrow", "aria-hidden": "true" });
  arrow.append(draw("line"), draw("path"));
  const lane = make("span", undefined, { class: "lane" });
  lane.append(lines, about, arrow);
  button.append(make("time", clock(row.time)), lane);
  button.addEventListener("click", () => showDetails(row.number));
  item.append(button);
  return item;
}

function outcomeOf(row) {
  const text = row.outcome || (row.state === "sent" ? "sent" : "");
  const good = /^(accepted|status_0$|revocation_status_0$|alive)/.test(text);
  const bad = /^(status|revocation_status|ignored|bad|undecodable|rejected)/.test(text);
  return { text: plain(text), mark: good ? "✓ " : bad ? "✗ " : "", kind: good ? "good" : bad ? "bad" : "" };
}

export function showMessages() {
  const names = lanes();
  const x = (name) => 100 * (names.indexOf(name) + 0.5) / names.length;
  update(byId("lanes"), names, (name) => name, (name) => make("span", name, { title: name }), () => {});
  const rows = of("message").sort((a, b) => b.time - a.time || b.number - a.number);
  update(byId("messages"), rows, (row) => String(row.number), create, (item, row) => {
    const lane = item.firstElementChild.lastElementChild;
    const [lines, about, arrow] = lane.children;
    update(lines, names, (name) => name, () => draw("line", { y1: "0", y2: "100%" }), (line, name) => set(line, { x1: x(name) + "%", x2: x(name) + "%" }));
    const [ends, what, outcome] = about.children;
    setText(ends, `${row.from} to ${row.to}: `);
    setText(what, row.summary);
    set(item.firstElementChild, { title: row.summary });
    const { text, mark, kind } = outcomeOf(row);
    setText(outcome, mark + text);
    set(outcome, { class: "outcome " + kind });
    const from = x(row.from), to = x(row.to), back = to < from;
    set(arrow.children[0], { x1: from + "%", x2: to + "%", y1: 7, y2: 7 });
    // A path knows no percentages: it is drawn at nought and its own little picture moved there.
    arrow.children[1].style.transform = `translateX(${to}cqw)`;
    set(arrow.children[1], { d: back ? "M0 7l8 -5v10z" : "M0 7l-8 -5v10z" });
  });
  sayEmpty("messages-empty", rows.length === 0);
  byId("lanes").hidden = rows.length === 0;
}

async function showDetails(number) {
  const answer = await fetch("message/" + number);
  const found = answer.ok ? await answer.json() : null;
  const row = get("message/" + number) || found;
  if (row === null || row === undefined) return;
  byId("details-title").textContent = found === null ? "Not kept any more" : found.message ? found.message.name : "Undecodable message";
  byId("details-about").textContent = `${row.from || row.source} (${row.source}) to ${row.to || row.destination} (${row.destination}), ${clock(row.time)} UTC`;
  byId("details-body").replaceChildren(...(found && found.message ? parts(found.message) : []));
  byId("details").showModal();
}

/* A message in words: its own fields, and a table of its options. */
function parts(message) {
  const { options = [], ...fields } = message;
  const facts = make("p");
  facts.append(...pairs(fields, ["name", "type"]));
  const table = make("table");
  const head = make("tr");
  for (const title of ["Offset", "Option", "Length", "Value"]) head.append(make("th", title, { scope: "col" }));
  const top = make("thead"), body = make("tbody");
  top.append(head);
  for (const option of options) {
    const line = make("tr"), value = make("td");
    value.append(...pairs(option, ["name", "type", "length", "offset"]));
    line.append(make("td", option.offset), make("th", `${option.name} (${option.type})`, { scope: "row" }), make("td", option.length), value);
    body.append(line);
  }
  table.append(top, body);
  return options.length ? [facts, table] : [facts];
}

/* Names and values, but for those that stand elsewhere. */
function* pairs(fields, elsewhere) {
  for (const [name, value] of Object.entries(fields)) {
    if (elsewhere.includes(name) || value === null) continue;
    const both = make("span", undefined, { class: "pairs" });
    const shown = name === "key" && Number.isInteger(value) ? `${key(value)} (${value})`
      : typeof value === "object" ? JSON.stringify(value) : String(value) + (name.endsWith("_s") ? " s" : "");
    both.append(make("span", plain(name.replace(/_s$/, "")) + " ", { class: "count" }), make("code", shown));
    yield both;
  }
}
