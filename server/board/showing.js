
// What is shown: all of it from replies of get_status and get_evidence, in their words.

const FINDINGS_MAX = 8;
const PAGES_MAX = 12;
const BUSY = ["claimed", "evaluating", "in_review", "escalated"];
// Where somebody other than the holder has to do something, and the status says what.
const OTHERS_MOVE = ["open", "in_review", "escalated"];
const SIGNS = {
  waiting: "\u00b7", open: "\u25cb", claimed: "\u25d0", evaluating: "\u25d4", in_review: "?", passed: "\u2713", escalated: "!",
  failed: "\u2717", errored: "!", pending: "?",
};

/** The last replies, when they came (ms), and what the person opened. `canAsk`: whether a host passes questions on. */
const state = { status: null, older: [], at: 0, mark: "", details: new Map(), toggled: new Map(), canAsk: true };

const known = () => [...state.status.changes, ...state.older.flatMap((page) => page.changes)];
const untimed = (text) => String(text).replace(/\d+ (more )?(second|minute|hour|s\b)s?/g, "");

/** Everything anew if anything changed; focus and what was opened stay. Times run on by themselves. */
function draw() {
  const mark = JSON.stringify([state.status, state.older], (name, value) =>
    name === "expires_in_s" ? value !== null : name === "because" || name === "unlock" ? untimed(value) : value);
  say(state.status.summary);
  if (mark === state.mark) return setClocks();
  state.mark = mark;
  const focused = document.activeElement && document.activeElement.dataset.key;
  const parts = [people(state.status), warning(state.status), list(), ended(state.status)];
  $("board").replaceChildren(...parts.filter(Boolean));
  const again = focused && [...document.querySelectorAll("[data-key]")].find((found) => found.dataset.key === focused);
  if (again) again.focus({ preventScroll: true });
}

function setClocks() {
  for (const found of state.status.changes) {
    for (const one of found.stages) {
      const shown = document.querySelector(`[data-of="${CSS.escape(keyOf(found, one))}"]`);
      if (shown && one.expires_in_s !== null) set(shown, one.expires_in_s, state.at);
    }
  }
}

function say(text) {
  const told = plain(text);
  // Whoever listens hears it once.
  if ($("summary").textContent !== told) $("summary").textContent = told;
}

function problem(text) {
  const told = plain(text || "");
  $("problem").hidden = !told;
  if ($("problem").textContent !== told) $("problem").textContent = told;
}

function stateOf(name) {
  const sign = SIGNS[name] ? el("span", { "aria-hidden": "true" }, `${SIGNS[name]} `) : null;
  return el("span", { class: name in SIGNS ? `state ${name}` : "state" }, sign, words(name));
}

const quiet = (...parts) => el("p", { class: "quiet" }, ...parts);
const part = (title, kind, rows) => (rows.length ? [el("h5", null, title), el(kind, null, rows)] : []);

function people(status) {
  const told = status.waiting_for_people;
  if (!told.length) return null;
  const rows = told.map((text) => {
    const parts = TAIL.exec(text);
    return el("li", null, parts ? [own(parts[1]), ": ", worded(parts[2])] : own(text));
  });
  const more = status.waiting_more || 0;
  return el("section", { class: "people", "aria-labelledby": "people" },
    el("h2", { id: "people" }, `Waits for people (${told.length + more})`),
    el("ul", null, rows), more ? quiet(`${more} more wait for people.`) : null);
}

function warning(status) {
  return status.warning ? el("p", { class: "note" }, worded(status.warning)) : null;
}

function list() {
  const changes = known();
  const rest = (state.status.more || 0) - state.older.reduce((sum, page) => sum + page.changes.length, 0);
  const button = el("button", { type: "button", "data-key": "older", onclick: showOlder }, "Show more");
  return el("section", { "aria-labelledby": "changes" },
    el("h2", { id: "changes" }, `Changes under way (${changes.length + Math.max(0, rest)})`),
    changes.map(change), changes.length ? null : quiet(worded(state.status.next)),
    rest > 0 ? quiet(`${rest} older ones are not shown. `, state.canAsk && state.older.length < PAGES_MAX ? button : null) : null);
}

function change(found) {
  const landing = { stage: "land", state: found.state, holder: null, expires_in_s: null, attempt: null, because: found.landing, unlock: "" };
  return el("article", { class: "change", "aria-label": plain(`${found.change} ${found.title}`) },
    el("header", null, el("h3", null, el("span", { class: "id" }, found.change), own(found.title)), el("p", null, words(found.state))),
    found.stages.map((one) => stage(found, one)), found.landing ? stage(found, landing) : null, history(found));
}

const keyOf = (found, one) => `${found.change}/${one.stage}`;

function stage(found, one) {
  const who = [one.holder ? `held by ${one.holder}` : "", one.attempt ? `attempt ${one.attempt}` : ""].filter(Boolean).join(", ");
  // Who holds it for how long stands in the row already.
  const isSaid = one.state === "passed" || one.because === one.state || (one.state === "claimed" && one.expires_in_s > 0);
  return el("section", { class: "stage" },
    el("div", { class: "row" }, el("h4", null, one.stage), stateOf(one.state), el("span", { class: "who" }, own(who)),
      one.expires_in_s === null ? null : clock("left", one.expires_in_s, state.at, keyOf(found, one))),
    isSaid ? null : el("p", { class: "because" }, own(one.because)),
    OTHERS_MOVE.includes(one.state) ? el("p", { class: "unlock" }, el("span", { class: "quiet" }, "To move it: "), worded(one.unlock)) : null,
    one.state === "waiting" && !one.attempt ? null : opened(keyOf(found, one), "Gates and attempts",
      VIA !== "app" && one.attempt !== null && BUSY.includes(one.state), (body) => fill(body, found, one)));
}

/** Something that is opened by the person, or from the beginning; `load` fills it whenever it is open. */
function opened(key, title, isFirst, load) {
  const isOpen = state.toggled.has(key) ? state.toggled.get(key) : isFirst;
  const body = el("div", { class: "more" });
  const box = el("details", { open: isOpen }, el("summary", { "data-key": key, "aria-label": `${title} of ${key.split("#")[0]}` }, title), body);
  if (isOpen) load(body);
  let was = isOpen;
  box.addEventListener("toggle", () => {
    if (box.open === was) return;
    was = box.open;
    state.toggled.set(key, was);
    if (was) load(body);
  });
  return box;
}

/** The particulars of a stage: asked for once for each state that it is in. */
async function fill(body, found, one) {
  const key = keyOf(found, one);
  const mark = JSON.stringify([one.state, one.attempt, one.holder, untimed(one.because)]);
  const before = state.details.get(key);
  if (before) body.replaceChildren(...particulars(found, one, before));
  if (before && before.mark === mark) return;
  if (!state.canAsk && !state.status.why) return body.replaceChildren(quiet("Nothing can be asked through this host."));
  try {
    const stage = { change: found.change, stage: one.stage };
    const why = state.canAsk ? (await tool("get_status", stage)).why : state.status.why;
    const evidence = one.attempt && state.canAsk ? await tool("get_evidence", stage).catch(() => null) : null;
    const fresh = { mark, why, evidence, at: performance.now(), outputs: new Map() };
    state.details.set(key, fresh);
    body.replaceChildren(...particulars(found, one, fresh));
  } catch (exc) {
    body.replaceChildren(quiet(exc.message));
  }
}

function particulars(found, one, { why, evidence, outputs, at }) {
  const parts = [
    ...(evidence ? [...gates(found, one, evidence, outputs), ...findings(found, one, evidence), ...questions(evidence)] : []),
    ...(why ? [...reasons(why, at), ...attempts(why), ...notes(why)] : []),
  ].filter(Boolean);
  return parts.length ? parts : [quiet("There is nothing more to tell.")];
}

function reasons(why, at) {
  const unlocks = why.unlocks.map((unlock) =>
    el("li", null, `${unlock.who}: `, worded(unlock.how), unlock.in_s === null ? null : [" ", clock("in", unlock.in_s, at)]));
  const reviews = why.reviews.map((review) => el("li", null,
    own(`'${review.gate}': ${review.given} given, ${review.missing} missing${review.reviewing ? `, ${review.reviewing} at it` : ""}; may review: ${review.may_review}`)));
  const isSaid = OTHERS_MOVE.includes(why.state);
  const budget = why.attempts_left === null ? "" : `, ${why.attempts_left} more attempts may fail`;
  return [
    ...part("What would move it", "ul", isSaid ? [] : unlocks), ...part("Reviews", "ul", reviews),
    why.since_s === null ? null : quiet(`${words(why.state)} `, clock("since", -why.since_s, at), budget, why.stuck ? `; ${why.stuck}` : ""),
  ];
}

function gates(found, one, evidence, outputs) {
  const rows = evidence.gates.map((gate) => {
    const shown = el("pre", { hidden: !outputs.has(gate.gate), tabindex: "0", "aria-label": `Output of ${plain(gate.gate)}` }, outputs.get(gate.gate));
    const toggle = async () => {
      if (outputs.delete(gate.gate)) shown.hidden = true;
      else await output(found, one, gate.gate, outputs, shown);
    };
    const button = el("button", { type: "button", "data-key": `output ${keyOf(found, one)}/${gate.gate}`, "aria-label": `Output of ${plain(gate.gate)}`, onclick: toggle }, "Output");
    return el("li", null, stateOf(gate.outcome), " ", own(`${gate.gate}: ${gate.summary}`), " ",
      el("span", { class: "quiet" }, gate.cached ? "as judged before" : `${gate.duration_s.toFixed(1)} s`), " ", button, shown);
  });
  return part(evidence.attempt === null ? "Gates" : `Gates of attempt ${evidence.attempt}`, "ul", rows);
}

async function output(found, one, gate, outputs, shown) {
  try {
    const told = await tool("get_evidence", { change: found.change, stage: one.stage, gate });
    const rest = told.next_offset === null ? "" : `\n... gatewright evidence ${found.change} ${one.stage} --gate ${gate} shows the rest`;
    outputs.set(gate, (told.output || "It printed nothing.") + rest);
  } catch (exc) {
    outputs.set(gate, exc.message);
  }
  shown.textContent = plain(outputs.get(gate));
  shown.hidden = false;
}

function findings(found, one, evidence) {
  const rows = evidence.findings.slice(0, FINDINGS_MAX).map((finding) => el("li", null,
    el("span", { class: finding.severity === "error" ? "error" : "quiet" }, `${finding.id} ${finding.severity}`), " ",
    el("code", null, finding.where || finding.gate), " ", own(`${finding.rule}: ${finding.message}`)));
  const isMore = evidence.findings.length > FINDINGS_MAX || evidence.next_offset !== null;
  const rest = isMore ? quiet("More: ", el("code", null, `gatewright evidence ${found.change} ${one.stage}`)) : null;
  return [...part("Findings", "ul", rows), rest];
}

function questions(evidence) {
  const rows = evidence.questions.map((text) => el("pre", { tabindex: "0" }, text));
  return rows.length ? [el("h5", null, "Asked of people"), ...rows] : [];
}

function attempts(why) {
  return part("Attempts", "ol", why.attempts.map((attempt) => el("li", null, own(
    `${attempt.number}. ${attempt.holder}${attempt.model ? ` (${attempt.model})` : ""}, ${attempt.commit}: ${words(attempt.outcome)}${attempt.gates ? `; ${attempt.gates}` : ""}`))));
}

function notes(why) {
  const rows = [
    ...why.notes.map((note) => el("li", null, own(`from ${note.source}: ${note.text}`))),
    ...why.orphans.map((orphan) => el("li", null, own(`kept: ${orphan.commit.slice(0, 12)} of ${orphan.holder} (${orphan.note})`))),
  ];
  return [...part("Left for the next holder", "ul", rows), why.left_out ? quiet(`Not shown: ${why.left_out}`) : null];
}

function history(found) {
  return opened(`${found.change}#history`, "What happened", false, async (body) => {
    const lines = await tool("get_status", { change: found.change }).then((told) => told.history, (exc) => [exc.message]);
    body.replaceChildren(el("ol", null, lines.map((line) => el("li", null, own(line)))));
  });
}

function ended(status) {
  if (!status.ended.length) return null;
  return el("section", { "aria-labelledby": "ended" }, el("h2", { id: "ended" }, "Ended lately"),
    el("ul", { class: "quiet" }, status.ended.map((line) => el("li", null, own(line)))));
}
