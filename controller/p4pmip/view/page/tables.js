/* Drops, alarms, and the entries of tables with what they have counted. */

import { compare, get, of } from "./documents.js";
import { byId, make, sayEmpty, setText, simpleTable, update } from "./dom.js";
import { clock, key, many, plain } from "./words.js";

let dropsShown = "";
export function showDrops() {
  const nodes = of("drops").sort((a, b) => compare(a.node, b.node));
  const text = JSON.stringify(nodes);
  if (text === dropsShown) return;
  dropsShown = text;
  const total = (reason) => nodes.reduce((sum, one) => sum + (one.reasons[reason] || 0), 0);
  const reasons = [...new Set(nodes.flatMap((one) => Object.keys(one.reasons)))].sort((a, b) => total(b) - total(a) || compare(a, b));
  const rows = reasons.map((reason) => [plain(reason.toLowerCase()), ...nodes.map((one) => (one.reasons[reason] || 0).toLocaleString("en"))]);
  const shown = rows.length ? simpleTable(["Reason", ...nodes.map((one) => one.node)], rows, "Drops") : make("p", "None.", { class: "empty" });
  byId("drop-rows").replaceChildren(shown);
}

export function showAlarms() {
  const alarms = of("alarm").sort((a, b) => b.time - a.time);
  update(byId("alarm-rows"), alarms, (one) => one.time + one.name + one.node, (one) => {
    const item = make("li");
    item.append(make("time", clock(one.time)), ` ${one.node}: `, make("strong", plain(one.name)), one.detail ? `: ${one.detail}` : "");
    return item;
  }, () => {});
  byId("alarms").hidden = alarms.length === 0;
}

const words = (fields) => Object.entries(fields).map(([name, value]) => `${name}=${name === "gre_key" && Number.isInteger(value) ? key(value) : value}`).join(" ");

export function showTables() {
  const nodes = of("node").sort((a, b) => compare(a.name, b.name));
  const tables = of("table").filter((table) => table.count);
  update(byId("table-nodes"), nodes, (one) => one.name, (one) => {
    const group = make("div");
    group.append(make("h3", one.name), make("div"));
    return group;
  }, (group, one) => {
    const there = tables.filter((table) => table.node === one.name).sort((a, b) => compare(a.table, b.table));
    group.hidden = there.length === 0;
    update(group.lastElementChild, there, (table) => table.table, (table) => {
      const box = make("details");
      const summary = make("summary");
      summary.append(make("span"), make("span", undefined, { class: "count" }));
      box.append(summary, make("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": `${table.table} of ${table.node}` }));
      box.addEventListener("toggle", () => fillTable(box, table.node, table.table));
      return box;
    }, (box, table) => {
      setText(box.firstElementChild.children[0], table.table);
      setText(box.firstElementChild.children[1], ` ${table.count.toLocaleString("en")} of ${table.size.toLocaleString("en")}`);
      fillTable(box, table.node, table.table);
    });
  });
  sayEmpty("tables-empty", tables.length === 0);
}

function fillTable(box, node, name) {
  const table = get(`table/${node}/${name}`);
  if (!box.open || !table || box.shown === table) return;
  box.shown = table;
  const rows = table.rows.map((row) => [`${words(row.key) || "any"} → ${row.action}(${words(row.params)})${row.mn ? " " + row.mn : ""}`,
    row.counter ? row.counter.packets.toLocaleString("en") : "–", row.counter ? row.counter.octets.toLocaleString("en") : "–"]);
  const body = rows.length ? simpleTable(["Entry", "Packets", "Octets"], rows, name) : make("p", "Too large to be read while the node works: p4pmip tables shows it.");
  box.lastElementChild.replaceChildren(body);
  if (table.count > rows.length && rows.length) box.lastElementChild.append(make("p", `and ${many(table.count - rows.length, "more entry").replace("entrys", "entries")}`));
}
