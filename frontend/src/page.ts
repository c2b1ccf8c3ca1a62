// The page: a terminal, the questions before it, and the notices about it.

import { FitAddon } from "@xterm/addon-fit";
import { UnicodeGraphemesAddon } from "@xterm/addon-unicode-graphemes";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { Link, type Message } from "./link";
import { forget, held, keep } from "./sessions";
import { Sharing, WATCH } from "./sharing";
import "./style.css";

const THEMES = {
  dark: {},
  light: {
    background: "#ffffff", foreground: "#1c2128", cursor: "#1c2128", cursorAccent: "#ffffff",
    selectionBackground: "#b6d6fb", black: "#24292f", red: "#b3261e", green: "#116329",
    yellow: "#7d4e00", blue: "#0550ae", magenta: "#7928a1", cyan: "#1b6a72", white: "#57606a",
    brightBlack: "#57606a", brightRed: "#a40e26", brightGreen: "#1a7f37", brightYellow: "#633c01",
    brightBlue: "#0969da", brightMagenta: "#8250df", brightCyan: "#3192aa", brightWhite: "#24292f",
  },
};
const THEME = "holdfast.theme";
const TITLE_CHARS_MAX = 200;
const FONT_PIXELS = 14;
const FONT_PIXELS_MIN = 6;
const KEYS: Record<string, string> = {
  esc: "\x1b", tab: "\t", up: "\x1b[A", down: "\x1b[B", right: "\x1b[C", left: "\x1b[D",
  pipe: "|", tilde: "~", dash: "-", slash: "/",
};

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const state = find("state");
const form = find<HTMLFormElement>("question");
const label = find<HTMLLabelElement>("label");
const field = find<HTMLInputElement>("field");
const area = find<HTMLTextAreaElement>("area");
const choices = find("choices");
const notices = find("notices");
const banner = find("banner");

const term = new Terminal({
  allowProposedApi: true, cursorBlink: true, scrollback: 10_000, fontSize: FONT_PIXELS,
  fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
});
const fit = new FitAddon();
term.loadAddon(fit);
term.loadAddon(new UnicodeGraphemesAddon());
term.loadAddon(new WebLinksAddon());
term.open(find("terminal"));
fit.fit();

/** What stands in the address behind `#`, which no server is sent. */
const given = decoded(location.hash.slice(1));
const invitation = given.startsWith(WATCH) ? given.slice(WATCH.length) : "";
const code = invitation ? "" : given;
let sid = "";
let over = false;
let control = false;
/** The size of the screen that is watched, for a viewer. */
let watched: { cols: number; rows: number } | undefined;

const url = new URL(location.pathname, location.href);
url.protocol = url.protocol.replace("http", "ws");
const link = new Link(url.href, {
  ready(session, token, afresh) {
    sid = session;
    keep(sid, token);
    if (afresh) term.reset();
    show("online");
    hide(banner);
    fit.fit();
    if (form.hidden) term.focus();
  },
  watching(cols, rows, afresh) {
    if (afresh) term.reset();
    watch(cols, rows);
    show("watching");
    hide(banner);
  },
  output: (data, shown) => term.write(data, shown),
  screen: (data) => term.write(data),
  message: hear,
  lost(retryMs, text) {
    if (retryMs === undefined) return end(text ? sentence(text) : "The connection has ended.");
    show("offline");
    count(Date.now() + retryMs, text ? sentence(text) : "The connection is lost.");
  },
  size: () => ({ cols: term.cols, rows: term.rows }),
});

const sharing = new Sharing(link);

/** As `decodeURIComponent`; what is no such text stays as it is, for the gateway to refuse. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Show a screen of another's size, as large as there is room for. */
function watch(cols: number, rows: number): void {
  watched = { cols, rows };
  term.resize(cols, rows);
  scale();
}

function scale(): void {
  if (!watched) return fit.fit();
  term.options.fontSize = FONT_PIXELS;
  const room = fit.proposeDimensions();
  if (!room?.cols || !room.rows) return;
  const ratio = Math.min(1, room.cols / watched.cols, room.rows / watched.rows);
  term.options.fontSize = Math.max(FONT_PIXELS_MIN, Math.floor(FONT_PIXELS * ratio));
}

function hear(message: Message): void {
  if (sharing.hear(message)) return;
  switch (message.t) {
    case "prompt":
      return ask(message);
    case "opened":
      form.hidden = true;
      notices.replaceChildren();
      document.title = `${message.user}@${message.target}`;
      find("where").textContent = document.title + (message.recorded ? " (recorded)" : "");
      term.focus();
      return;
    case "notify": {
      const line = document.createElement("p");
      line.textContent = message.text as string;
      notices.append(line);
      return;
    }
    case "token":
      return keep(sid, message.d as string);
    case "code":
      find("code").textContent =
        `To go on at another device, open this page there and give it the code ${message.d}`;
      find("code").hidden = false;
      return;
    case "size":
      return watch(message.cols as number, message.rows as number);
    case "refused":
      if (watched || invitation) return end(`You cannot watch: ${message.text}.`);
      forget(sid);
      return end(
        `This session cannot be taken up again: ${message.text}. Its shell has ended, or the`
        + " gateway was restarted and the shell has ended with it.",
      );
    case "error":
      return end(message.text as string);
    case "exit":
      return end(ended(message));
  }
}

function ended(message: Message): string {
  if (message.error) return message.error as string;
  if (message.signal) return `Ended by the signal ${message.signal}.`;
  return `Ended with status ${message.status ?? 0}.`;
}

function ask(message: Message): void {
  const kind = message.kind as string;
  const long = kind === "key";
  const options = message.choices as string[];
  label.textContent = message.text as string;
  label.htmlFor = long ? "area" : "field";
  area.hidden = !long;
  field.hidden = long;
  field.type = message.echo ? "text" : "password";
  field.autocomplete = kind === "password" ? "current-password" : kind === "user" ? "username" : "off";
  field.value = area.value = "";
  choices.replaceChildren(
    ...options.map((choice) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = choice;
      button.onclick = () => reply(choice);
      return button;
    }),
  );
  field.hidden ||= kind === "hostkey";
  find("go").hidden = kind === "hostkey";
  form.dataset.kind = kind;
  form.hidden = false;
  (long ? area : field).focus();
}

function reply(text: string): void {
  form.hidden = true;
  notices.replaceChildren();
  link.answer(text);
  field.value = area.value = "";
}

function end(text: string): void {
  if (over) return;
  over = true;
  forget(sid);
  show("over");
  form.hidden = true;
  say(text, "Start again", () => location.reload());
}

function count(until: number, why: string): void {
  const left = Math.ceil((until - Date.now()) / 1000);
  if (state.dataset.state !== "offline") return;
  say(`${why} Trying again ${left > 0 ? `in ${left} s` : "now"}.`, "Try now", () => link.retry());
  window.setTimeout(() => count(until, why), 500);
}

function sentence(text: string): string {
  return text[0].toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
}

function say(text: string, action: string, act: () => void): void {
  const button = find<HTMLButtonElement>("act");
  find("said").textContent = text;
  button.textContent = action;
  button.onclick = act;
  banner.hidden = false;
}

function show(name: string): void {
  state.dataset.state = name;
  state.textContent = name;
}

function hide(element: HTMLElement): void {
  element.hidden = true;
}

function theme(name: string): void {
  document.documentElement.dataset.theme = name;
  term.options.theme = name === "light" ? THEMES.light : THEMES.dark;
}

form.onsubmit = (event) => {
  event.preventDefault();
  reply(area.hidden ? field.value : area.value);
};
term.onData((data) => {
  if (control && data.length === 1) {
    data = String.fromCharCode(data.charCodeAt(0) & 0x1f);
    press(false);
  }
  link.type(data);
});
term.onBinary((data) => link.typeBinary(data));
term.onResize(({ cols, rows }) => link.resize(cols, rows));
term.onTitleChange((title) => (document.title = title.slice(0, TITLE_CHARS_MAX)));
// A program may write to the clipboard of its user, not to that of a viewer, and read neither.
term.parser.registerOscHandler(52, (data) => {
  const text = data.slice(data.indexOf(";") + 1);
  if (text !== "?" && !invitation) {
    try {
      const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      void navigator.clipboard?.writeText(new TextDecoder().decode(bytes)).catch(() => undefined);
    } catch {
      // Not base64: nothing is written.
    }
  }
  return true;
});
new ResizeObserver(scale).observe(find("terminal"));

function press(on: boolean): void {
  control = on;
  find("ctrl").setAttribute("aria-pressed", String(on));
}
find("ctrl").onclick = () => {
  press(!control);
  term.focus();
};
for (const button of document.querySelectorAll<HTMLButtonElement>("#keys [data-key]")) {
  button.onclick = () => {
    link.type(KEYS[button.dataset.key!]);
    term.focus();
  };
}
find("elsewhere").onclick = () => link.say({ t: "code" });
find("code").onclick = () => hide(find("code"));
find("resume").onclick = () => {
  const code = prompt("The code from the other device:");
  if (code) location.assign(`${location.pathname}#${encodeURIComponent(code.trim())}`);
  if (code) location.reload();
};
find("theme").onclick = () => {
  const name = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  localStorage.setItem(THEME, name);
  theme(name);
};
find("end").onclick = () => link.say({ t: "close" });
const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
theme(localStorage.getItem(THEME) ?? preferred);

declare global {
  interface Window {
    holdfastTerminal: Terminal;
  }
}
window.holdfastTerminal = term;

show("connecting");
if (!invitation) history.replaceState(null, "", location.pathname);
if (invitation) {
  document.documentElement.dataset.watching = "";
  document.title = "Watching a terminal";
  find("where").textContent = document.title;
  term.options.disableStdin = true;
  link.watch(invitation);
} else if (code) link.open("", code);
else void held().then((session) => {
  sid = session?.sid ?? "";
  link.open(session?.token);
});
