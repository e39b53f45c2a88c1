
// How it lives: where it is opened, who may look, and that what is shown stays true.

const KEY = "gatewright-key";
const UI_PROTOCOL = "2026-01-26";
const WAIT_S = 25;
const PAUSE_S = 2;
const CALM_S = 10;
const POLL_S = 15;
const RETRY_S = 5;
const VIA = document.documentElement.dataset.via; // app: an MCP Apps host; local: `gatewright board`; team: `serve`

let only = {}; // the arguments of the call that a host shows this for
let isLive = false;

function take(status) {
  state.status = status;
  state.at = performance.now();
  problem("");
  draw();
  freshness();
}

async function refresh() {
  const pages = state.older.length;
  const status = await tool("get_status", only);
  const before = state.older;
  state.older = [];
  state.status = status;
  try {
    for (let i = 0; i < pages; i++) await older();
  } catch (exc) {
    state.older = before;
    throw exc;
  }
  take(status);
}

async function older() {
  const last = known().at(-1);
  if (last) state.older.push(await resource(`gatewright://changes/before/${last.change}`));
}

async function showOlder() {
  try {
    await older();
    draw();
  } catch (exc) {
    problem(exc.message);
  }
}

function freshness() {
  for (const shown of document.querySelectorAll("[data-until]")) tick(shown);
  if (state.status) $("freshness").textContent = `${isLive ? "live" : "not live"}, ${lasting((performance.now() - state.at) / 1000)} old`;
}

/** Resolves while somebody is looking. */
async function seen() {
  while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

/** Look, wait for news, look again, as long as somebody does: a long poll over HTTP, a slow one through a host. */
async function live() {
  let position = null;
  for (;;) {
    await seen();
    try {
      if (VIA !== "app" && position === null) position = (await tool("wait_for_update", { wait_s: 0 })).position;
      await refresh();
      isLive = true;
      freshness();
      await sleep(VIA === "app" ? POLL_S : PAUSE_S);
      await seen();
      if (VIA !== "app") position = await news(position);
    } catch (exc) {
      isLive = false;
      freshness();
      if (exc instanceof NoKey) return turnedAway();
      problem(`${exc.message} It is tried again.`);
      await sleep(RETRY_S);
    }
  }
}

/** Wait until something happened; a lease that has run out is told at once each time, and nobody need hurry for it. */
async function news(position) {
  const told = await tool("wait_for_update", { after: position, wait_s: WAIT_S });
  if (!told.happened.length && told.claimable.length) await sleep(CALM_S);
  return told.position;
}

function begin(key) {
  ask = overHttp(key);
  $("key").hidden = true;
  $("leave").hidden = VIA !== "team";
  $("refresh").hidden = false;
  problem("");
  live();
}

/** Nobody may look with what there is. */
function turnedAway(said) {
  sessionStorage.removeItem(KEY);
  state.status = null;
  state.mark = "";
  $("board").replaceChildren();
  $("leave").hidden = $("refresh").hidden = true;
  $("freshness").textContent = "";
  say("Not connected.");
  $("key").hidden = VIA !== "team";
  if (VIA === "team") {
    problem(said ?? "The server does not know this token, or no more.");
    $("token").focus();
  } else {
    problem("This tab has no key, or the board that gave it has ended. A link opens one tab, once: run gatewright board for another.");
  }
}

/** What a link's secret is changed for, once; null when it was used. */
async function exchanged(secret) {
  const response = await fetch("session", { method: "POST", credentials: "omit", headers: { authorization: `Bearer ${secret}` } });
  return response.ok ? (await response.json()).key : null;
}

async function startWeb() {
  const secret = location.hash.slice(1);
  if (secret) window.history.replaceState(null, "", location.pathname);
  if (VIA === "local" && secret) {
    const key = await exchanged(secret);
    if (key) sessionStorage.setItem(KEY, key);
  }
  const key = sessionStorage.getItem(KEY);
  if (key) begin(key);
  else turnedAway("");
}

/** As an MCP App: the host says hello, shows what the call answered, and passes on what is asked for. */
async function startApp() {
  const host = overHost((method, params) => {
    if (method === "ui/notifications/tool-input") only = params.arguments || {};
    if (method === "ui/notifications/tool-result") answered(params);
    if (method === "ui/notifications/host-context-changed") dress(params);
  });
  ask = host.request;
  const hello = await host.request("ui/initialize", {
    protocolVersion: UI_PROTOCOL,
    appInfo: { name: "gatewright-board", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  });
  dress(hello.hostContext || {});
  state.canAsk = Boolean((hello.hostCapabilities || {}).serverTools);
  host.notify("ui/notifications/initialized", {});
  new ResizeObserver(() => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    host.notify("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
  }).observe(document.documentElement);
  $("refresh").hidden = !state.canAsk;
  if (state.canAsk) live();
}

function answered(result) {
  const reply = result.structuredContent;
  if (reply && result.isError) problem(`${reply.message} ${reply.next}`);
  else if (reply) take(reply);
}

function dress(context) {
  if (context.theme === "light" || context.theme === "dark") document.documentElement.dataset.theme = context.theme;
}

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  $("token").value = "";
  sessionStorage.setItem(KEY, token);
  begin(token);
});
$("leave").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
$("refresh").addEventListener("click", () => refresh().catch((exc) => problem(exc.message)));
setInterval(() => document.hidden || freshness(), 1000);
(VIA === "app" ? startApp() : startWeb()).catch((exc) => problem(exc.message));
