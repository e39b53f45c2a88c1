
// Ways to ask: as a client of MCP, over HTTP or through the host that shows this.

const ANSWER_WITHIN_S = 60;

class NoKey extends Error {}

let ask = null;

/** Over HTTP, as a client of MCP: the same messages, with the key in a header that no other page can send. */
function overHttp(key) {
  return async (method, params) => {
    const response = await fetch("mcp", {
      method: "POST", credentials: "omit", cache: "no-store", redirect: "error",
      signal: AbortSignal.timeout(ANSWER_WITHIN_S * 1000),
      headers: {
        authorization: `Bearer ${key}`, "content-type": "application/json",
        accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    const text = await response.text();
    if (response.status === 401) throw new NoKey();
    if (!response.ok) throw new Error(sentence(text) || `The server answered ${response.status}.`);
    return resultOf(messages(response.headers.get("content-type") || "", text).find((m) => m.id === 1));
  };
}

function sentence(text) {
  try {
    return String(JSON.parse(text).message);
  } catch {
    return "";
  }
}

function messages(type, text) {
  if (!type.startsWith("text/event-stream")) return [JSON.parse(text)];
  const told = text.split(/\r?\n\r?\n/).map((event) =>
    event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n").trim());
  return told.filter(Boolean).map((data) => JSON.parse(data));
}

function resultOf(message) {
  if (!message) throw new Error("The server's answer has no result.");
  if (message.error) throw new Error(String(message.error.message));
  return message.result;
}

/** Through the host of an MCP App, by messages to the window around this one. */
function overHost(hear) {
  const waiting = new Map();
  let last = 0;
  const send = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== window.parent || !message || message.jsonrpc !== "2.0") return;
    if (message.method) {
      if (message.id !== undefined) send({ id: message.id, ...answer(message.method) });
      else hear(message.method, message.params || {});
      return;
    }
    const settle = waiting.get(message.id);
    waiting.delete(message.id);
    if (settle) settle(message);
  });
  const request = async (method, params) => {
    const id = ++last;
    const answered = new Promise((settle) => waiting.set(id, settle));
    send({ id, method, params });
    const late = sleep(ANSWER_WITHIN_S).then(() => ({ error: { message: "The host has not answered." } }));
    return resultOf(await Promise.race([answered, late]));
  };
  return { request, notify: (method, params) => send({ method, params }) };
}

function answer(method) {
  if (method === "ping" || method === "ui/resource-teardown") return { result: {} };
  return { error: { code: -32601, message: "The board has no such method." } };
}

/** A tool's reply; a refusal is raised in its own words. */
async function tool(name, given) {
  const result = await ask("tools/call", { name, arguments: given || {} });
  const reply = result.structuredContent;
  if (!reply) throw new Error("The answer has no data.");
  if (result.isError) throw new Error(`${reply.message} ${reply.next}`);
  return reply;
}

async function resource(uri) {
  const result = await ask("resources/read", { uri });
  return JSON.parse(result.contents[0].text);
}
