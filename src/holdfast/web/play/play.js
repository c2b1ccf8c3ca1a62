// @ts-check
// A MUD client in the browser. The session is in /holdfast.js, the colors of control sequences in
// /holdfast-ansi.js, the log in /holdfast-log.js, the operator's settings in settings.json.
import { Ansi, formatted } from "/holdfast-ansi.js";
import { Log } from "/holdfast-log.js";
import { isSecret, Session } from "/holdfast.js";
import { Figures } from "./figures.js";

/**
 * @typedef {import("./figures.js").Gauge} Gauge
 * @typedef {import("./figures.js").Fact} Fact
 * @typedef {{title: string, path: string, telnet: string, gauges: Gauge[], facts: Fact[]}} Settings
 */

const LINES_MAX = 2000;
const HISTORY_MAX = 200;
const RESIZE_MS = 200;
const GOOD_NEWS_MS = 6000;
const ANSWERED_MS = 1000;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement} */ (element(id));
const screen = element("log");
const newest = element("newest");
const log = new Log(screen, { tag: "div", linesMax: LINES_MAX, newest });
const state = element("state");
const prompt = element("prompt");
const input = field("line");
const banner = element("banner");

/** @type {Settings} */
const settings = await (await fetch("settings.json")).json();
document.title = settings.title;
element("title").textContent = settings.title;

const session = new Session(`${location.origin.replace(/^http/, "ws")}${settings.path}`, {
  client: "Holdfast page",
});
let ansi = new Ansi();

// --- the log

/**
 * @param {(Node | string)[]} content
 * @param {string} kind
 */
function show(content, kind = "") {
  log.append(content, kind).title = new Date().toLocaleTimeString();
}

/** @param {string} text */
const mark = (text) => show([text], "mark");

// --- the size of the screen in characters, which the server gets

let resizing = 0;
function tellSize() {
  const probe = document.createElement("span");
  probe.textContent = "0".repeat(20);
  probe.style.position = "absolute";
  screen.append(probe);
  const { width, height } = probe.getBoundingClientRect();
  probe.remove();
  const { paddingLeft, paddingRight } = getComputedStyle(screen);
  const room = screen.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
  if (width && height) {
    session.resize(Math.floor((20 * room) / width), Math.floor(screen.clientHeight / height));
  }
}
new ResizeObserver(() => {
  clearTimeout(resizing);
  resizing = Number(setTimeout(tellSize, RESIZE_MS));
}).observe(screen);

// --- the connection

let ticking = 0;
let sid = ""; // whose output is on the screen
let began = false;
let was = ""; // the state before

session.on("state", ({ name, reason, retryMs }) => {
  clearInterval(ticking);
  const typing = document.activeElement === input;
  if (name === "online") enter();
  state.dataset.state = name;
  state.textContent = name === "ended" ? reason || "ended" : name;
  input.disabled = name === "ended";
  element("send").textContent = name === "ended" ? "Begin again" : "Send";
  if (name === "ended") {
    if (typing) element("send").focus(); // Enter begins again
    for (const id of ["code", "login", "profiles", "take"]) element(id).hidden = true;
    tell(reason || "The session has ended.");
  } else if (name === "offline" && retryMs) {
    const due = Date.now() + retryMs;
    const tick = () => {
      const seconds = Math.max(0, Math.ceil((due - Date.now()) / 1000));
      element("countdown").textContent = `Trying again in ${seconds} s.`;
    };
    tell(`${reason} · What you type is sent when you are back.`);
    tick();
    ticking = Number(setInterval(tick, 250));
  }
  if (name !== "connecting") was = name;
});

function enter() {
  const resumed = sid !== "" && !began && session.sid === sid;
  if (sid !== session.sid) {
    if (sid && !began) beginAnew(); // another session was resumed by its code
    introduce();
  }
  [sid, began] = [session.sid, false];
  if (resumed && was === "offline") tell("You are back. Nothing was lost.", "good");
  else banner.hidden = true;
  tellSize();
}

// Subscribe to packages and variables, as any client of GMCP or MSDP does.
function introduce() {
  const { packages, variables } = figures;
  if (packages.size) {
    session.data("Core.Hello", { client: "Holdfast", version: "1" });
    session.data("Core.Supports.Set", [...packages].map((name) => `${name} 1`));
  }
  if (variables.size) session.data("REPORT", [...variables]);
}

/**
 * @param {string} text
 * @param {string} kind
 */
function tell(text, kind = "") {
  banner.hidden = false;
  banner.dataset.kind = kind;
  // The countdown changes each second, which a screen reader is spared.
  element("news").textContent = text;
  element("countdown").textContent = "";
  if (kind !== "good") return;
  ticking = Number(
    setTimeout(() => {
      banner.hidden = true;
    }, GOOD_NEWS_MS),
  );
}

function beginAnew() {
  log.clear();
  ansi = new Ansi();
  setPrompt("");
  figures.forget();
  for (const id of ["code", "login", "profiles"]) element(id).hidden = true;
}

session.on("began", ({ reason }) => {
  beginAnew();
  began = true;
  if (reason !== "fresh") mark(`(what was here before could not be kept: ${reason})`);
});
session.on("refused", ({ reason }) => mark(`(that does not resume a session: ${reason})`));
session.on("dropped", ({ commands }) => {
  for (const command of commands) {
    const what = isSecret(command) ? "a hidden line" : (command.d ?? command.p ?? "an interrupt");
    mark(`(not known to be done: ${what})`);
  }
});
session.on("uncertain", ({ first, last }) =>
  mark(`(the gateway has forgotten commands ${first} to ${last}; they may be undone)`),
);

// --- outputs

session.on("text", ({ d }) => {
  for (const line of d.split("\n")) show(ansi.nodes(line));
});
session.on("formatted", ({ d, s }) => show(formatted(d, s, { send: pick })));
session.on("notice", ({ d }) => show([d], "notice"));
session.on("prompt", ({ d }) => setPrompt(d));

let asked = "";
let answered = 0; // a timer

/** @param {string} text */
function setPrompt(text) {
  clearTimeout(answered);
  prompt.classList.remove("answered");
  if (text === asked) return; // a screen reader reads out what changes
  asked = text;
  const nodes = new Ansi().nodes(text);
  prompt.replaceChildren(...(prompt.dataset.text = text.trim()) ? nodes : ["Command"]);
}

// The line that was typed takes the prompt with it into the log. One that most often comes again at
// once is only made invisible until then: for a screen reader, it has not changed.
function answerPrompt() {
  prompt.classList.add("answered");
  clearTimeout(answered);
  answered = Number(setTimeout(() => setPrompt(""), ANSWERED_MS));
}

// --- gauges and facts

const figures = new Figures(settings, element("panel"));
session.on("data", ({ p, d }) => figures.take(p, d));

// --- input

let hidden = false;
/** @type {string[]} */
const history = [];
let recalled = 0; // the position in the history; at its end is the new line
let draft = "";

session.on("mode", ({ d }) => {
  if (hidden === (d === "secret")) return;
  hidden = d === "secret";
  input.type = hidden ? "password" : "text";
  input.autocomplete = hidden ? "current-password" : "off";
  input.value = ""; // hidden input must not become visible, nor a line become a password
  element("hint").textContent = hidden ? "What you type is hidden." : "";
});

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (session.state.name === "ended") {
    location.reload();
    return;
  }
  if (say(input.value, hidden)) input.value = ""; // else the line stays, to be mended
});

// A click on the button leaves the focus where it is: a phone's keyboard stays.
element("send").addEventListener("mousedown", (event) => {
  if (document.activeElement === input) event.preventDefault();
});

/**
 * @param {string} line
 * @param {boolean} secret
 */
function say(line, secret) {
  try {
    session.command(line, { secret });
  } catch (error) {
    mark(`(not sent: ${error instanceof Error ? error.message : error})`);
    return false;
  }
  log.toEnd();
  echo(secret ? "" : line);
  if (!secret) remember(line);
  return true;
}

/**
 * A clickable command of the text. It never answers a question for hidden input.
 * @param {string} command
 */
function pick(command) {
  if (!hidden && !input.disabled) say(command, false);
  input.focus();
}

/** @param {string} line */
function echo(line) {
  const typed = document.createElement("b");
  typed.textContent = line;
  const isOpen = prompt.dataset.text && !prompt.classList.contains("answered");
  const question = isOpen ? [...prompt.childNodes].map((node) => node.cloneNode(true)) : [];
  show([...question, typed], "echo");
  if (question.length) answerPrompt();
}

/** @param {string} line */
function remember(line) {
  if (line && history.at(-1) !== line) history.push(line);
  if (history.length > HISTORY_MAX) history.shift();
  recalled = history.length;
  draft = "";
}

input.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
  const pages = { PageUp: -1, PageDown: 1 }[event.key] ?? 0;
  if (pages) {
    event.preventDefault();
    screen.scrollBy(0, 0.9 * pages * screen.clientHeight);
  }
  if (!step || hidden || event.isComposing) return;
  event.preventDefault();
  const next = Math.max(0, Math.min(history.length, recalled + step));
  if (next === recalled) return;
  if (recalled === history.length) draft = input.value;
  recalled = next;
  input.value = recalled === history.length ? draft : history[recalled];
  input.setSelectionRange(input.value.length, input.value.length);
});

newest.addEventListener("click", () => input.focus());

// A character that is typed in the log goes to the input.
screen.addEventListener("keydown", (event) => {
  const typed = event.target === screen && event.key.length === 1 && event.key !== " ";
  if (typed && !event.ctrlKey && !event.metaKey && !event.altKey) input.focus();
});

// On iOS, the keyboard on the screen covers a part of the layout: the page takes the visible part.
window.visualViewport?.addEventListener("resize", () => {
  const { height, scale } = /** @type {VisualViewport} */ (window.visualViewport);
  const covered = scale === 1 && height < innerHeight;
  document.body.style.height = covered ? `${height}px` : "";
  if (covered) scrollTo(0, 0);
});

// --- the application's login and profiles

/**
 * @param {string} id
 * @param {string | undefined} error
 * @param {string} focus
 */
function ask(id, error, focus) {
  element(`${id}-error`).hidden = !error;
  element(`${id}-error`).textContent = error ?? "";
  element(id).hidden = false;
  element(focus).focus();
}

session.on("login", ({ error }) => ask("login", error, "username"));
element("login").addEventListener("submit", (event) => {
  event.preventDefault();
  session.login(field("username").value, field("password").value);
  field("password").value = "";
  element("login").hidden = true;
  input.focus();
});

session.on("profiles", ({ d, error }) => {
  element("choices").replaceChildren(
    ...d.map(({ id, name, summary }) => choice(name, summary ?? "", () => choose({ id }))),
  );
  ask("profiles", error, "new-profile");
});
element("profiles").addEventListener("submit", (event) => {
  event.preventDefault();
  choose({ name: field("new-profile").value });
});

/** @param {{id?: string, name?: string}} chosen */
function choose(chosen) {
  session.choose(chosen);
  field("new-profile").value = "";
  element("profiles").hidden = true;
  input.focus();
}

/**
 * @param {string} name
 * @param {string} summary
 * @param {() => void} chosen
 */
function choice(name, summary, chosen) {
  const button = document.createElement("button");
  button.type = "button";
  const words = document.createElement("small");
  words.textContent = summary && ` ${summary}`;
  button.append(name, words);
  button.addEventListener("click", chosen);
  return button;
}

session.on("offer", ({ d }) => {
  const take = choice("Take it up", "", () => session.takeOffer());
  show([`${d} `, take], "mark");
});

// --- resuming at another client

const address = /** @type {HTMLElement} */ (element("address").querySelector("code"));
address.textContent = settings.telnet;
element("address").hidden = !settings.telnet;
session.on("code", ({ d }) => {
  element("code").hidden = false;
  element("typed").textContent = `resume ${d}`;
  element("copy").textContent = "Copy";
  element("copy").focus();
});
element("elsewhere").addEventListener("click", () => session.askCode());
element("hide").addEventListener("click", () => {
  element("code").hidden = true;
  element("typed").textContent = "";
  input.focus();
});
element("copy").addEventListener("click", async () => {
  const lines = [settings.telnet, element("typed").textContent];
  try {
    await navigator.clipboard.writeText(lines.filter(Boolean).join("\n"));
    element("copy").textContent = "Copied";
  } catch {
    getSelection()?.selectAllChildren(element("typed")); // no clipboard without TLS
    element("copy").textContent = "Selected";
  }
});

element("resume").addEventListener("click", () => {
  element("take").hidden = false;
  element("given").focus();
});
element("cancel").addEventListener("click", () => {
  element("take").hidden = true;
  input.focus();
});
element("take").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = field("given").value.trim().replace(/^resume\s+/i, "");
  field("given").value = "";
  element("take").hidden = true;
  if (code) session.resume(code);
  input.focus();
});
