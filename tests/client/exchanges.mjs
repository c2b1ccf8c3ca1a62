// Lets the JavaScript client have the exchanges that come as JSON on standard input, and writes
// what it did. The arguments are the client's file and the kind of its connections: `sockets` or
// `streams`.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Clock, Storage, fakeSockets, fakeStreams } from "./fakes.mjs";

const { EventStream, Session } = await import(pathToFileURL(process.argv[2]).href);

const streams = process.argv[3] === "streams";
// What is on its way has come.
const settle = async () => {
  if (streams) for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
};

const METHODS = {
  choose: (session, id, name, properties) =>
    session.choose(id ? { id } : { name, ...(properties && { properties }) }),
  take_offer: (session) => session.takeOffer(),
  ask_code: (session) => session.askCode(),
};
const EVENTS = [
  ..."text formatted data binary prompt notice mode login auth profiles offer code refused bye"
    .split(" "),
];

async function perform({ steps, kept_before }) {
  const clock = new Clock();
  const { sockets, Socket } = streams ? fakeStreams(EventStream) : fakeSockets();
  const storage = new Storage();
  if (kept_before) storage.setItem("holdfast:k", JSON.stringify(kept_before));
  const session = new Session("ws://gateway/", {
    key: "k",
    WebSocket: Socket,
    storage,
  });
  let shows = [];
  for (const name of EVENTS) session.on(name, (message) => shows.push(message));
  for (const name of ["began", "dropped", "uncertain"]) {
    session.on(name, (message) => shows.push({ t: name, ...message }));
  }
  await null; // it dials in a microtask

  const open = () => {
    // What was lost is dialled again after a pause.
    for (let waits = 0; sockets.at(-1).readyState !== 0; waits++) {
      if (waits === 100) throw new Error("it did not dial again");
      clock.advance(100);
    }
    sockets.at(-1).opens();
  };
  const step = async (what) => {
    const socket = sockets.at(-1);
    let fault = false;
    if (what.open) open();
    else if ("hear" in what) {
      const message = what.hear;
      const text = typeof message === "string" ? message.replace(/^raw:/, "") : JSON.stringify(message);
      socket.hearsText(text);
      await settle();
      fault = socket.readyState === 3 && session.state.name !== "ended";
    } else if (what.do) {
      const [name, ...args] = what.do;
      if (METHODS[name]) METHODS[name](session, ...args);
      else session[name](...args);
    } else if (what.second) clock.advance(1000);
    else socket.ends(what.closed ?? 1006);
    await settle();
    const says = sockets.flatMap(({ said }) => said.splice(0));
    const shown = shows;
    shows = [];
    return { says, shows: shown, fault, ends: session.state.name === "ended" };
  };
  const seen = [];
  for (const what of steps) {
    try {
      seen.push(await step(what));
    } catch (error) {
      const refused = error instanceof TypeError || error instanceof RangeError;
      const thrown = { t: "thrown", ...(refused ? {} : { error: String(error) }) };
      seen.push({ says: [], shows: [thrown], fault: false, ends: false });
    }
  }
  // A page that is loaded anew shows everything that is kept: `last` need not be stored each time.
  const kept = { ...JSON.parse(storage.getItem("holdfast:k")), last: session._kept.last };
  return { seen, kept, online: session.state.name === "online" };
}

const performances = [];
for (const exchange of JSON.parse(readFileSync(0, "utf8"))) performances.push(await perform(exchange));
process.stdout.write(JSON.stringify(performances));
