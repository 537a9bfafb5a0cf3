"use strict";
// Words and numbers. Every text of the cluster is hostile: `plain` makes it harmless to read, and
// `elements.js` only ever sets it as text.

const LONGEST = 300;

// Characters that show nothing, or that turn the text around them. The joiners of Persian, Hindi
// and emoji stay.
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const escaped = (character) => {
  const code = character.codePointAt(0).toString(16);
  return code.length < 3 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
};

/** Return a text on one line, without hidden characters, and cut if it is very long. */
function plain(value, longest = LONGEST) {
  const text = typeof value === "string" ? value : String(value ?? "");
  const cut = text.length > longest ? `${text.slice(0, longest).trimEnd()}…` : text;
  return cut.replace(HIDDEN, escaped);
}

const number = (value) => (Number.isFinite(value) ? value : 0);

/** Return `42 s`, `3 min 05 s`, `5 h 03 min` or `3 d 4 h`. */
function duration(seconds) {
  const whole = Math.max(0, Math.floor(number(seconds)));
  const [min, h, d] = [Math.floor(whole / 60), Math.floor(whole / 3600), Math.floor(whole / 86400)];
  const two = (value) => String(value).padStart(2, "0");
  if (min < 1) return `${whole} s`;
  if (h < 1) return `${min} min ${two(whole % 60)} s`;
  if (d < 1) return `${h} h ${two(min % 60)} min`;
  return `${d} d ${h % 24} h`;
}

const NUMBERS = new Intl.NumberFormat("en");
const count = (value) => NUMBERS.format(number(value));

/** Return `1 pod` or `3 pods`. */
const several = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

/** Return the time of day, with the date if it is not the day of `now`. */
function clock(at, now) {
  const [day, today] = [at, now].map((seconds) => new Date(number(seconds) * 1000));
  const time = day.toLocaleTimeString("en-GB");
  return day.toDateString() === today.toDateString()
    ? time
    : `${day.toLocaleDateString("en-CA")} ${time}`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const sentence = (text) => capital(/[.!?…]$/.test(text) ? text : `${text}.`);
