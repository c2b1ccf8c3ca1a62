// What only the JavaScript client can meet: one case a run, named by the second argument.
// The first is the client's file. It ends with an exception, or with "ok".

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { Clock, Storage, fakeSockets, fakeStreams } from "./fakes.mjs";

const { EventStream, Session, forget } = await import(pathToFileURL(process.argv[2]).href);
const WELCOME = { t: "welcome", sid: "S", token: "t1", epoch: "E", seq: 0, heartbeat: 30 };
const KEY = "holdfast:k";

/** A session on sockets that the case moves. */
async function begin({ url = "ws://gateway/", ...options } = {}) {
  const clock = new Clock();
  const { sockets, Socket } = fakeSockets();
  const session = new Session(url, {
    key: "k",
    WebSocket: Socket,
    storage: null,
    ...options,
  });
  await null; // it dials in a microtask
  const welcome = (message = WELCOME) => {
    sockets.at(-1).opens();
    sockets.at(-1).hears(message);
  };
  const retry = () => clock.advance(session.state.retryMs);
  return { clock, session, sockets, welcome, retry };
}

/** What waits for a promise has gone on. */
const settled = () => new Promise((done) => setImmediate(done));

const CASES = {
  async "a token is fetched before each hello and when it is asked for"() {
    let made = 0;
    const { session, sockets, welcome, retry } = await begin({ token: () => `jwt${++made}` });
    sockets[0].opens();
    await settled();
    assert.deepEqual(sockets[0].said.map(({ t, auth }) => [t, auth]), [["hello", "jwt1"]]);
    sockets[0].hears(WELCOME);
    sockets[0].hears({ t: "auth", left_ms: 60_000 });
    await settled();
    assert.deepEqual(sockets[0].said.at(-1), { t: "auth", token: "jwt2" });
    sockets[0].ends(4505);
    retry();
    sockets[1].opens();
    await settled();
    assert.equal(sockets[1].said[0].auth, "jwt3");
    assert.equal(session.state.name, "connecting");
  },

  async "without a token the page tries again later"() {
    let works = false;
    const token = async () => {
      if (!works) throw new Error("logged out");
      return "jwt";
    };
    const { session, sockets, welcome, retry } = await begin({ token });
    sockets[0].opens();
    await settled();
    assert.deepEqual(sockets[0].said, []);
    assert.equal(session.state.name, "offline");
    assert.match(session.state.reason, /no token: Error: logged out/);
    works = true;
    retry();
    sockets[1].opens();
    await settled();
    assert.equal(sockets[1].said[0].auth, "jwt");
  },

  async "a token that comes too late is not sent on another connection"() {
    const gives = [];
    const { sockets, retry } = await begin({ token: () => new Promise((give) => gives.push(give)) });
    sockets[0].opens();
    sockets[0].ends();
    retry();
    sockets[1].opens();
    gives[0]("old");
    await settled();
    assert.deepEqual([sockets[0].said, sockets[1].said], [[], []]);
    gives[1]("new");
    await settled();
    assert.equal(sockets[1].said[0].auth, "new");
  },

  async "each user of a tab has a session of its own"() {
    const storage = new Storage();
    const anna = await begin({ storage, user: "anna" });
    anna.welcome({ ...WELCOME, sid: "A", token: "annas" });
    anna.session.close();
    const bert = await begin({ storage, user: "bert" });
    bert.sockets[0].opens();
    assert.equal(bert.sockets[0].said[0].token, undefined);
    bert.session.close();
    const nobody = await begin({ storage });
    nobody.sockets[0].opens();
    assert.equal(nobody.sockets[0].said[0].token, undefined);
    const again = await begin({ storage, user: "anna" });
    again.sockets[0].opens();
    assert.equal(again.sockets[0].said[0].token, "annas");
    again.session.close();
    forget("ws://gateway/", { key: "k", user: "anna", storage });
    const last = await begin({ storage, user: "anna" });
    last.sockets[0].opens();
    assert.equal(last.sockets[0].said[0].token, undefined);
    assert.equal(last.session.sid, "");
  },

  async "what JSON has not"() {
    const { session, sockets, welcome } = await begin();
    welcome();
    const cycle = [];
    cycle.push(cycle);
    const deep = [];
    for (let inner = deep, n = 0; n < 5000; n++) inner.push((inner = []));
    const wrong = [undefined, 10n, () => 1, Symbol("s"), cycle, deep, { a: 10n }];
    for (const value of wrong) assert.throws(() => session.data("p", value), /^\w+: data: expected /);
    assert.throws(() => session.command(undefined), /command: expected a string, found undefined/);
    assert.throws(() => session.command(10n), /command: expected a string, found bigint 10/);
    assert.throws(() => session.resize(NaN, 24), /width: expected an integer from 0 to 65535/);
    const value = { a: [1] };
    session.data("p", value);
    value.a.push(2);
    sockets[0].ends();
    const said = { t: "data", c: 1, p: "p", d: { a: [1] } };
    assert.deepEqual(sockets[0].said.slice(1), [said]);
    assert.deepEqual(session._kept.pending, [said]); // what was said, not what became of it
  },

  async "a listener that throws"() {
    const { session, sockets, welcome, retry } = await begin();
    const errors = [];
    const texts = [];
    session.on("error", ({ error, event }) => errors.push([event, error.message]));
    session.on("text", () => {
      throw new Error("in a text");
    });
    session.on("text", ({ d }) => texts.push(d));
    session.on("state", ({ name }) => {
      throw new Error(name);
    });
    welcome();
    sockets[0].hears({ t: "text", n: 1, d: "one" });
    sockets[0].ends();
    retry();
    assert.equal(sockets.length, 2);
    welcome({ ...WELCOME, t: "resumed", from: 2, to: 2, cin: 0 });
    assert.equal(session.state.name, "online");
    assert.deepEqual(texts, ["one"]);
    const states = ["online", "offline", "connecting", "online"];
    assert.deepEqual(errors.toSpliced(1, 1), states.map((name) => ["state", name]));
    assert.deepEqual(errors[1], ["text", "in a text"]);
  },

  async "a listener that throws where nobody listens to errors"() {
    const { session, welcome } = await begin();
    const told = [];
    console.error = (error) => told.push(error.message);
    session.on("state", () => {
      throw new Error("mine");
    });
    welcome();
    globalThis.reportError = (error) => told.push(`reported ${error.message}`);
    session.close();
    assert.deepEqual(told, ["mine", "reported mine"]);
  },

  async "pauses grow until a connection has lasted"() {
    const { session, sockets, clock, welcome, retry } = await begin();
    Math.random = () => 1;
    const pauses = [];
    const lasts = [0, 0, 9_900, 10_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let resumed = WELCOME;
    for (const ms of lasts) {
      welcome(resumed);
      resumed = { ...WELCOME, t: "resumed", from: 1, to: 0, cin: 0 };
      clock.advance(ms);
      sockets.at(-1).ends();
      pauses.push(session.state.retryMs);
      retry();
    }
    assert.deepEqual(
      pauses,
      [100, 200, 400, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000],
    );
  },

  async "pauses double in each round of several addresses"() {
    const { session, sockets, retry } = await begin({ url: ["ws://a/", "ws://b/"] });
    Math.random = () => 1;
    const pauses = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      sockets.at(-1).ends();
      pauses.push(session.state.retryMs);
      retry();
    }
    assert.deepEqual(pauses, [100, 141, 200, 283, 400]);
  },

  async "times that are longer than a timer has"() {
    const { session, sockets, welcome, clock } = await begin();
    const longest = [];
    const { setTimeout, setInterval } = globalThis;
    globalThis.setTimeout = (action, ms) => (longest.push(ms), setTimeout(action, ms));
    globalThis.setInterval = (action, ms) => (longest.push(ms), setInterval(action, ms));
    welcome({ ...WELCOME, heartbeat: 1e9 });
    sockets[0].hears({ t: "bye", code: 1012, reason: "shutdown", text: "", retry_ms: 1e12 });
    sockets[0].ends(1012);
    assert.equal(session.state.retryMs, 3_600_000);
    assert.ok(Math.max(...longest) < 2 ** 31, String(longest));
    clock.advance(3_600_000);
    assert.equal(sockets.length, 2);
  },

  async "the first beat comes after a random part of the heartbeat"() {
    const { random } = Math;
    for (const part of [0, 0.5]) {
      const { sockets, welcome, clock } = await begin();
      Math.random = () => part;
      welcome({ ...WELCOME, heartbeat: 30 });
      Math.random = random;
      const pings = () => sockets[0].said.filter(({ t }) => t === "ping").length;
      const first = 3000 + part * 27_000;
      clock.advance(first - 1);
      assert.equal(pings(), 0);
      clock.advance(1);
      assert.equal(pings(), 1);
      clock.advance(29_999);
      assert.equal(pings(), 1, "the next one after the whole");
      clock.advance(1);
      assert.equal(pings(), 2);
    }
  },

  async "a full storage keeps no older token"() {
    const storage = new Storage();
    const { session, sockets, welcome, retry } = await begin({ storage });
    welcome();
    session.command("x".repeat(500));
    const kept = () => JSON.parse(storage.getItem(KEY) ?? "null");
    assert.equal(kept().pending.length, 1);
    storage.room = 200; // for the session, but not for what waits
    sockets[0].ends();
    retry();
    welcome({ ...WELCOME, t: "resumed", token: "t2", from: 1, to: 0, cin: 0 });
    assert.deepEqual([kept().token, kept().pending, kept().sent], ["t2", [], 0]);
    storage.room = 10; // for nothing
    sockets[1].ends();
    retry();
    welcome({ ...WELCOME, t: "resumed", token: "t3", from: 1, to: 0, cin: 0 });
    assert.equal(kept(), null);
    storage.room = Infinity;
    session.command("y");
    assert.deepEqual([kept().token, kept().pending.length], ["t3", 2]);
  },

  async "a storage that holds what is not ours"() {
    for (const text of ["{", "[]", "7", '{"pending":7}', '{"pending":[null]}', '{"token":7}']) {
      const storage = new Storage();
      storage.setItem(KEY, text);
      const { sockets, welcome } = await begin({ storage });
      welcome();
      assert.equal(sockets[0].said[0].token, undefined, text);
    }
  },

  async "the page holds no session that has ended"() {
    const heard = new Map();
    const channels = [];
    globalThis.addEventListener = (type, listener) => heard.set(type, listener);
    globalThis.removeEventListener = (type, listener) => {
      assert.equal(heard.get(type), listener);
      heard.delete(type);
    };
    globalThis.document = globalThis;
    globalThis.sessionStorage = new Storage();
    globalThis.BroadcastChannel = class {
      constructor() {
        channels.push(this);
      }
      postMessage() {
        assert.ok(!this.closed, "a channel that is closed is told nothing");
      }
      close() {
        this.closed = true;
      }
    };
    const kept = { sid: "S", token: "t", epoch: "E", last: 1, sent: 0, attempts: 1, pending: [] };
    sessionStorage.setItem(KEY, JSON.stringify(kept));
    const { session } = await begin({ storage: undefined });
    assert.deepEqual([...heard.keys()], ["online", "visibilitychange", "pageshow"]);
    session.close();
    assert.equal(heard.size, 0);
    assert.deepEqual(channels.map(({ closed }) => closed), [true]);
    await null;
  },

  async "back from the page cache"() {
    const listeners = {};
    globalThis.addEventListener = (name, listener) => (listeners[name] = listener);
    const storage = new Storage();
    const { session, sockets, welcome } = await begin({ storage });
    welcome();
    sockets[0].hears({ t: "text", n: 1, d: "one" });
    session.command("a");
    // The next page of the tab goes on with the session, and says and sees more.
    const next = JSON.parse(storage.getItem(KEY));
    Object.assign(next, { token: "t5", attempts: 4, last: 9, sent: 3, pending: [] });
    storage.setItem(KEY, JSON.stringify(next));
    listeners.pageshow({ persisted: false });
    assert.equal(sockets.length, 1);
    listeners.pageshow({ persisted: true });
    assert.equal(sockets.length, 2);
    sockets[1].opens();
    const place = { token: "t5", epoch: "E", last: 1, acked: 3 };
    assert.deepEqual(sockets[1].said, [{ t: "hello", client: "holdfast.js", try: 5, ...place }]);
    sockets[1].hears({ ...WELCOME, t: "resumed", token: "t6", from: 2, to: 9, cin: 3 });
    session.command("b");
    assert.deepEqual(sockets[1].said[1], { t: "cmd", c: 4, d: "b" });
  },

  async "back from the page cache, where the tab has another session by now"() {
    const storage = new Storage();
    const { session, sockets, welcome, retry } = await begin({ storage });
    welcome();
    sockets[0].hears({ t: "text", n: 1, d: "one" });
    const other = { sid: "S2", token: "u1", epoch: "G", last: 9, sent: 2, attempts: 4, pending: [] };
    storage.setItem(KEY, JSON.stringify(other));
    sockets[0].ends();
    retry();
    sockets[1].opens();
    const hello = { t: "hello", client: "holdfast.js", try: 5, token: "u1", acked: 2 };
    assert.deepEqual(sockets[1].said, [hello]);
    assert.equal(session.sid, "S2");
  },

  async "several addresses are tried in a random order that is kept"() {
    const url = ["a", "b", "c"].map((name) => `ws://${name}/`);
    const orders = new Set();
    for (let run = 0; run < 50; run++) {
      const { session, sockets, retry } = await begin({ url });
      for (let tries = 0; tries < 6; tries++) {
        sockets.at(-1).ends();
        retry();
      }
      const tried = sockets.map((socket) => socket.url);
      assert.deepEqual(tried.slice(0, 3).sort(), url);
      assert.deepEqual(tried.slice(3, 6), tried.slice(0, 3));
      orders.add(tried.slice(0, 3).join());
      session.close();
    }
    assert.ok(orders.size > 1);
    await assert.rejects(begin({ url: [] }), /expected at least one address, found none/);
  },

  async "a lost connection is made again to the same address, after a goodbye of a gateway to another"() {
    const { sockets, welcome, retry } = await begin({ url: ["ws://a/", "ws://b/"] });
    const [first, other] = sockets[0].url === "ws://a/" ? ["ws://a/", "ws://b/"] : ["ws://b/", "ws://a/"];
    welcome();
    sockets[0].ends();
    retry();
    assert.equal(sockets[1].url, first);
    sockets[1].opens();
    sockets[1].hears({ t: "refused", reason: "later", retry_ms: 500 });
    retry();
    assert.equal(sockets[2].url, other);
    welcome({ ...WELCOME, t: "resumed", from: 1, to: 0, cin: 0 });
    const bye = { t: "bye", code: 1012, reason: "shutdown", text: "restarting", retry_ms: 100 };
    sockets[2].hears(bye);
    sockets[2].ends(1012);
    retry();
    assert.equal(sockets[3].url, first);
    welcome({ ...WELCOME, t: "resumed", from: 1, to: 0, cin: 0 });
    sockets[3].hears({ ...bye, code: 4501, reason: "slow_consumer" });
    sockets[3].ends(4501);
    retry();
    assert.equal(sockets[4].url, first);
  },

  async "after a goodbye for a reason of one gateway, the next address is dialled"() {
    const reasons = { shutdown: 1, crowded: 1, internal_error: 1, elsewhere: 1, flood: 0, kicked: 0 };
    for (const [reason, moves] of Object.entries(reasons)) {
      const { session, sockets, welcome, retry } = await begin({ url: ["ws://a/", "ws://b/"] });
      welcome();
      sockets[0].hears({ t: "bye", code: 1012, reason, text: "", retry_ms: 100 });
      sockets[0].ends(1012);
      retry();
      assert.equal(sockets[1].url !== sockets[0].url, Boolean(moves), reason);
      session.close();
    }
  },

  async "a page that is loaded anew begins at the address that had its session"() {
    const storage = new Storage();
    const url = ["ws://a/", "ws://b/", "ws://c/"];
    const before = await begin({ url, storage, key: undefined });
    before.welcome();
    before.session.close();
    for (let run = 0; run < 20; run++) {
      const { session, sockets } = await begin({ url: [...url].reverse(), storage, key: undefined });
      assert.equal(session.sid, "S");
      assert.equal(sockets[0].url, before.sockets[0].url);
      session.close();
    }
    forget([url[1], url[0], url[2]], { storage });
    assert.equal(storage.items.size, 0);
  },

  async "each of several addresses is tried with streams, too"() {
    for (const names of [["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]]) {
      const posts = [];
      globalThis.fetch = async (address) => {
        posts.push(new URL(address).host);
        throw new TypeError("blocked");
      };
      const blocked = fakeSockets();
      globalThis.WebSocket = blocked.Socket;
      const url = names.map((name) => `ws://${name}/`);
      const { clock, session } = await begin({ url, WebSocket: undefined });
      const tries = 2 * (Math.max(2, names.length) + names.length); // twice around
      while (blocked.sockets.length + posts.length < tries) {
        if (blocked.sockets.at(-1).readyState === 0) blocked.sockets.at(-1).ends();
        await settled();
        clock.advance(session.state.retryMs);
      }
      session.close();
      assert.deepEqual([...posts].sort(), [...names, ...names].sort());
      const hosts = blocked.sockets.map((socket) => new URL(socket.url).host);
      assert.deepEqual([...new Set(hosts)].sort(), names);
    }
  },

  async "a stream that is closed sends first what it was given, as a WebSocket does"() {
    const { sockets, Socket } = fakeStreams(EventStream);
    const { clock, session } = await begin({ WebSocket: Socket });
    await settled();
    sockets[0].opens();
    await settled();
    sockets[0].hears(WELCOME);
    await settled();
    session.command("look");
    session.close();
    await settled();
    assert.deepEqual(sockets[0].said.at(-1), { t: "cmd", c: 1, d: "look" });
    assert.equal(sockets[0].readyState, 3);
    assert.equal(clock.timers.size, 0);
  },

  async "a stream whose request hangs is closed all the same"() {
    const { sockets, Socket } = fakeStreams(EventStream);
    const { clock, session } = await begin({ WebSocket: Socket });
    const heard = [];
    session.on("text", ({ d }) => heard.push(d));
    await settled();
    sockets[0].opens();
    await settled();
    sockets[0].hears(WELCOME);
    await settled();
    globalThis.fetch = () => new Promise(() => {});
    session.command("look");
    await settled();
    session.close();
    sockets[0].hears({ t: "text", n: 1, d: "too late" });
    for (let turns = 0; turns < 3; turns++) await settled();
    assert.equal(sockets[0].readyState, 2);
    assert.deepEqual(heard, []);
    clock.advance(5_000);
    assert.equal(sockets[0].readyState, 3);
  },
};

await CASES[process.argv[3]]();
console.log("ok");
