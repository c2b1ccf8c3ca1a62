// The console: it asks for an overview every two seconds, and shows one view at a time.

import { Api, ApiError, type Overview } from "./api";
import { fill, focusHeading, h, say } from "./dom";
import { span } from "./format";
import { History } from "./history";
import { connections, sessions } from "./lists";
import { Login } from "./login";
import { overview } from "./overview";
import { session } from "./session";
import "./style.css";
import type { Context, View } from "./view";
import { watch } from "./watch";

const EVERY_MS = 2_000;
const LINKS: [string, string][] = [
  ["overview", "Overview"], ["sessions", "Sessions"], ["connections", "Connections"],
];

const find = (id: string) => document.getElementById(id)!;
const api = new Api();
const points = new History();
const login = new Login((token) => {
  api.use(token);
  void poll();
});
let context: Context | undefined;
let view: View | undefined;
let polling = 0;
/** The newest poll: what earlier ones hear is of no use, as after a logout. */
let turn = 0;
/** Since when the gateway does not answer, or 0. */
let silent = 0;

function ask(why: string): void {
  api.use("");
  turn += 1;
  window.clearTimeout(polling);
  view?.close?.();
  view = context = undefined;
  points.clear();
  document.body.dataset.state = "login";
  document.title = "Holdfast console";
  fill(find("main"), login.element);
  login.ask(why);
}

function fail(error: unknown): void {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return ask(api.hasToken ? error.message : "");
  if (error.status === 0) return; // the next overview says it
  alarm(error.message);
}

/** Say what is wrong until it is put away. */
function alarm(text: string): void {
  say(find("alarm-text"), text);
  find("alarm").hidden = false;
}

async function poll(): Promise<void> {
  window.clearTimeout(polling);
  const mine = (turn += 1);
  try {
    if (!document.hidden || !context) {
      const now = await api.get<Overview>("overview");
      if (mine !== turn) return;
      heard(now);
    }
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof ApiError)) throw error;
    const refused = error.status === 401 || (!context && error.status >= 400);
    if (refused) return ask(api.hasToken || error.status !== 401 ? error.message : "");
    missed(error.message);
  }
  polling = window.setTimeout(poll, EVERY_MS);
}

function heard(now: Overview): void {
  const restarted = points.add(now);
  if (silent || restarted) {
    const away = silent ? `It was away for ${span((Date.now() - silent) / 1000)}. ` : "";
    tell(`${away}${restarted ? "The gateway was restarted." : "The gateway answers again."}`);
    silent = 0;
  }
  find("trouble").hidden = true;
  show(now.draining ? "draining" : now.status === "ready" ? "ready" : "trouble", now.draining ? "draining" : now.status);
  say(find("node"), now.node);
  find("leave").hidden = !api.hasToken;
  if (context) {
    context.latest = now;
    view?.overview?.(now);
  } else {
    context = { api, history: points, latest: now, say: tell, fail };
    route();
  }
}

function missed(why: string): void {
  points.miss();
  silent ||= Date.now();
  show("silent", "no answer");
  const text = `${why} Trying again every ${EVERY_MS / 1000} s.`;
  say(find("trouble"), text);
  find("trouble").hidden = false;
}

function show(state: string, text: string): void {
  document.body.dataset.state = state;
  say(find("state"), text);
}

function tell(text: string): void {
  say(find("said"), text);
}

function route(): void {
  if (!context) return;
  view?.close?.();
  tell(""); // it was said of the view before
  const [path, query] = location.hash.slice(1).split("?");
  const [name, id] = path.split("/");
  view = open(context, name, id, new URLSearchParams(query));
  document.title = `${view.title} – Holdfast console`;
  const heading = h("h1", { tabindex: "-1" }, view.title);
  fill(find("main"), heading, view.element);
  const part = name === "session" || name === "watch" ? "sessions" : name || "overview";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === `#${part}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  focusHeading();
  window.scrollTo(0, 0);
}

function open(context: Context, name: string, id: string | undefined, query: URLSearchParams): View {
  if (name === "sessions") return sessions(context, query);
  if (name === "connections") return connections(context, query);
  if (name === "session" && id) return session(context, decoded(id));
  if (name === "watch" && id) return watch(context, decoded(id));
  return overview(context);
}

/** As `decodeURIComponent`; what is no such text stays as it is, for the gateway to refuse. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

find("nav").append(...LINKS.map(([name, label]) => h("a", { href: `#${name}` }, label)));
find("leave").addEventListener("click", () => ask("You have logged out."));
find("alarm-close").addEventListener("click", () => (find("alarm").hidden = true));
window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && context) void poll();
});
void poll();
