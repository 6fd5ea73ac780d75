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

/* As much as fits into a width, by the width of a middling letter. */
export function fit(text, width, letter) {
  const room = Math.max(2, Math.floor(width / letter));
  return text.length <= room ? text : text.slice(0, room - 1) + "…";
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
