// @ts-check
// The page of the chat. The session is in /holdfast.js.
import { Ansi, formatted } from "/holdfast-ansi.js";
import { Log } from "/holdfast-log.js";
import { Session } from "/holdfast.js";
import { Cable, Demo, ways } from "./demo.js";

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const log = new Log(element("log"), { tag: "li", linesMax: 1000 });
const state = element("state");
const prompt = element("prompt");
const form = /** @type {HTMLFormElement} */ (element("form"));
const input = /** @type {HTMLInputElement} */ (element("line"));
const code = element("code");

const session = new Session(`${location.origin.replace(/^http/, "ws")}/`, {
  client: "chat page",
  WebSocket: Cable, // which the page can cut
});
const demo = new Demo(session);
let you = "";
let leaving = 0; // the timer after which nobody is shown who is cut off
/** @type {unknown} */
let commands; // that connect other clients

function beginAnew() {
  log.clear();
  clearTimeout(leaving);
  for (const id of ["room", "people"]) element(id).replaceChildren();
  code.hidden = element("ways").hidden = true;
  you = "";
}

let ticking = 0;
let sid = ""; // whose output is on the screen
let began = false;
session.on("state", ({ name, reason, retryMs }) => {
  clearInterval(ticking);
  const resumed = name === "online" && sid !== "" && !began;
  if (name === "online") {
    if (resumed && session.sid !== sid) beginAnew(); // another session was resumed by its code
    [sid, began] = [session.sid, false];
  }
  state.dataset.state = name;
  state.textContent = name === "ended" ? reason : resumed ? "online · resumed" : name;
  input.disabled = name === "ended";
  input.placeholder = name === "offline" ? "sent later" : "";
  element("send").textContent = name === "ended" ? "Begin again" : "Send";
  if (name === "ended") code.hidden = element("ways").hidden = true;
  if (name !== "offline" || !retryMs) return;
  const due = Date.now() + retryMs;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((due - Date.now()) / 1000));
    state.textContent = `${reason} · trying again in ${seconds} s`;
  };
  tick();
  ticking = Number(setInterval(tick, 250));
});
session.on("text", ({ d, n }) => {
  for (const line of d.split("\n")) {
    const own = you && (line.startsWith(`<${you}> `) || line.startsWith(`* ${you} `));
    log.append(new Ansi().nodes(line), own ? "own" : "").title = new Date().toLocaleTimeString();
    demo.count(line, n);
  }
});
session.on("formatted", ({ d, s }) => log.append(formatted(d, s)));
session.on("notice", ({ d }) => log.append(d, "notice"));
session.on("prompt", ({ d }) => {
  prompt.textContent = d;
});
session.on("began", ({ reason }) => {
  beginAnew();
  began = true;
  if (reason !== "fresh") log.append(`(what was here before could not be kept: ${reason})`, "mark");
});
session.on("refused", ({ reason }) => log.append(`(that does not resume a session: ${reason})`, "mark"));
session.on("dropped", ({ commands }) => {
  for (const { d } of commands) log.append(`(not known to be done: ${d ?? "an interrupt"})`, "mark");
});
session.on("uncertain", ({ first, last }) =>
  log.append(`(the gateway has forgotten commands ${first} to ${last}; they may be undone)`, "mark"),
);
/**
 * @typedef {{room: string, people: string[], you: string, how: Record<string, string>, kept: number,
 *   ways: unknown, talks: boolean}} Room
 */
session.on("data", ({ p, d }) => {
  if (p === "Chat.Room") showRoom(/** @type {Room} */ (d));
});

/** @param {Room} message */
function showRoom(message) {
  const { room, people, how } = message;
  clearTimeout(leaving);
  you = message.you;
  commands = message.ways;
  demo.show(message);
  element("room").textContent = `· ${room}`;
  element("people").replaceChildren(
    ...people.map((person) => {
      const item = document.createElement("li");
      item.textContent = how[person] ? person : `${person} (cut off)`;
      return item;
    }),
  );
  const stay = people.filter((person) => how[person]);
  if (stay.length === people.length) return;
  const found = Object.fromEntries(stay.map((person) => [person, how[person]]));
  const without = { ...message, people: stay, how: found };
  leaving = Number(setTimeout(() => showRoom(without), message.kept * 1000));
}

/** @type {string[]} */
const typed = []; // lines, oldest first
let place = 0; // of the line that is shown; behind the last one: none
input.addEventListener("keydown", (event) => {
  const to = event.key === "ArrowUp" ? place - 1 : event.key === "ArrowDown" ? place + 1 : -1;
  if (to < 0 || to > typed.length) return;
  event.preventDefault();
  place = to;
  input.value = typed[place] ?? "";
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (session.state.name === "ended") location.reload();
  if (!input.value) return;
  try {
    session.command(input.value);
  } catch (error) {
    log.append(`(not sent: ${error instanceof Error ? error.message : error})`, "mark");
    return; // the line stays, to be corrected
  }
  if (typed.at(-1) !== input.value) typed.push(input.value);
  if (typed.length > 200) typed.shift();
  place = typed.length;
  input.value = "";
});
session.on("code", ({ d }) => {
  code.hidden = false;
  ways(element("ways"), d, commands);
  code.textContent = `Type “resume ${d}” as the first line there.`;
  element("ways").scrollIntoView({ block: "nearest" });
});
element("elsewhere").addEventListener("click", () => session.askCode());
element("resume").addEventListener("click", () => {
  const typed = window.prompt("The resume code that the other client was shown:");
  if (typed) session.resume(typed.trim());
  input.focus();
});
