/* Values as people read them, and the colour and shape of each realm. */

export const key = (value) => value === null || value === undefined ? "none" : "0x" + value.toString(16).padStart(8, "0");
export const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 23);
export const plain = (name) => name.replaceAll("_", " ");
export const many = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

export function bits(perSecond) {
  for (const [size, unit] of [[1e9, "Gbit/s"], [1e6, "Mbit/s"], [1e3, "kbit/s"]]) {
    if (perSecond >= size) return (perSecond / size).toFixed(1) + " " + unit;
  }
  return perSecond + " bit/s";
}

/* The user's part of an NAI: the realm is said by colour, shape and legend. */
export const short = (nai) => nai.split("@")[0] || nai;

/* Letters are measured, since names may be of any. */
const pen = document.createElement("canvas").getContext("2d");
export function widthOf(text, font = "14px") {
  pen.font = font + " system-ui, sans-serif";
  return pen.measureText(text).width;
}

/* As much as fits into a width. */
export function fit(text, width, font = "14px") {
  if (text.length < 100 && widthOf(text, font) <= width) return text;
  let room = Math.min(text.length, 100);
  do room = Math.min(room - 1, Math.floor(room * width / widthOf(text.slice(0, room) + "…", font)));
  while (room > 1 && widthOf(text.slice(0, room) + "…", font) > width);
  return text.slice(0, Math.max(room, 1)) + "…";
}

const SHAPES = [
  "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", "M-6 -6h12v12h-12z", "M0 -8l8 8l-8 8l-8 -8z",
  "M0 -7l8 13h-16z", "M0 7l8 -13h-16z", "M-7 -3h4v-4h6v4h4v6h-4v4h-6v-4h-4z",
];
const realms = new Map();

function place(realm) {
  if (!realms.has(realm)) realms.set(realm, realms.size);
  return realms.get(realm) % SHAPES.length;
}

export const realmClass = (realm) => "r" + place(realm);
export const realmShape = (realm) => SHAPES[place(realm)];
