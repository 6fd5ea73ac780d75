/* The documents of view/model.py as this page knows them, and what is read out of several of them together. */

const documents = new Map();

export const get = (key) => documents.get(key);
export const of = (kind) => [...documents].filter(([key]) => key.startsWith(kind + "/")).map(([, one]) => one);

export function apply(changes) {
  if (changes.reset) documents.clear();
  for (const name of changes.unset) documents.delete(name);
  for (const [name, one] of Object.entries(changes.set)) documents.set(name, one);
}

const order = new Intl.Collator("en", { numeric: true });
export const compare = (a, b) => order.compare(a, b);

export const isAnchor = (node) => (node.roles || []).includes("lma");

/* Nodes of which nobody knows whether they still are as they are shown. */
export const troubled = () => of("node").filter((one) => one.state !== "ready").sort((a, b) => compare(a.name, b.name));

/* One row a mobile node: what the anchor says of it, or else the gateway. */
export function mobiles() {
  const nodes = new Map(of("node").map((one) => [one.name, one]));
  const found = new Map();
  for (const session of of("session")) {
    const name = session.realm + "\n" + session.mn;
    const node = nodes.get(session.node);
    const rank = (session.state === "active" ? 2 : 0) + (node && isAnchor(node) ? 1 : 0);
    const before = found.get(name);
    if (before === undefined || rank > before.rank) {
      const old = node !== undefined && node.state === "unreachable";
      found.set(name, { ...session, name, rank, old, traffic: get(`traffic/${session.node}/${session.id}`) });
    }
  }
  return [...found.values()].sort((a, b) => compare(a.realm, b.realm) || compare(a.mn, b.mn));
}
