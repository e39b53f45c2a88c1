"use strict";
// The board shows what the tools tell and decides nothing: see docs/decisions/0025-the-board-shows.md.
// What it is told is text, never markup. These files are put together, in this order: text, asking, showing, living.

const $ = (id) => document.getElementById(id);
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// Control characters, ANSI's escape among them, and what turns or hides text.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** Text as it can be looked at: what would be unseen is spelled out. */
function plain(text) {
  return String(text).replace(UNSEEN, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}

/** An element; children are elements, or texts that are put in as text and kept to their own direction. */
function el(tag, about, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick" || name === "ontoggle") made.addEventListener(name.slice(2), value);
    else if (name === "open" || name === "hidden") made[name] = true;
    else made.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === "") continue;
    made.append(child instanceof Node ? child : plain(child));
  }
  return made;
}

const own = (text) => el("bdi", null, text);
const words = (name) => String(name).replaceAll("_", " ");

// Only what the server itself words so is offered for copying: no shell can take it for more than one command of ours.
const COMMAND = /^gatewright (?:approve|answer|reject|reopen|retry-gates|grant-attempts|repin|land|why|log|people|doctor|init|migrate)(?: (?:--[a-z-]+|[A-Za-z0-9][\w.-]*|"\.\.\."))*$/;
// A sentence about what waits ends in the command that helps; all before it may be anybody's words.
const TAIL = /^([^]*): ((?:`gatewright people add NAME` first, because nobody is registered, then )?`[^`]+`(?: \(`[^`]+` tells what else\))?)$/;

// What a person does at a team's server from any machine names that server: docs/team.md.
const AT_SERVER = /^gatewright (?:approve|answer|reject|reopen|retry-gates|grant-attempts|repin|land|why|log) /;

/** A command with a button that copies it. A button that does it would stand here. */
function command(said) {
  const text = VIA === "team" && AT_SERVER.test(said) ? `${said} --server ${location.origin}` : said;
  const shown = el("code", null, text);
  const button = el("button", { type: "button", "data-key": `copy ${text}`, "aria-label": `Copy ${plain(text)}` }, "Copy");
  button.addEventListener("click", () => copy(text, shown, button));
  return el("span", { class: "do" }, shown, button);
}

/** Words of the server, with its commands as such. */
function worded(text) {
  return String(text).split(/(`[^`]*`)/).map((part) => {
    const inner = part.length > 2 && part.startsWith("`") && part.endsWith("`") ? part.slice(1, -1) : null;
    if (inner === null) return own(part);
    return COMMAND.test(inner) ? command(inner) : el("code", null, inner);
  });
}

async function copy(text, shown, button) {
  let isCopied = false;
  try {
    await navigator.clipboard.writeText(text);
    isCopied = true;
  } catch {
    // Where a page may not write there the person copies what is marked.
    getSelection().selectAllChildren(shown);
  }
  button.textContent = isCopied ? "Copied" : "Marked: copy it with the keyboard";
  await sleep(2);
  button.textContent = "Copy";
}

function lasting(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return s >= 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s} s`;
}

const CLOCKS = {
  left: (rest) => (rest > 0 ? `${lasting(rest)} left` : "time is up"),
  in: (rest) => (rest > 0 ? `in ${lasting(rest)}` : "now"),
  since: (rest) => `for ${lasting(-rest)}`,
};

/** A time that runs on by itself, from what the server said `seconds` was when it was asked (`at`, ms). */
function clock(kind, seconds, at, of) {
  const shown = el("time", { "data-clock": kind, "data-of": of });
  set(shown, seconds, at);
  return shown;
}

function set(shown, seconds, at) {
  shown.dataset.until = at + seconds * 1000;
  tick(shown);
}

function tick(shown) {
  shown.textContent = CLOCKS[shown.dataset.clock]((Number(shown.dataset.until) - performance.now()) / 1000);
}
