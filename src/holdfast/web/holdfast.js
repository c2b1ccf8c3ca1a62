// @ts-check
/**
 * A client for Holdfast's WebSocket sub-protocol `holdfast.v1`, for browsers and for Node.
 *
 *     import { Session } from "/holdfast.js";
 *
 *     const session = new Session("ws://127.0.0.1:8080/");
 *     session.on("text", (message) => console.log(message.d));
 *     session.on("state", (state) => console.log(state.name));
 *     session.command("look");
 *
 * It reconnects and resumes by itself: outputs come once and in order, commands
 * are sent until the gateway has them and done once. Across a reload of the page
 * the session stays (in `sessionStorage`); the page then begins afresh (`began`).
 * A tab that is duplicated gets a session of its own.
 *
 * @module
 */

/**
 * @typedef {"offline" | "connecting" | "online" | "ended"} StateName
 * @typedef {{name: StateName, reason: string, retryMs: number}} State
 *   `retryMs` is how long it waits before it tries again.
 * @typedef {[start: number, length: number, style: string]} Span
 *   Counted in characters (code points), not in UTF-16 units.
 * @typedef {{t: "text", n: number, d: string}} TextMessage
 * @typedef {{t: "formatted", n: number, d: string, s: Span[]}} FormattedMessage
 * @typedef {{t: "data", n: number, p: string, d: unknown}} DataMessage
 * @typedef {{t: "binary", n: number, d: string}} BinaryMessage Bytes, in base64.
 * @typedef {{t: "prompt", n: number, d: string}} PromptMessage
 * @typedef {{t: "notice", n?: number, d: string}} NoticeMessage
 * @typedef {{t: "mode", d: "line" | "key" | "secret"}} ModeMessage
 * @typedef {{t: "login", error?: string, retry_ms?: number}} LoginMessage
 * @typedef {{t: "profiles", d: {id: string, name: string, summary?: string}[], error?: string}}
 *   ProfilesMessage
 * @typedef {{t: "offer", d: string}} OfferMessage
 * @typedef {{t: "code", d: string}} CodeMessage
 * @typedef {{t: "refused", reason: string}} RefusedMessage
 * @typedef {{t: "bye", code: number, reason: string, text: string, retry_ms: number}} ByeMessage
 * @typedef {{reason: string}} Began Why what was shown so far is no longer the whole.
 * @typedef {{
 *   text: TextMessage, formatted: FormattedMessage, data: DataMessage, binary: BinaryMessage,
 *   prompt: PromptMessage, notice: NoticeMessage, mode: ModeMessage, login: LoginMessage,
 *   profiles: ProfilesMessage, offer: OfferMessage, code: CodeMessage, refused: RefusedMessage, bye: ByeMessage,
 *   began: Began, state: State
 * }} Events
 * @typedef {{getItem(key: string): string | null, setItem(key: string, value: string): void}} Storage
 * @typedef {{t: string, c: number, [field: string]: unknown}} Command
 * @typedef {{sid: string, token: string, epoch: string, last: number, sent: number,
 *   attempts: number, pending: Command[]}} Kept
 */

const SUBPROTOCOL = "holdfast.v1";
const ACK_EACH = 32;
const ACK_MS = 1000;
const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 10_000;
const OPEN_MS_MAX = 10_000;
const UNANSWERED_MAX = 2;
// Commands that are sent before the first of them is acknowledged, and commands that may wait.
const IN_FLIGHT_MAX = 128;
const PENDING_MAX = 1000;
const OUTPUTS = new Set(["text", "formatted", "data", "binary", "prompt", "notice"]);
const RETURNING_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014]);
const SUPERSEDED = "superseded";
const RECONNECT_CODE_MIN = 4500;
// How long another tab has to say that a session is its own, and before it is asked once more.
const ANSWER_MS_MAX = 100;
const ASK_AGAIN_MS = 300;

/** One session, over any number of connections. */
export class Session {
  /**
   * @param {string} url Where the gateway is: `ws:` or `wss:`.
   * @param {{storage?: Storage | null, key?: string, client?: string,
   *   WebSocket?: typeof WebSocket}} [options]
   *   `storage` keeps the session over a reload; the default is `sessionStorage`, `null` keeps
   *   nothing. A `storage` of your own is for one session at a time. `key` tells several
   *   sessions of one page apart.
   */
  constructor(url, options = {}) {
    this._url = url;
    this._key = `holdfast:${options.key ?? url}`;
    this._storage = options.storage === undefined ? defaultStorage() : options.storage;
    this._client = options.client ?? "holdfast.js";
    this._WebSocket = options.WebSocket ?? WebSocket;
    /** @type {Map<string, Set<(message: any) => void>>} */
    this._listeners = new Map();
    /** @type {Kept} */
    this._kept = this._load();
    /** @type {WebSocket | null} */
    this._socket = null;
    /** @type {State} */
    this._state = { name: "offline", reason: "", retryMs: 0 };
    this._fresh = true; // nothing of this session is on the screen
    this._acked = 0;
    this._given = 0; // the newest command that was sent on this connection
    this._quitting = false;
    this._hasQuit = false; // on this connection
    this._code = "";
    this._size = {};
    this._pause = FIRST_PAUSE_MS;
    this._unanswered = 0; // beats since anything was heard
    this._goodbye = /** @type {ByeMessage | null} */ (null);
    this._timers = { retry: 0, ack: 0, beat: 0, open: 0, wake: 0 };
    this._onWake = () => this._wake();
    globalThis.addEventListener?.("online", this._onWake);
    globalThis.document?.addEventListener("visibilitychange", this._onWake);
    this._settled = true; // whether it is known whose session it is that was kept
    if (options.storage === undefined && globalThis.document && globalThis.BroadcastChannel) {
      this._settled = false;
      this._settle(new Tabs(this._key, () => (this._live ? this._kept.sid : "")));
    } else {
      queueMicrotask(() => this._connect());
    }
  }

  get _live() {
    return this._settled && this._state.name !== "ended";
  }

  /**
   * What a duplicated tab finds in its storage is a copy: its session is the other tab's.
   * @param {Tabs} tabs
   */
  async _settle(tabs) {
    const { sid, pending } = this._kept;
    const copied = pending.length;
    await null; // who made this session listens to it by then
    if (sid && (await tabs.hold(sid))) {
      this._keep(renumber({ ...this._kept, pending: this._kept.pending.slice(copied) }));
    }
    this._settled = true;
    this._connect();
  }

  /** Whether the session is connected now, and what it waits for otherwise. */
  get state() {
    return this._state;
  }

  /** The session's public id, empty before the first welcome. */
  get sid() {
    return this._kept.sid;
  }

  /**
   * Be told of something. Returns a function that ends it.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(message: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const listeners = this._listeners.get(name) ?? new Set();
    this._listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * Say a line. It is sent until the gateway has it, and done once.
   * @param {string} text
   * @throws {Error} when too many wait already
   */
  command(text) {
    this._number({ t: "cmd", c: 0, d: text });
  }

  /**
   * Send a structured message, as `command` does a line.
   * @param {string} packageName
   * @param {unknown} value
   */
  data(packageName, value) {
    this._number({ t: "data", c: 0, p: packageName, d: value });
  }

  /** Ask for what is running to stop. */
  interrupt() {
    this._number({ t: "interrupt", c: 0 });
  }

  /**
   * Tell the size of the screen, in characters.
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    this._size = { width, height };
    this._say({ t: "resize", width, height });
  }

  /**
   * Answer `login`.
   * @param {string} username
   * @param {string} password
   */
  login(username, password) {
    this._say({ t: "login", username, password });
  }

  /**
   * Answer `profiles`: choose one by its id, or create one by name.
   * @param {{id?: string, name?: string}} choice
   */
  choose(choice) {
    this._say({ t: "profile", ...choice });
  }

  /** Answer `offer`: take up the other session. */
  takeOffer() {
    this._say({ t: "resume" });
  }

  /**
   * Leave this session for the one with this resume code, as a Telnet client was shown it.
   * If the code is refused, this session goes on.
   * @param {string} code
   */
  resume(code) {
    this._code = code;
    this._reconnect();
  }

  /** Ask for a resume code, to go on at another client; it comes as `code`. */
  askCode() {
    this._say({ t: "code" });
  }

  /**
   * End the session for good, behind what was said before. Without a connection, it ends on
   * the next one; a page that is closed or loaded anew before that leaves it as it is.
   */
  quit() {
    this._quitting = this._state.name !== "ended";
    this._fill();
  }

  /**
   * Whether `quit` was said, and the session is not known to have ended: if the page is closed
   * now, the session waits for its client as long as the gateway keeps it.
   */
  get quitting() {
    return this._quitting;
  }

  /** Leave: the session waits for its client as long as the gateway keeps it. */
  close() {
    this._end("closed by this page");
    this._socket?.close(1000);
  }

  // --- connections

  _connect() {
    if (this._state.name === "ended" || this._socket || !this._settled) return;
    clearTimeout(this._timers.retry);
    this._goodbye = null;
    this._setState("connecting", "", 0);
    let socket;
    try {
      socket = new this._WebSocket(this._url, [SUBPROTOCOL]);
    } catch (error) {
      this._end(String(error));
      return;
    }
    this._socket = socket;
    // A dial that hangs (a phone between two networks) is given up, and the next one may succeed.
    this._timers.open = later(OPEN_MS_MAX, () => this._drop(socket, "no answer"));
    socket.onopen = () => {
      if (this._socket === socket) this._hello();
    };
    socket.onmessage = (event) => {
      if (this._socket === socket) this._receive(String(event.data));
    };
    socket.onclose = (event) => this._closed(socket, event.code, event.reason);
  }

  _hello() {
    const { token, epoch, last } = this._kept;
    this._kept.attempts++;
    this._save();
    /** @type {Record<string, unknown>} */
    const hello = { t: "hello", client: this._client, try: this._kept.attempts, ...this._size };
    if (this._code) hello.code = this._code;
    else if (token) Object.assign(hello, { token }, this._fresh ? {} : { epoch, last });
    this._write(hello);
  }

  /**
   * @param {WebSocket} socket
   * @param {string} reason
   */
  _drop(socket, reason) {
    socket.close();
    this._closed(socket, 1006, reason);
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   */
  _closed(socket, code, reason) {
    if (this._socket !== socket) return;
    this._socket = null;
    clearTimeout(this._timers.open);
    clearTimeout(this._timers.ack);
    clearTimeout(this._timers.wake);
    clearInterval(this._timers.beat);
    this._timers.ack = 0;
    if (this._state.name === "ended") return;
    const bye = this._goodbye;
    const why = bye?.text || reason || "the connection was lost";
    const returns = bye
      ? bye.retry_ms >= 0
      : RETURNING_CODES.has(code) || code >= RECONNECT_CODE_MIN;
    if (!returns) {
      this._end(why);
      return;
    }
    const pause = this._pause / 2 + (Math.random() * this._pause) / 2;
    const retryMs = Math.round(Math.max(bye?.retry_ms ?? 0, pause));
    this._pause = Math.min(2 * this._pause, PAUSE_MS_MAX);
    this._setState("offline", why, retryMs);
    this._timers.retry = later(retryMs, () => this._connect());
  }

  /** The network or the page is back: do not wait for the pause, or the silence, to end. */
  _wake() {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this._state.name === "offline") {
      this._pause = FIRST_PAUSE_MS;
      this._connect();
    } else if (this._state.name === "online") {
      this._ping();
      clearTimeout(this._timers.wake);
      this._timers.wake = later(OPEN_MS_MAX, () => this._giveUp());
    }
  }

  _reconnect() {
    if (this._state.name === "ended") this._setState("offline", "", 0);
    const socket = this._socket;
    this._pause = FIRST_PAUSE_MS;
    if (socket) this._drop(socket, "to resume another session");
    clearTimeout(this._timers.retry);
    this._connect();
  }

  /** @param {string} reason */
  _end(reason) {
    clearTimeout(this._timers.retry);
    this._setState("ended", reason, 0);
  }

  // --- what comes

  /**
   * The gateway broke the protocol: a new connection sets it right.
   * @param {string} reason
   */
  _fault(reason) {
    if (this._socket) this._drop(this._socket, reason);
  }

  /** @param {string} text */
  _receive(text) {
    this._unanswered = 0;
    clearTimeout(this._timers.wake);
    const message = read(text);
    if (!message) {
      this._fault("the gateway sent a malformed message");
      return;
    }
    if (OUTPUTS.has(message.t)) {
      this._output(message);
      return;
    }
    switch (message.t) {
      case "welcome":
      case "resumed":
      case "reset":
        this._enter(message);
        break;
      case "ack":
        if (message.c <= this._kept.sent) {
          this._forget(message.c);
          this._fill();
        } else {
          this._fault(`command ${message.c} is acknowledged; ${this._kept.sent} were said`);
        }
        break;
      case "resend":
        this._given = message.c - 1;
        this._fill();
        break;
      case "token":
        this._keep({ ...this._kept, token: message.d });
        break;
      case "skip":
        if (message.n > this._kept.last) this._seen(message.n);
        else this._fault(`a skip to ${message.n} came after output ${this._kept.last}`);
        break;
      case "refused":
        this._refused(message);
        break;
      case "bye":
        this._leave(message);
        break;
      case "pong":
        break;
      default:
        this._emit(message.t, message);
    }
  }

  /** @param {any} message */
  _enter(message) {
    const isNew = message.t === "welcome";
    const before = this._kept;
    const isOther = message.sid !== before.sid;
    const expected = before.last + 1;
    if (message.t === "resumed" && !this._fresh && !isOther && message.from !== expected) {
      this._fault(`resumed from ${message.from}; expected ${expected}`);
      return;
    }
    const kept = isNew ? renumber(before) : isOther ? empty(before.attempts) : { ...before };
    Object.assign(kept, { sid: message.sid, token: message.token, epoch: message.epoch });
    const cin = isNew ? 0 : message.cin;
    if (isNew) kept.last = message.seq;
    else if (message.t === "reset") kept.last = message.top;
    else kept.last = message.from - 1;
    kept.sent = Math.max(kept.sent, cin);
    kept.pending = kept.pending.filter((command) => command.c > cin);
    this._keep(kept);
    this._acked = kept.last;
    this._code = "";
    this._fresh = false;
    this._pause = FIRST_PAUSE_MS;
    clearTimeout(this._timers.open);
    this._startHeart(message.heartbeat);
    if (message.t === "reset") this._emit("began", { reason: message.reason });
    this._given = 0;
    this._hasQuit = false;
    if (isOther && !isNew) this._quitting = false; // that was said to the other one
    this._setState("online", "", 0);
    this._fill();
  }

  /**
   * The code is wrong: go on as before. Or the session is gone: begin a new one, or, if it was
   * to end, none.
   * @param {RefusedMessage} message
   */
  _refused(message) {
    const isCode = this._code !== "";
    this._code = "";
    if (!isCode && this._quitting) {
      this._quitting = false;
      this._keep(empty(this._kept.attempts));
      this._emit("refused", message);
      this._end("your session had ended already");
      this._socket?.close(1000);
      return;
    }
    if (!isCode) {
      this._keep(renumber(this._kept));
      this._fresh = true;
    }
    this._emit("refused", message);
    if (!isCode) this._emit("began", { reason: "expired" });
    this._hello();
  }

  /** @param {ByeMessage} message */
  _leave(message) {
    this._goodbye = message;
    if (message.reason === SUPERSEDED) {
      // The token is another's now: shown again, it would be taken for a stolen one.
      this._quitting = false;
      this._keep(empty(this._kept.attempts));
    } else if (this._quitting && message.retry_ms < 0) {
      this._quitting = false;
      this._keep({ ...this._kept, pending: [] }); // it was said to this session, and no other
    }
    this._emit("bye", message);
  }

  /** @param {any} message */
  _output(message) {
    const { n } = message;
    if (n !== undefined) {
      if (n !== this._kept.last + 1) {
        this._fault(`output ${n} came after ${this._kept.last}`);
        return;
      }
      this._seen(n);
    }
    this._emit(message.t, message);
  }

  /** @param {number} n */
  _seen(n) {
    this._kept.last = n;
    if (n - this._acked >= ACK_EACH) this._acknowledge();
    else if (!this._timers.ack) this._timers.ack = later(ACK_MS, () => this._acknowledge());
  }

  _acknowledge() {
    clearTimeout(this._timers.ack);
    this._timers.ack = 0;
    this._acked = this._kept.last;
    this._say({ t: "ack", n: this._acked });
  }

  /** @param {number} c */
  _forget(c) {
    const { pending } = this._kept;
    while (pending.length && pending[0].c <= c) pending.shift();
    this._save();
  }

  // --- what goes

  /** @param {Command} command */
  _number(command) {
    if (this._kept.pending.length >= PENDING_MAX) {
      throw new Error(`${PENDING_MAX} commands wait for the gateway; no more are taken`);
    }
    command.c = ++this._kept.sent;
    this._kept.pending.push(command);
    this._save();
    this._fill();
  }

  // Sends the commands whose turn it is: who was away for long is no flood when it is back.
  // Behind the last of them goes the end of the session.
  _fill() {
    if (this._state.name !== "online") return;
    for (const command of this._kept.pending.slice(0, IN_FLIGHT_MAX)) {
      if (command.c <= this._given) continue;
      this._given = command.c;
      this._write(command);
    }
    const last = this._kept.pending.at(-1)?.c ?? 0;
    if (this._quitting && !this._hasQuit && last <= this._given) {
      this._hasQuit = true;
      this._write({ t: "quit" });
    }
  }

  /** @param {object} message */
  _say(message) {
    if (this._state.name === "online") this._write(message);
  }

  /** @param {object} message */
  _write(message) {
    if (this._socket?.readyState === 1) this._socket.send(JSON.stringify(message));
  }

  /** @param {number} seconds */
  _startHeart(seconds) {
    clearInterval(this._timers.beat);
    this._unanswered = 0;
    this._timers.beat = Number(setInterval(() => this._beat(), seconds * 1000));
  }

  // Beats are counted, and not seconds: a page in the background has its timers a minute apart.
  _beat() {
    if (++this._unanswered > UNANSWERED_MAX) this._giveUp();
    else this._ping();
  }

  _ping() {
    this._acked = this._kept.last;
    this._say({ t: "ping", n: this._acked });
  }

  _giveUp() {
    if (this._socket) this._drop(this._socket, "the gateway is silent");
  }

  // --- what is kept

  /** @returns {Kept} */
  _load() {
    try {
      const text = this._storage?.getItem(this._key);
      if (text) return { ...empty(0), ...JSON.parse(text) };
    } catch {
      // A storage that is blocked, or holds what is not ours, keeps nothing.
    }
    return empty(0);
  }

  /** @param {Kept} kept */
  _keep(kept) {
    this._kept = kept;
    this._save();
  }

  _save() {
    try {
      this._storage?.setItem(this._key, JSON.stringify(this._kept));
    } catch {
      // Full or blocked: the session lives as long as the page.
    }
  }

  /**
   * @param {StateName} name
   * @param {string} reason
   * @param {number} retryMs
   */
  _setState(name, reason, retryMs) {
    this._state = { name, reason, retryMs };
    this._emit("state", this._state);
  }

  /**
   * @param {string} name
   * @param {unknown} message
   */
  _emit(name, message) {
    for (const listener of this._listeners.get(name) ?? []) listener(message);
  }
}

/**
 * The tabs of this browser that show this page: each answers for the session that it has.
 * A tab that is closed or loaded anew answers no more.
 */
class Tabs {
  /**
   * @param {string} name
   * @param {() => string} own The `sid` of this tab's session.
   */
  constructor(name, own) {
    this._channel = new BroadcastChannel(name);
    this._held = ""; // the newest session that another tab has called its own
    this._channel.onmessage = ({ data: { asked, held } }) => {
      if (held) this._held = held;
      else if (asked && asked === own()) this._channel.postMessage({ held: asked });
    };
  }

  /**
   * Whether another tab has this session, and goes on having it: one that is just being loaded
   * anew may still have answered.
   * @param {string} sid
   */
  async hold(sid) {
    if (!(await this._ask(sid))) return false;
    await new Promise((done) => later(ASK_AGAIN_MS, () => done(null)));
    return this._ask(sid);
  }

  /**
   * @param {string} sid
   * @returns {Promise<boolean>}
   */
  _ask(sid) {
    this._held = "";
    this._channel.postMessage({ asked: sid });
    return new Promise((done) => later(ANSWER_MS_MAX, () => done(this._held === sid)));
  }
}

/**
 * @param {number} attempts
 * @returns {Kept}
 */
function empty(attempts) {
  return { sid: "", token: "", epoch: "", last: 0, sent: 0, attempts, pending: [] };
}

/**
 * For a new session: what was said in vain in the one that is gone.
 * @param {Kept} kept
 * @returns {Kept}
 */
function renumber({ pending, attempts }) {
  const again = pending.map((command, index) => ({ ...command, c: index + 1 }));
  return { ...empty(attempts), pending: again, sent: again.length };
}

/** @typedef {(value: unknown) => boolean} Check */
/** @type {Check} */
const isText = (value) => typeof value === "string";
/** @type {Check} */
const isCount = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
/** @type {Check} */
const isNumber = (value) => Number.isSafeInteger(value);
/** @type {Check} */
const isSeconds = (value) => typeof value === "number" && value > 0;
/** @type {Check} */
const isThere = (value) => value !== undefined;
/** @type {(check: Check) => Check} */
const maybe = (check) => (value) => value === undefined || check(value);

const ENTRANCE = { sid: isText, token: isText, epoch: isText, heartbeat: isSeconds };
// The messages of the gateway and what they must carry.
const MESSAGES = new Map(
  Object.entries(/** @type {Record<string, Record<string, Check>>} */ ({
    welcome: { ...ENTRANCE, seq: isCount },
    resumed: { ...ENTRANCE, from: isCount, to: isCount, cin: isCount },
    reset: { ...ENTRANCE, reason: isText, top: isCount, cin: isCount },
    token: { d: isText },
    refused: { reason: isText },
    text: { n: isCount, d: isText },
    formatted: { n: isCount, d: isText, s: Array.isArray },
    data: { n: isCount, p: isText, d: isThere },
    binary: { n: isCount, d: isText },
    prompt: { n: isCount, d: isText },
    notice: { n: maybe(isCount), d: isText },
    skip: { n: isCount },
    ack: { c: isCount },
    resend: { c: isCount },
    pong: {},
    mode: { d: isText },
    login: { error: maybe(isText), retry_ms: maybe(isNumber) },
    profiles: { d: Array.isArray, error: maybe(isText) },
    offer: { d: isText },
    code: { d: isText },
    bye: { code: isNumber, reason: isText, text: isText, retry_ms: isNumber },
  })),
);

/**
 * @param {string} text
 * @returns {any} The message in it, or `null` if it is none of the gateway's.
 */
function read(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  const fields = Object.entries(MESSAGES.get(message?.t) ?? { t: () => false });
  return fields.every(([name, holds]) => holds(message?.[name])) ? message : null;
}

/**
 * @param {number} ms
 * @param {() => void} action
 */
function later(ms, action) {
  return Number(setTimeout(action, ms));
}

/** @returns {Storage | null} */
function defaultStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // a page without an origin may not even look
  }
}
