/* The picture: mobile nodes at their gateways, tunnels to the anchor. Drawn in pixels, so that letters stay legible. */

import { compare, get, isAnchor, of } from "./documents.js";
import { byId, draw, sayEmpty, set, setText, update } from "./dom.js";
import { bits, fit, many, realmClass, realmShape, short, widthOf } from "./words.js";

const BOX = 54;           // height of a node
const ROW = 30;           // of a mobile node with its name
const DENSE = 22;         // the same where there are many
const DOT = 18;           // of one without its name
const SPACE = 22;         // between gateways
const TALL = 430;         // more columns rather than more height than this
const TALLEST = 800;      // names are left out rather than more than this
const LIVELY = 60;        // mobile nodes whose traffic is seen to move; more would keep a browser busy
const NAME = 92, ADDRESS = 84; // widths of what stands beside a mobile node

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function names(rows) {
  const nodes = of("node");
  const anchors = nodes.filter(isAnchor).map((one) => one.name).sort(compare);
  const gateways = nodes.filter((one) => (one.roles || []).includes("mag") && !isAnchor(one)).map((one) => one.name);
  for (const one of nodes) if (!one.roles && !anchors.includes(one.name)) gateways.push(one.name);
  for (const row of rows) {
    if (row.mag && !gateways.includes(row.mag) && !anchors.includes(row.mag)) gateways.push(row.mag);
  }
  return { anchors, gateways: gateways.sort(compare) };
}

/* Where everything is: boxes by name, mobile nodes by name, and the size of it all. */
function layout(rows, width) {
  const { anchors, gateways } = names(rows);
  const box = clamp(width * 0.18, 78, 156);
  const anchorX = width - box / 2 - 2;
  const gatewayX = anchors.length ? anchorX - box - clamp(width * 0.22, 24, 260) : anchorX;
  const right = gatewayX - box / 2 - clamp(width * 0.07, 22, 70);
  const at = new Map(gateways.map((name) => [name, rows.filter((row) => row.mag === name)]));
  for (const name of anchors) if (rows.some((row) => row.mag === name)) at.set(name, rows.filter((row) => row.mag === name));

  const heightOf = (columns, row) => [...at.values()].reduce(
    (sum, there) => sum + Math.max(BOX, Math.ceil(there.length / columns) * row) + SPACE, 0);
  const most = Math.max(1, Math.floor(right / (NAME + 16)));
  let columns = 1;
  while (columns < most && heightOf(columns, ROW) > TALL) columns++;
  const named = heightOf(columns, DENSE) <= TALLEST;
  const row = !named ? DOT : heightOf(columns, ROW) <= TALL ? ROW : DENSE;
  const wide = named ? Math.min(right / columns, NAME + ADDRESS + 24) : DOT;
  const longest = Math.max(0, ...rows.map((one) => widthOf(short(one.mn))));
  if (!named) columns = Math.max(1, Math.floor(right / DOT));
  const needed = heightOf(columns, row);
  const height = Math.max(needed, width < 560 ? 220 : 300);
  const more = at.size ? (height - needed) / at.size : 0;

  const boxes = new Map(), mobiles = new Map();
  let top = 0;
  for (const [name, there] of at) {
    const lines = Math.max(1, Math.ceil(there.length / columns));
    const tall = Math.max(BOX, lines * row) + SPACE + more;
    const middle = top + tall / 2;
    if (!anchors.includes(name)) boxes.set(name, { x: gatewayX, y: middle, anchor: false });
    there.forEach((mobile, n) => mobiles.set(mobile.name, {
      row: mobile, x: right - 8 - Math.floor(n / lines) * wide, y: middle + (n % lines - (lines - 1) / 2) * row,
    }));
    top += tall;
  }
  const tall = Math.min(Math.max(BOX, 26 * gateways.length), height / Math.max(anchors.length, 1) - 8);
  anchors.forEach((name, n) => boxes.set(name, { x: anchorX, y: height * (n + 0.5) / anchors.length, anchor: true, tall }));
  return { width, height, box, boxes, mobiles, named, right, room: wide - 24, name: Math.min(NAME, longest) + 10 };
}

function rateOf(rows) {
  return rows.reduce((sum, { traffic }) => sum + (traffic ? traffic.up.bits_per_second + traffic.down.bits_per_second : 0), 0);
}

/* A tunnel is a tube in which each realm has its own line. */
function tunnels(plan, rows) {
  const found = [];
  const anchors = [...plan.boxes].filter(([, one]) => one.anchor);
  const gateways = [...plan.boxes].filter(([, one]) => !one.anchor);
  gateways.forEach(([name, from], n) => {
    for (const [anchor, to] of anchors) {
      const there = rows.filter((row) => row.mag === name && (anchors.length < 2 || row.node === anchor));
      const realms = [...new Set(there.map((row) => row.realm))].sort(compare);
      const inside = 6; // tubes end under the boxes
      found.push({
        id: `${name}\n${anchor}`, there, realms,
        from: { x: from.x + plan.box / 2 - inside, y: from.y },
        to: { x: to.x - plan.box / 2 + inside, y: to.y + to.tall * ((n + 0.5) / gateways.length - 0.5) },
      });
    }
  });
  return found;
}

function showTunnel(group, { from, to, there, realms }) {
  const [tube, inside, lines, label] = group.children;
  const d = `M${from.x} ${from.y} L${to.x} ${to.y}`;
  const width = 8 + 5 * Math.max(realms.length - 1, 0);
  set(tube, { d, "stroke-width": width + 4 });
  set(inside, { d, "stroke-width": width });
  update(lines, realms, (realm) => realm, () => draw("path"), (path, realm) => {
    const off = (realms.indexOf(realm) - (realms.length - 1) / 2) * 5;
    const busy = rateOf(there.filter((row) => row.realm === realm)) > 0;
    set(path, { d: `M${from.x} ${from.y + off} L${to.x} ${to.y + off}`, class: `flow ${realmClass(realm)}${busy ? " busy" : ""}` });
  });
  const words = `${many(there.length, "session")}, ${bits(rateOf(there))}`;
  const roomy = Math.hypot(to.x - from.x, to.y - from.y) > words.length * 6.8 && there.length > 0;
  const turned = Math.atan2(to.y - from.y, to.x - from.x) * 180 / Math.PI;
  set(label, { y: -width / 2 - 6, transform: `translate(${(from.x + to.x) / 2} ${(from.y + to.y) / 2}) rotate(${turned})` });
  setText(label, roomy ? words : "");
}

function showBox(group, name, { x, y, anchor, tall = BOX }, plan) {
  const about = get("node/" + name);
  const bad = about !== undefined && about.state !== "ready";
  set(group, { transform: `translate(${x} ${y})`, class: `node${bad ? " bad" : ""}${about ? "" : " elsewhere"}` });
  const [rect, title, address, tip] = group.children;
  set(rect, { width: plan.box, height: tall, x: -plan.box / 2, y: -tall / 2 });
  setText(title, fit(name, plan.box - 14, "600 14px"));
  setText(address, bad ? (about.state === "unreachable" ? "no answer" : about.state) : about ? fit(about.tunnel || "", plan.box - 10, "12px") : "elsewhere");
  setText(tip, `${name}, ${anchor ? "LMA" : "MAG"}${about ? `: tunnel ${about.tunnel}, switch ${about.target} ${about.state}` : ""}`);
}

function createMobile({ row }) {
  const group = draw("g");
  const ground = draw("rect", { class: "ground", y: -10, height: 20, rx: 4 });
  group.append(ground, draw("text", { x: -13, y: 4 }), draw("text", { y: 4, class: "faint" }),
    draw("path", { class: "ring", d: realmShape(row.realm) }), draw("path", { class: "marker", d: realmShape(row.realm) }), draw("title"));
  group.addEventListener("animationend", () => group.classList.remove("moved"));
  return group;
}

function showMobile(group, { row, x, y }, plan) {
  const moved = group.dataset.mag !== undefined && group.dataset.mag !== row.mag;
  const still = group.classList.contains("moved") && !moved;
  group.style.transform = `translate(${x}px, ${y}px)`;
  group.dataset.mn = row.mn;
  group.dataset.mag = row.mag;
  set(group, { class: `mobile ${realmClass(row.realm)} ${row.state}${row.old ? " old" : ""}${moved || still ? " moved" : ""}` });
  const [ground, name, address, , , tip] = group.children;
  const both = plan.room >= plan.name + ADDRESS;
  set(ground, plan.named ? { x: -plan.room - 16, width: plan.room + 16 } : { x: 0, width: 0 });
  setText(name, plan.named ? fit(short(row.mn), Math.min(both ? plan.name - 8 : plan.room, NAME)) : "");
  set(address, { x: -13 - plan.name });
  setText(address, plan.named && both ? row.ipv4 || "IPv6" : "");
  setText(tip, `${row.mn} of ${row.realm} at ${row.mag}, ${row.state}, ${[row.ipv4, row.hnp].filter(Boolean).join(" ")}`);
}

export function showTopology(rows) {
  const map = byId("map");
  const plan = layout(rows, Math.max(map.clientWidth, 300));
  set(map, { viewBox: `0 0 ${plan.width} ${plan.height}`, height: plan.height });
  map.toggleAttribute("hidden", plan.boxes.size === 0);
  update(byId("tunnels"), tunnels(plan, rows), (one) => one.id, () => {
    const group = draw("g");
    group.append(draw("path", { class: "tube" }), draw("path", { class: "inside" }), draw("g"), draw("text", { class: "faint" }));
    return group;
  }, showTunnel);
  update(byId("nodes"), [...plan.boxes], ([name]) => name, () => {
    const group = draw("g");
    group.append(draw("rect", { rx: 9 }), draw("text", { y: -3 }), draw("text", { y: 16, class: "faint" }), draw("title"));
    return group;
  }, (group, [name, place]) => showBox(group, name, place, plan));
  const sessions = [...plan.mobiles.values()];
  update(byId("links"), sessions, ({ row }) => row.name, () => draw("path"), (path, { row, x, y }) => {
    const to = plan.boxes.get(row.mag);
    const end = to.x + (x < to.x ? -plan.box / 2 : plan.box / 2);
    set(path, { d: `M${x} ${y} L${plan.right + 6} ${y} L${end} ${to.y}`,
      class: `link ${realmClass(row.realm)} ${row.state}${sessions.length <= LIVELY && rateOf([row]) > 0 ? " busy" : ""}` });
  });
  update(byId("mobiles"), sessions, ({ row }) => row.name, createMobile, (group, one) => showMobile(group, one, plan));
  setText(byId("map-text"), rows.map((row) => `${row.mn} of ${row.realm} at ${row.mag}, ${row.state}`).join("; ") || "Nothing is attached.");
  sayEmpty("topology-empty", rows.length === 0, plan.boxes.size ? "No mobile node is attached." : "Waiting for the nodes.");
  const realms = [...new Set(rows.map((row) => row.realm))].sort(compare);
  update(byId("legend"), realms, (name) => name, (name) => {
    const item = draw("svg", { viewBox: "-9 -9 18 18", "aria-hidden": "true", class: "marker" });
    item.append(draw("path", { class: "marker", d: realmShape(name) }));
    const line = document.createElement("li");
    line.append(item, name);
    return line;
  }, (item, name) => { item.className = realmClass(name); });
}

/* The picture is drawn anew when its place changes. */
export function whenResized(again) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    again();
  }).observe(byId("topology"));
}
