/* Elements. Whatever came from the network becomes text by textContent or an attribute's value, and nothing else. */

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export function draw(name, attributes = {}, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/* What is the same already is not touched: no work for the browser, and nothing that a screen reader says again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
  }
}

/* Replace children only where they differ, so that focus, selection and transitions stay. */
export function update(parent, items, keyOf, create, refresh) {
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

/* A list that is empty says so. */
export function sayEmpty(id, empty, text) {
  byId(id).hidden = !empty;
  if (text) setText(byId(id), text);
}

export function simpleTable(head, rows, caption) {
  const table = make("table");
  table.append(make("caption", caption, { class: "unseen" }));
  const line = make("tr");
  head.forEach((text, n) => line.append(make("th", text, n ? { scope: "col", class: "number" } : { scope: "col" })));
  const top = make("thead");
  top.append(line);
  const body = make("tbody");
  for (const row of rows) {
    const one = make("tr");
    row.forEach((text, n) => one.append(n ? make("td", text, { class: text === "0" ? "number nought" : "number" }) : make("th", text, { scope: "row" })));
    body.append(one);
  }
  table.append(top, body);
  return table;
}
