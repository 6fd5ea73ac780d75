"use strict";
/* The documents of view/model.py, drawn. Whatever came from the network becomes text by textContent and nothing else. */

const documents = new Map();
const realms = new Map();
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000, HEIGHT = 380;

const byId = (id) => document.getElementById(id);
const of = (kind) => [...documents].filter(([key]) => key.startsWith(kind + "/")).map(([, one]) => one);

function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/* Replace children only where they differ, so that focus, selection and transitions stay. */
function update(parent, items, keyOf, create, refresh) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = present.get(key);
    if (child === undefined) {
      child = create(item);
      child.dataset.key = key;
    }
    present.delete(key);
    refresh(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of present.values()) child.remove();
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* --- words ---------------------------------------------------------------------------------------- */

const key = (value) => value === null ? "none" : "0x" + value.toString(16).padStart(8, "0");

function rate(flow) {
  if (!flow) return "–";
  const bits = flow.bits_per_second;
  const unit = bits >= 1e6 ? (bits / 1e6).toFixed(1) + " Mbit/s" : (bits / 1e3).toFixed(1) + " kbit/s";
  return `${flow.packets_per_second.toFixed(0)}/s, ${unit} (${flow.packets})`;
}

function realmClass(realm) {
  if (!realms.has(realm)) realms.set(realm, realms.size);
  return "r" + realms.get(realm) % 6;
}

const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 23);

/* --- sessions ------------------------------------------------------------------------------------- */

/* One row a mobile node: what the anchor says of it, or else the gateway. */
function mobiles() {
  const nodes = new Map(of("node").map((one) => [one.name, one]));
  const found = new Map();
  for (const session of of("session")) {
    const name = session.realm + "\n" + session.mn;
    const anchored = (nodes.get(session.node)?.roles || []).includes("lma");
    const before = found.get(name);
    if (before === undefined || rank(session, anchored) > before.rank) {
      found.set(name, { ...session, name, rank: rank(session, anchored) });
    }
  }
  return [...found.values()].sort((a, b) => a.realm.localeCompare(b.realm) || a.mn.localeCompare(b.mn));
}

function rank(session, anchored) {
  return (session.state === "active" ? 2 : 0) + (anchored ? 1 : 0);
}

function showSessions(rows) {
  setText(byId("session-count"), `(${rows.length})`);
  update(byId("session-rows"), rows, (row) => row.name, () => {
    const line = make("tr");
    line.append(make("th", "", { scope: "row" }));
    for (let n = 0; n < 8; n++) line.append(make("td"));
    line.children[5].className = line.children[6].className = "key";
    line.children[7].className = line.children[8].className = "number";
    return line;
  }, (line, row) => {
    const traffic = documents.get(`traffic/${row.node}/${row.id}`) || {};
    const cells = [row.mn, row.realm, [row.ipv4, row.hnp].filter(Boolean).join(" "), row.mag, row.state,
      key(row.uplink_key), key(row.downlink_key), rate(traffic.up), rate(traffic.down)];
    cells.forEach((text, n) => setText(line.children[n], text));
    line.children[4].className = "state-" + row.state;
  });
}

/* --- topology ------------------------------------------------------------------------------------- */

function places(rows) {
  const nodes = of("node");
  const anchors = nodes.filter((one) => one.roles.includes("lma")).map((one) => one.name);
  const gateways = nodes.filter((one) => one.roles.includes("mag") && !anchors.includes(one.name)).map((one) => one.name);
  for (const row of rows) {
    if (row.mag && !gateways.includes(row.mag) && !anchors.includes(row.mag)) gateways.push(row.mag);
  }
  gateways.sort();
  const at = new Map();
  anchors.forEach((name, n) => at.set(name, { x: 840, y: HEIGHT * (n + 0.5) / anchors.length, anchor: true }));
  gateways.forEach((name, n) => at.set(name, { x: 430, y: HEIGHT * (n + 0.5) / gateways.length, anchor: false }));
  return at;
}

function showTopology(rows) {
  const at = places(rows);
  const gateways = [...at].filter(([, place]) => !place.anchor);
  const anchors = [...at].filter(([, place]) => place.anchor);
  const wires = gateways.flatMap((gateway) => anchors.map((anchor) => [gateway, anchor]));
  update(byId("nodes"), [...at], ([name]) => name, ([name]) => {
    const group = draw("g", {});
    group.append(draw("rect", { width: 130, height: 60, x: -65, y: -30, rx: 8, class: "box" }));
    group.append(draw("text", { y: -3 }, name), draw("text", { y: 16, class: "faint" }, ""));
    return group;
  }, (group, [name, place]) => {
    const about = documents.get("node/" + name);
    group.setAttribute("transform", `translate(${place.x} ${place.y})`);
    group.children[0].setAttribute("class", about && about.state !== "ready" ? "box bad" : "box");
    setText(group.children[2], about ? about.tunnel : "elsewhere");
  });
  const shown = new Map();
  for (const row of rows) {
    if (!at.has(row.mag)) continue;
    const there = shown.get(row.mag) || [];
    there.push(row);
    shown.set(row.mag, there);
  }
  const slots = new Map();
  for (const [name, there] of shown) {
    const { x, y } = at.get(name);
    const height = Math.min(58, (HEIGHT / Math.max(gateways.length, 1) - 20) / there.length);
    there.forEach((row, n) => slots.set(row.name, { row, x: x - 270, y: y + (n - (there.length - 1) / 2) * height }));
  }
  const sessions = [...slots.values()];
  update(byId("links"), [...wires.map(([a, b]) => ({ id: a[0] + "--" + b[0], from: a[1], to: b[1], kind: "wire" })),
    ...sessions.map(({ row, x, y }) => ({ id: "session " + row.name, from: { x, y }, to: at.get(row.mag), row, kind: "session" }))],
  (one) => one.id, () => draw("path", {}), (path, { from, to, row, kind }) => {
    path.setAttribute("d", `M${from.x} ${from.y} L${to.x} ${to.y}`);
    const traffic = row && documents.get(`traffic/${row.node}/${row.id}`);
    const busy = traffic && traffic.up.packets_per_second + traffic.down.packets_per_second > 0;
    path.setAttribute("class", row ? `session ${realmClass(row.realm)}${busy ? " busy" : ""}` : kind);
  });
  update(byId("mobiles"), sessions, ({ row }) => row.name, ({ row }) => {
    const group = draw("g", {});
    group.append(draw("circle", { r: 12 }), draw("text", { x: -20, y: -1 }, row.mn.split("@")[0]),
      draw("text", { x: -20, y: 14, class: "faint" }, ""), draw("title", {}, row.mn));
    return group;
  }, (group, { row, x, y }) => {
    group.style.transform = `translate(${x}px, ${y}px)`;
    group.dataset.mn = row.mn;
    group.dataset.mag = row.mag;
    group.setAttribute("class", `mobile ${realmClass(row.realm)} ${row.state}`);
    setText(group.children[2], row.ipv4 || row.hnp || "");
  });
  const words = rows.map((row) => `${row.mn} of ${row.realm} at ${row.mag}, ${row.state}`);
  setText(byId("map-text"), words.length ? words.join("; ") : "Nothing is attached.");
  update(byId("legend"), [...realms.keys()], (name) => name, (name) => make("li", name), (item, name) => {
    item.className = realmClass(name);
  });
}

/* What changed is said once, for those who do not see the circles move. */
const said = new Map();
let first = true;
function announce(rows) {
  const now = new Map(rows.filter((row) => row.state === "active").map((row) => [row.name, row]));
  const words = [];
  for (const [name, row] of now) {
    const before = said.get(name);
    if (before === undefined) words.push(`${row.mn} attached at ${row.mag}`);
    else if (before.mag !== row.mag) words.push(`${row.mn} moved from ${before.mag} to ${row.mag}`);
  }
  for (const [name, row] of said) if (!now.has(name)) words.push(`${row.mn} left ${row.mag}`);
  said.clear();
  for (const [name, row] of now) said.set(name, row);
  if (words.length && !first) byId("announcement").textContent = words.slice(0, 5).join(". ");
  first = false;
}

/* --- signalling ----------------------------------------------------------------------------------- */

function lanes() {
  const roles = (one) => (one.roles.includes("lma") ? 1 : 0);
  const names = of("node").sort((a, b) => roles(a) - roles(b) || a.name.localeCompare(b.name)).map((one) => one.name);
  for (const message of of("message")) {
    for (const name of [message.from, message.to]) if (!names.includes(name)) names.push(name);
  }
  return names;
}

function showMessages() {
  const names = lanes();
  update(byId("lanes"), names, (name) => name, (name) => make("span", name), () => {});
  const x = (name) => names.length < 2 ? 50 : 6 + 88 * names.indexOf(name) / (names.length - 1);
  const rows = of("message").sort((a, b) => b.number - a.number);
  update(byId("messages"), rows, (row) => String(row.number), (row) => {
    const item = make("li");
    const button = make("button", undefined, { type: "button", "aria-haspopup": "dialog" });
    const about = make("span", undefined, { class: "about" });
    about.append(make("span"), make("span"), make("time", clock(row.time)));
    button.append(make("span", undefined, { class: "unseen" }), draw("svg", { class: "arrow", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }), about);
    button.children[1].append(draw("line", { y1: 2, y2: 2, "vector-effect": "non-scaling-stroke" }), draw("path", {}));
    button.addEventListener("click", () => showDetails(row.number));
    item.append(button);
    return item;
  }, (item, row) => {
    const [ends, arrow, about] = item.firstElementChild.children;
    setText(ends, `${row.from} to ${row.to}: `);
    const from = x(row.from), to = x(row.to), back = to < from ? 1.6 : -1.6;
    arrow.children[0].setAttribute("x1", from);
    arrow.children[0].setAttribute("x2", to);
    arrow.children[1].setAttribute("d", `M${to} 2 l${back} -2 v4 z`);
    setText(about.children[0], row.summary);
    const outcome = row.outcome || (row.state === "sent" ? "under way" : "");
    setText(about.children[1], outcome);
    about.children[1].className = "outcome " + (/^(accepted|status_0$)/.test(row.outcome) ? "good" : /^(status|ignored|bad)/.test(outcome) ? "bad" : "");
  });
}

async function showDetails(number) {
  const answer = await fetch("message/" + number);
  if (!answer.ok) return;
  const found = await answer.json();
  const row = documents.get("message/" + number) || found;
  byId("details-title").textContent = found.message ? found.message.name : "Undecodable message";
  byId("details-about").textContent = `${row.from || row.source} (${row.source}) to ${row.to || row.destination} (${row.destination}), ${clock(row.time)} UTC`;
  byId("details-body").replaceChildren(tree(found.message || {}));
  byId("details").showModal();
}

function tree(value) {
  if (value === null || typeof value !== "object") return make("code", value === null ? "–" : String(value));
  const table = make("table");
  for (const [name, one] of Object.entries(value)) {
    const line = make("tr");
    const cell = make("td");
    cell.append(tree(one));
    line.append(make("th", Array.isArray(value) ? one.name : name.replaceAll("_", " "), { scope: "row" }), cell);
    table.append(line);
  }
  return table;
}

/* --- drops, alarms, tables ------------------------------------------------------------------------ */

function simpleTable(head, rows, caption) {
  const table = make("table");
  table.append(make("caption", caption, { class: "unseen" }));
  const line = make("tr");
  head.forEach((text, n) => line.append(make("th", text, n ? { scope: "col", class: "number" } : { scope: "col" })));
  const top = make("thead");
  top.append(line);
  const body = make("tbody");
  for (const row of rows) {
    const one = make("tr");
    row.forEach((text, n) => one.append(n ? make("td", text, { class: "number" }) : make("th", text, { scope: "row" })));
    body.append(one);
  }
  table.append(top, body);
  return table;
}

let dropsShown = "";
function showDrops() {
  const nodes = of("drops").sort((a, b) => a.node.localeCompare(b.node));
  const text = JSON.stringify(nodes);
  if (text === dropsShown) return;
  dropsShown = text;
  const reasons = [...new Set(nodes.flatMap((one) => Object.keys(one.reasons)))].sort();
  const rows = reasons.map((reason) => [reason.toLowerCase().replaceAll("_", " "), ...nodes.map((one) => String(one.reasons[reason] || 0))]);
  byId("drop-rows").replaceChildren(rows.length ? simpleTable(["Reason", ...nodes.map((one) => one.node)], rows, "Drops") : make("p", "None."));
}

function showAlarms() {
  const alarms = of("alarm").reverse();
  byId("alarms").hidden = !alarms.length;
  update(byId("alarm-rows"), alarms, (one) => one.time + one.name, (one) => make("li", `${clock(one.time)} ${one.node}: ${one.name}: ${one.detail}`, { class: "alarm" }), () => {});
}

const words = (fields) => Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ");

function showTables() {
  const nodes = of("node").sort((a, b) => a.name.localeCompare(b.name));
  update(byId("table-nodes"), nodes, (one) => one.name, (one) => {
    const group = make("div");
    group.append(make("h3", one.name), make("div"));
    return group;
  }, (group, one) => {
    const tables = of("table").filter((table) => table.node === one.name && table.count).sort((a, b) => a.table.localeCompare(b.table));
    update(group.lastElementChild, tables, (table) => table.table, (table) => {
      const box = make("details");
      box.append(make("summary"), make("div", undefined, { class: "scroll" }));
      box.addEventListener("toggle", () => fillTable(box, table.node, table.table));
      return box;
    }, (box, table) => {
      setText(box.firstElementChild, `${table.table}: ${table.count} of ${table.size}`);
      fillTable(box, table.node, table.table);
    });
  });
}

function fillTable(box, node, name) {
  const table = documents.get(`table/${node}/${name}`);
  if (!box.open || !table || box.shown === table) return;
  box.shown = table;
  const rows = table.rows.map((row) => [`${words(row.key) || "any"} → ${row.action}(${words(row.params)})${row.mn ? " " + row.mn : ""}`,
    row.counter ? String(row.counter.packets) : "–", row.counter ? String(row.counter.octets) : "–"]);
  const body = rows.length ? simpleTable(["Entry", "Packets", "Octets"], rows, name) : make("p", "Too large to be read while the node works: p4pmip tables shows it.");
  box.lastElementChild.replaceChildren(body);
  if (table.count > rows.length && rows.length) box.lastElementChild.append(make("p", `and ${table.count - rows.length} more`));
}

/* --- the stream ----------------------------------------------------------------------------------- */

let wanted = false;
function show() {
  wanted = false;
  const rows = mobiles();
  showTopology(rows);
  showSessions(rows);
  announce(rows);
  showMessages();
  showDrops();
  showAlarms();
  showTables();
}

function connect() {
  const source = new EventSource("events");
  const state = byId("connection");
  source.addEventListener("open", () => {
    state.textContent = "live";
    state.className = "good";
  });
  source.addEventListener("error", () => {
    state.textContent = "no connection: what is shown is old";
    state.className = "bad";
  });
  source.addEventListener("message", (event) => {
    const changes = JSON.parse(event.data);
    if (changes.reset) documents.clear();
    for (const name of changes.unset) documents.delete(name);
    for (const [name, one] of Object.entries(changes.set)) documents.set(name, one);
    // A page that nobody sees is drawn when somebody does.
    if (!wanted) {
      wanted = true;
      requestAnimationFrame(show);
    }
  });
}

connect();
