// Lets the JavaScript client have the exchanges that come as JSON on standard input, and writes
// what it did. The only argument is the client's file.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Session } = await import(pathToFileURL(process.argv[2]).href);

/** Time that passes when it is told to. */
class Clock {
  constructor() {
    this.now = 0;
    this.timers = new Map();
    this.count = 0;
    const set = (action, ms, every) => {
      this.timers.set(++this.count, { action, at: this.now + ms, every });
      return this.count;
    };
    globalThis.setTimeout = (action, ms) => set(action, ms, 0);
    globalThis.setInterval = (action, ms) => set(action, ms, ms);
    globalThis.clearTimeout = globalThis.clearInterval = (number) => this.timers.delete(number);
    Date.now = () => this.now;
  }

  advance(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end);
      if (!due.length) break;
      const [number, timer] = due.reduce((a, b) => (b[1].at < a[1].at ? b : a));
      this.now = timer.at;
      if (timer.every) timer.at += timer.every;
      else this.timers.delete(number);
      timer.action();
    }
    this.now = end;
  }
}

const METHODS = {
  choose: (session, id, name) => session.choose(id ? { id } : { name }),
  take_offer: (session) => session.takeOffer(),
  ask_code: (session) => session.askCode(),
};
const EVENTS = [
  ..."text formatted data binary prompt notice mode login profiles offer code refused bye".split(" "),
];

async function perform({ steps, kept_before }) {
  const clock = new Clock();
  const sockets = [];
  class Socket {
    constructor(url, protocols) {
      Object.assign(this, { url, protocols, readyState: 0, said: [] });
      sockets.push(this);
    }
    send(text) {
      this.said.push(JSON.parse(text));
    }
    close() {
      this.readyState = 3;
    }
  }
  const storage = new Map();
  if (kept_before) storage.set("holdfast:k", JSON.stringify(kept_before));
  const session = new Session("ws://gateway/", {
    key: "k",
    WebSocket: Socket,
    storage: { getItem: (key) => storage.get(key) ?? null, setItem: (key, text) => storage.set(key, text) },
  });
  let shows = [];
  for (const name of EVENTS) session.on(name, (message) => shows.push(message));
  session.on("began", ({ reason }) => shows.push({ t: "began", reason }));
  await null; // it dials in a microtask

  const open = () => {
    // What was lost is dialled again after a pause.
    for (let waits = 0; sockets.at(-1).readyState !== 0; waits++) {
      if (waits === 100) throw new Error("it did not dial again");
      clock.advance(100);
    }
    sockets.at(-1).readyState = 1;
    sockets.at(-1).onopen();
  };
  const step = (what) => {
    const socket = sockets.at(-1);
    let fault = false;
    if (what.open) open();
    else if ("hear" in what) {
      const message = what.hear;
      const text = typeof message === "string" ? message.replace(/^raw:/, "") : JSON.stringify(message);
      socket.onmessage({ data: text });
      fault = socket.readyState === 3 && session.state.name !== "ended";
    } else if (what.do) {
      const [name, ...args] = what.do;
      if (METHODS[name]) METHODS[name](session, ...args);
      else session[name](...args);
    } else if (what.second) clock.advance(1000);
    else {
      socket.readyState = 3;
      socket.onclose({ code: 1006, reason: "" });
    }
    const says = sockets.flatMap(({ said }) => said.splice(0));
    const shown = shows;
    shows = [];
    return { says, shows: shown, fault, ends: session.state.name === "ended" };
  };
  const seen = steps.map((what) => {
    try {
      return step(what);
    } catch (error) {
      return { says: [], shows: [{ t: "thrown", error: String(error) }], fault: false, ends: false };
    }
  });
  // A page that is loaded anew shows everything that is kept: `last` need not be stored each time.
  const kept = { ...JSON.parse(storage.get("holdfast:k")), last: session._kept.last };
  return { seen, kept, online: session.state.name === "online" };
}

const performances = [];
for (const exchange of JSON.parse(readFileSync(0, "utf8"))) performances.push(await perform(exchange));
process.stdout.write(JSON.stringify(performances));
