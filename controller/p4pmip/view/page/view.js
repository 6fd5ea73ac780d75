/* The page: what the server streams is drawn, at most once a frame, and what is old is called so. */

import { apply, mobiles, of, troubled } from "./documents.js";
import { byId, make, setText, update } from "./dom.js";
import { showMessages } from "./ladder.js";
import { announce, showSessions } from "./sessions.js";
import { showAlarms, showDrops, showTables } from "./tables.js";
import { showTopology, whenResized } from "./topology.js";
import { many } from "./words.js";

let lost = null; // since when there is no connection

function showTroubles() {
  const found = troubled().map((node) => ({
    name: node.name,
    text: node.state === "unreachable"
      ? `${node.name} does not answer: what is shown of it is as last seen. ${node.reason || ""}`
      : `${node.name}: its switch ${node.target || ""} is ${node.state}. ${node.reason || ""}`,
  }));
  if (lost) {
    found.unshift({ name: "", text: `No connection since ${lost} UTC: everything below is as it was then. The page tries again by itself.` });
  }
  update(byId("troubles"), found, (one) => one.name, () => make("p", "", { class: "trouble" }), (line, one) => setText(line, one.text.trim()));
  document.body.classList.toggle("lost", lost !== null);
}

function showSummary(rows) {
  const nodes = of("node");
  const realms = new Set(rows.map((row) => row.realm)).size;
  // A page shows some hundreds of sessions; the nodes know how many there are.
  const sessions = Math.max(rows.length, ...nodes.map((one) => one.sessions || 0), 0);
  setText(byId("summary"), nodes.length ? [many(nodes.length, "node"), many(sessions, "session"), many(realms, "realm")].join(" · ") : "");
}

let waiting = false;
function show() {
  waiting = false;
  const rows = mobiles();
  showTroubles();
  showSummary(rows);
  showTopology(rows);
  showSessions(rows);
  announce(rows);
  showMessages();
  showDrops();
  showAlarms();
  showTables();
}

/* A page that nobody sees is drawn when somebody does. */
function showSoon() {
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(show);
  }
}

function connect() {
  const source = new EventSource("events");
  const state = byId("connection");
  source.addEventListener("open", () => {
    state.textContent = "live";
    state.className = "good";
    lost = null;
    showSoon();
  });
  source.addEventListener("error", () => {
    state.textContent = "no connection";
    state.className = "bad";
    lost = lost || new Date().toISOString().slice(11, 19);
    showSoon();
  });
  source.addEventListener("message", (event) => {
    apply(JSON.parse(event.data));
    showSoon();
  });
}

byId("session-filter").addEventListener("input", showSoon);
whenResized(showSoon);
connect();
