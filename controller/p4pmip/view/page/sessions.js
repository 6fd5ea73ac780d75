/* Sessions in a table, their rates over the last minute, and in words what changed. */

import { byId, draw, make, sayEmpty, set, setText, update } from "./dom.js";
import { bits, key, many, realmClass, realmShape } from "./words.js";

const KEPT = 60; // seconds
const WIDTH = 96, HEIGHT = 22;
const past = new Map();

/* What a session's rate was, once for each change of its counters. */
function remember(row, now) {
  const kept = past.get(row.name) || [];
  const last = kept[kept.length - 1];
  if (row.traffic && (!last || last.traffic !== row.traffic)) {
    kept.push({ traffic: row.traffic, at: now, rate: row.traffic.up.bits_per_second + row.traffic.down.bits_per_second });
  }
  while (kept.length && now - kept[0].at > KEPT) kept.shift();
  past.set(row.name, kept);
  return kept;
}

function curve(kept, now) {
  const most = Math.max(...kept.map((one) => one.rate), 1);
  return kept.map(({ at, rate }) => `${(WIDTH * (1 - (now - at) / KEPT)).toFixed(1)},${(HEIGHT - 1 - (HEIGHT - 3) * rate / most).toFixed(1)}`).join(" ");
}

function createRow(row) {
  const line = make("tr");
  line.append(make("th", "", { scope: "row" }));
  for (let n = 0; n < 9; n++) line.append(make("td"));
  const marker = draw("svg", { viewBox: "-9 -9 18 18", class: "marker", "aria-hidden": "true" });
  marker.append(draw("path", { class: "marker", d: realmShape(row.realm) }));
  line.children[1].append(marker, make("span"));
  line.children[5].className = line.children[6].className = "key";
  for (const n of [7, 8]) {
    line.children[n].className = "number";
    line.children[n].append(make("span"), make("small"));
  }
  const chart = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", "aria-hidden": "true" });
  chart.append(draw("polyline"));
  line.children[9].append(chart);
  // The mobile node of the row under the pointer stands out in the picture.
  for (const [event, lit] of [["mouseenter", true], ["mouseleave", false]]) {
    line.addEventListener(event, () => {
      for (const one of byId("mobiles").children) one.classList.toggle("lit", lit && one.dataset.key === row.name);
    });
  }
  return line;
}

function showFlow(cell, flow) {
  setText(cell.children[0], flow ? bits(flow.bits_per_second) : "–");
  setText(cell.children[1], flow ? many(flow.packets, "packet") : "");
}

function wanted(row, words) {
  const all = [row.mn, row.realm, row.ipv4, row.hnp, row.mag, row.state, key(row.uplink_key), key(row.downlink_key)];
  const text = all.filter(Boolean).join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function showSessions(rows) {
  const now = performance.now() / 1000;
  const words = byId("session-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const curves = new Map(rows.map((row) => [row.name, remember(row, now)]));
  for (const name of past.keys()) if (!curves.has(name)) past.delete(name);
  const shown = rows.filter((row) => wanted(row, words));
  setText(byId("session-count"), words.length ? `${shown.length} of ${rows.length}` : String(rows.length));
  update(byId("session-rows"), shown, (row) => row.name, createRow, (line, row) => {
    const cells = line.children;
    setText(cells[0], row.mn);
    set(cells[0], { title: row.mn });
    setText(cells[1].lastElementChild, row.realm);
    set(cells[1], { class: realmClass(row.realm) });
    setText(cells[2], [row.ipv4, row.hnp].filter(Boolean).join(" ") || "–");
    setText(cells[3], row.mag || "–");
    setText(cells[4], row.old ? `${row.state}, as last seen` : row.state);
    set(cells[4], { class: "state-" + row.state });
    setText(cells[5], key(row.uplink_key));
    setText(cells[6], key(row.downlink_key));
    showFlow(cells[7], row.traffic && row.traffic.up);
    showFlow(cells[8], row.traffic && row.traffic.down);
    set(cells[9].firstElementChild.firstElementChild, { points: curve(curves.get(row.name), now) });
    line.classList.toggle("old", row.old);
  });
  sayEmpty("sessions-empty", shown.length === 0, rows.length ? "No session has that." : "No mobile node is attached.");
}

/* What changed is said once, for those who do not see the mobile nodes move. */
let said = null;
export function announce(rows) {
  const now = new Map(rows.filter((row) => row.state === "active").map((row) => [row.name, row]));
  if (said !== null) {
    const words = [];
    for (const [name, row] of now) {
      const before = said.get(name);
      if (before === undefined) words.push(`${row.mn} attached at ${row.mag}`);
      else if (before.mag !== row.mag) words.push(`${row.mn} moved from ${before.mag} to ${row.mag}`);
    }
    for (const [name, row] of said) if (!now.has(name)) words.push(`${row.mn} left ${row.mag}`);
    const more = words.length > 5 ? ` and ${words.length - 5} more` : "";
    if (words.length) byId("announcement").textContent = words.slice(0, 5).join(". ") + more;
  }
  said = now;
}
