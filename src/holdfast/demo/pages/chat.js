// @ts-check
// The chat's page: everything that keeps the session together is in the client.
import { Session } from "/holdfast.js";

const LINES_MAX = 1000;
const QUIET = new Set(["fresh", "other"]); // the screen begins anew, and nothing is missing

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const log = element("log");
const state = element("state");
const prompt = element("prompt");
const form = /** @type {HTMLFormElement} */ (element("form"));
const input = /** @type {HTMLInputElement} */ (element("line"));

const session = new Session(`${location.origin.replace(/^http/, "ws")}/`, { client: "chat page" });
let name = "";

/**
 * @param {string} text
 * @param {string} kind
 */
function show(text, kind = "") {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  item.textContent = text;
  item.className = kind;
  log.append(item);
  while (log.children.length > LINES_MAX) log.firstElementChild?.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

let ticking = 0;
session.on("state", ({ name, reason, retryMs }) => {
  clearInterval(ticking);
  state.dataset.state = name;
  state.textContent = name;
  if (name === "ended") state.textContent = reason;
  if (name !== "offline" || !retryMs) return;
  const due = Date.now() + retryMs;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((due - Date.now()) / 1000));
    state.textContent = `${reason} · back in ${seconds} s`;
  };
  tick();
  ticking = Number(setInterval(tick, 250));
});
session.on("text", ({ d }) => {
  for (const line of d.split("\n")) {
    const own = name && (line.startsWith(`<${name}> `) || line.startsWith(`* ${name} `));
    show(line, own ? "own" : "");
  }
});
session.on("formatted", ({ d }) => show(d));
session.on("notice", ({ d }) => show(d, "notice"));
session.on("prompt", ({ d }) => {
  prompt.textContent = d;
});
session.on("began", ({ reason }) => {
  log.replaceChildren();
  if (!QUIET.has(reason)) show(`(what was here before could not be kept: ${reason})`, "mark");
});
session.on("refused", ({ reason }) => show(`(that does not resume a session: ${reason})`, "mark"));
session.on("data", ({ p, d }) => {
  if (p !== "Chat.Room") return;
  const { room, people } = /** @type {{room: string, people: string[]}} */ (d);
  element("room").textContent = `· ${room}`;
  element("people").replaceChildren(
    ...people.map((person) => {
      const item = document.createElement("li");
      item.textContent = person;
      return item;
    }),
  );
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!input.value) return;
  if (prompt.textContent === "Your name: ") name = input.value.trim();
  session.command(input.value);
  input.value = "";
});
session.on("code", ({ d }) => {
  element("code").hidden = false;
  element("code").textContent = `Type “resume ${d}” as the first line there.`;
});
element("elsewhere").addEventListener("click", () => session.askCode());
element("resume").addEventListener("click", () => {
  const code = window.prompt("The resume code that the other client was shown:");
  if (code) session.resume(code.trim());
});
