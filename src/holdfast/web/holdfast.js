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
 * It reconnects and resumes by itself: outputs arrive once and in order; commands are sent
 * until the gateway acknowledges them, and run once. A call throws for a command that could
 * never be sent. Commands of a session that has ended are returned by the event `dropped`. The
 * session survives a reload of the page (in `sessionStorage`); the page then starts with an empty
 * screen (`began`). A duplicated tab gets its own session. Where the network lets no WebSocket
 * through, it uses an `EventStream`.
 *
 * Where the gateway wants to know who the user is, give it the `user`, whose session is kept apart
 * from those of others in the same tab, and `token`, which gives a JSON Web Token when it is called:
 *
 *     const session = new Session("/live", {
 *       user: "anna",
 *       token: async () => (await fetch("/session/token")).text(),
 *     });
 *
 * @module
 */

/**
 * @typedef {"offline" | "connecting" | "online" | "ended"} StateName
 * @typedef {{name: StateName, reason: string, retryMs: number}} State
 *   `retryMs` is the time until the next attempt.
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
 * @typedef {{t: "auth", error?: string, left_ms?: number}} AuthMessage
 * @typedef {() => string | Promise<string>} GiveToken
 * @typedef {{t: "profiles", d: {id: string, name: string, summary?: string}[], error?: string}}
 *   ProfilesMessage
 * @typedef {{t: "offer", d: string}} OfferMessage
 * @typedef {{t: "code", d: string}} CodeMessage
 * @typedef {{t: "refused", reason: string, retry_ms?: number}} RefusedMessage
 * @typedef {{t: "bye", code: number, reason: string, text: string, retry_ms: number}} ByeMessage
 * @typedef {{reason: string}} Began Why the output so far is incomplete.
 * @typedef {{from: number, to: number}} Resumed The numbers of the outputs that were missed, which
 *   come now; none if `to` is less.
 * @typedef {{reason: "gone" | "left" | "superseded" | "refused", commands: Command[]}} Dropped
 *   Commands that are not sent again, oldest first: their session has ended (`gone`), was left for
 *   another one (`left`), or belongs to another client now (`superseded`), or the gateway does not
 *   accept them (`refused`). Those that were sent before may have run; the others have not.
 * @typedef {{first: number, last: number}} Uncertain
 *   The gateway's store was restored from an earlier state: it has lost these commands, which
 *   it had acknowledged. They may have run or not; they are not sent again.
 * @typedef {{error: unknown, event: string}} Failure The error that a listener of `event` has thrown.
 * @typedef {{
 *   text: TextMessage, formatted: FormattedMessage, data: DataMessage, binary: BinaryMessage,
 *   prompt: PromptMessage, notice: NoticeMessage, mode: ModeMessage, login: LoginMessage,
 *   auth: AuthMessage,
 *   profiles: ProfilesMessage, offer: OfferMessage, code: CodeMessage, refused: RefusedMessage, bye: ByeMessage,
 *   began: Began, resumed: Resumed, dropped: Dropped, uncertain: Uncertain, state: State,
 *   error: Failure
 * }} Events
 * @typedef {{getItem(key: string): string | null, setItem(key: string, value: string): void,
 *   removeItem?(key: string): void}} Storage
 * @typedef {{t: string, c: number, [field: string]: unknown}} Command
 * @typedef {{sid: string, token: string, epoch: string, last: number, sent: number,
 *   attempts: number, pending: Command[], url?: string}} Kept
 *   `url` is the address of several at which the session was last.
 */

const SUBPROTOCOL = "holdfast.v1";
const ACK_EACH = 32;
const ACK_MS = 1000;
const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 10_000;
// After a connection of this duration, the next pause is the first one again.
const LASTED_MS_MIN = 10_000;
// The longest pause that a gateway may ask for, and the longest of a timer.
const ASKED_MS_MAX = 3_600_000;
const TIMER_MS_MAX = 2 ** 31 - 1;
const OPEN_MS_MAX = 10_000;
// WebSockets in a row that do not open before an event stream is tried, or one for each address.
const SOCKETS_MAX = 2;
// How long an event stream that is closed may still send what it was given.
const CLOSE_MS_MAX = 5_000;
// Characters of messages that go in one request, if there are several.
const BATCH_MAX = 16_384;
const UNANSWERED_MAX = 2;
// Commands that are sent before the first of them is acknowledged, and commands that may wait.
const IN_FLIGHT_MAX = 128;
const PENDING_MAX = 1000;
// The largest message for a gateway whose welcome does not name one.
const BYTES_MAX = 65_536;
// A command may get another number, with as many digits.
const NUMBER_DIGITS = 16;
// The depth of arrays and objects in the value of one `data`.
const DEPTH_MAX = 100;
const CHARACTERS_MAX = 65_535;
const NAME_CHARS_MAX = 100;
const TOO_LARGE_CODE = 1009;
const OUTPUTS = new Set(["text", "formatted", "data", "binary", "prompt", "notice"]);
const RETURNING_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014]);
const SUPERSEDED = "superseded";
// Reasons of one gateway, which another one may not have.
const ELSEWHERE = new Set(["shutdown", "crowded", "internal_error", "elsewhere"]);
const RECONNECT_CODE_MIN = 4500;
// Marks a command that is kept in memory only. A symbol is neither sent nor stored.
const SECRET = Symbol("secret");
// The time for another tab to claim a session, and before it is asked again.
const ANSWER_MS_MAX = 100;
const ASK_AGAIN_MS = 300;

/** One session, over any number of connections. */
export class Session {
  /**
   * @param {string | string[]} url The gateway's address: `ws:` or `wss:`. Several are those of
   *   gateways with the same sessions: they are tried in a random order that is kept, and the next
   *   one follows a try that made no session.
   * @param {{storage?: Storage | null, key?: string, user?: string, token?: GiveToken,
   *   client?: string, WebSocket?: typeof WebSocket | typeof EventStream}} [options]
   *   `storage` keeps the session across a reload; the default is `sessionStorage`, `null` keeps
   *   nothing. Another `storage` is for one session at a time. `key` distinguishes several
   *   sessions of one page, `user` those of several users of one tab. `token` is called before each
   *   connection, and when the gateway asks for a newer token. With a `WebSocket`, no other kind of
   *   connection is tried.
   */
  constructor(url, options = {}) {
    this._key = keyOf(url, options);
    this._token = options.token ?? null;
    this._auth = "";
    this._storage = options.storage === undefined ? defaultStorage() : options.storage;
    this._client = checkText("client", options.client ?? "holdfast.js").slice(0, NAME_CHARS_MAX);
    this._WebSocket = options.WebSocket ?? WebSocket;
    this._streams = !options.WebSocket && !!globalThis.fetch; // whether to try event streams
    this._failures = 0; // connections in a row that did not open
    this._entered = false; // whether the present connection has had a session
    this._opened = false; // the present connection
    this._socketsOpen = false; // whether a WebSocket has ever opened
    /** @type {Map<string, Set<(message: any) => void>>} */
    this._listeners = new Map();
    /** @type {Kept} */
    this._kept = this._load();
    this._urls = ordered(url, this._kept.url);
    this._at = 0; // the address of the next connection
    // Connections that try a WebSocket, before as many as there are addresses try a stream.
    this._sockets = Math.max(SOCKETS_MAX, this._urls.length);
    /** @type {WebSocket | EventStream | null} */
    this._socket = null;
    /** @type {State} */
    this._state = { name: "offline", reason: "", retryMs: 0 };
    this._fresh = true; // nothing of this session is on the screen
    this._acked = 0;
    this._given = 0; // the newest command that was sent on this connection
    this._quitting = false;
    this._hasQuit = false; // on this connection
    this._code = "";
    this._bytesMax = BYTES_MAX;
    this._keepSeconds = 0;
    this._size = {};
    this._pause = FIRST_PAUSE_MS;
    this._unanswered = 0; // beats since anything was heard
    this._goodbye = /** @type {ByeMessage | null} */ (null);
    this._timers = { retry: 0, ack: 0, beat: 0, open: 0, wake: 0, lasted: 0 };
    const wake = () => this._wake();
    // A page in the back/forward cache has lost its connection without an event.
    const shown = (/** @type {any} */ event) => {
      if (event.persisted) this._return();
    };
    /** @type {[any, string, (event: any) => void][]} */
    this._hears = [
      [globalThis, "online", wake],
      [globalThis.document, "visibilitychange", wake],
      [globalThis, "pageshow", shown],
    ];
    for (const [target, type, heard] of this._hears) target?.addEventListener?.(type, heard);
    this._tabs = /** @type {Tabs | null} */ (null);
    this._settled = true; // whether it is known whose session it is that was kept
    if (options.storage === undefined && globalThis.document && globalThis.BroadcastChannel) {
      this._settled = false;
      this._tabs = new Tabs(this._key, () => (this._live ? this._kept.sid : ""));
      this._settle(this._tabs);
    } else {
      queueMicrotask(() => this._connect());
    }
  }

  get _live() {
    return this._settled && this._state.name !== "ended";
  }

  /**
   * The storage of a duplicated tab is a copy: the session belongs to the other tab.
   * @param {Tabs} tabs
   */
  async _settle(tabs) {
    const { sid } = this._kept;
    const copied = this._kept.pending.length;
    await null; // who made this session listens to it by then
    if (sid && (await tabs.hold(sid))) {
      const { pending } = this._kept;
      this._keep(numberedFrom(empty(this._kept.attempts), pending.slice(copied), 1));
    }
    this._settled = true;
    this._connect();
  }

  /** Whether the session is connected, or what it waits for. */
  get state() {
    return this._state;
  }

  /** How many seconds the gateway keeps the session without this page; 0 if it has not said so. */
  get keepSeconds() {
    return this._keepSeconds;
  }

  /** The session's public id, empty before the first welcome. */
  get sid() {
    return this._kept.sid;
  }

  /**
   * Listen to an event. Returns a function that removes the listener.
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
   * Send a line. It is sent until the gateway acknowledges it, and runs once. If the session ends
   * before that, the event `dropped` returns it.
   * @param {string} text
   * @param {{secret?: boolean}} [options] `secret`: it is not written to the storage, so a reload
   *   of the page before the acknowledgement loses it, and the commands after it.
   * @throws {TypeError | RangeError} for a text that could never be sent: not a string, with a lone
   *   surrogate, or larger than the gateway accepts. Nothing of it is kept.
   * @throws {Error} when too many commands wait
   */
  command(text, options = {}) {
    const command = { t: "cmd", c: 0, d: checkText("command", text) };
    this._number("command", options.secret ? { ...command, [SECRET]: true } : command);
  }

  /**
   * Send a structured message, like a line with `command`. `value` is copied: later changes have
   * no effect.
   * @param {string} packageName
   * @param {unknown} value A JSON value.
   */
  data(packageName, value) {
    const p = checkText("package", packageName);
    this._number("data", { t: "data", c: 0, p, d: copyOf("data", value) });
  }

  /** Ask to stop the running command. */
  interrupt() {
    this._number("interrupt", { t: "interrupt", c: 0 });
  }

  /**
   * Send the size of the screen, in characters.
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    this._size = { width: checkSize("width", width), height: checkSize("height", height) };
    this._say({ t: "resize", width, height });
  }

  /**
   * Answer `login`.
   * @param {string} username
   * @param {string} password
   */
  login(username, password) {
    checkText("username", username);
    this._answer("login", { t: "login", username, password: checkText("password", password) });
  }

  /**
   * Answer `auth`: give a JSON Web Token, now and on each later connection. The option `token`
   * does so by itself.
   * @param {string} token
   */
  authenticate(token) {
    const message = { t: "auth", token: checkText("token", token) };
    checkBytes("authenticate", message, this._bytesMax);
    this._auth = token;
    this._write(message);
  }

  /**
   * Answer `profiles`: choose one by its id, or create one by name, with properties that its
   * application asks for.
   * @param {{id?: string, name?: string, properties?: Record<string, string>}} choice
   */
  choose(choice) {
    const { id = "", name = "", properties = {} } = choice;
    checkText("id", id);
    for (const [key, value] of Object.entries(properties)) {
      checkText("properties", key);
      checkText("properties", value);
    }
    const message = { t: "profile", id, name: checkText("name", name) };
    this._answer("choose", Object.keys(properties).length ? { ...message, properties } : message);
  }

  /** Answer `offer`: resume the other session. */
  takeOffer() {
    this._say({ t: "resume" });
  }

  /**
   * Leave this session for the one with this resume code, which the other client shows.
   * If the code is refused, this session continues.
   * @param {string} code
   */
  resume(code) {
    checkBytes("code", { t: "hello", code: checkText("code", code) }, this._bytesMax);
    this._code = code;
    this._reconnect("to resume another session");
  }

  /** Ask for a resume code, to resume at another client. The event `code` has it. */
  askCode() {
    this._say({ t: "code" });
  }

  /**
   * End the session for good, after the commands so far. Without a connection, it ends on the
   * next one; if the page is closed or reloaded before that, the session stays.
   */
  quit() {
    this._quitting = this._state.name !== "ended";
    this._fill();
  }

  /**
   * Whether `quit` was called, and the session is not known to have ended. If the page is closed
   * now, the session waits for its client as long as the gateway keeps it.
   */
  get quitting() {
    return this._quitting;
  }

  /** Disconnect. The session waits for its client as long as the gateway keeps it. */
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
    const turn = this._failures % (this._sockets + this._urls.length);
    const isStream = this._streams && turn >= this._sockets;
    const Socket = isStream ? EventStream : this._WebSocket;
    /** @type {WebSocket | EventStream} */
    let socket;
    this._opened = this._entered = false;
    try {
      socket = new Socket(this._urls[this._at], [SUBPROTOCOL]);
    } catch (error) {
      this._end(String(error));
      return;
    }
    this._socket = socket;
    // An attempt that hangs (a phone between two networks) is ended; the next one may succeed.
    this._timers.open = later(OPEN_MS_MAX, () => this._drop(socket, "no answer"));
    socket.onopen = () => {
      this._opened = true;
      this._socketsOpen ||= !isStream;
      this._failures = this._socketsOpen ? 0 : this._sockets; // the next one is of the same kind
      this._greet(socket);
    };
    socket.onmessage = (/** @type {{data: any}} */ event) => {
      if (this._socket === socket) this._receive(String(event.data));
    };
    socket.onclose = (/** @type {{code: number, reason: string}} */ event) =>
      this._closed(socket, event.code, event.reason);
    // The close event follows; in Node, `ws` throws an error without a listener.
    socket.onerror = () => {};
  }

  /**
   * Say hello, with a token if there is one.
   * @param {WebSocket | EventStream} socket
   */
  async _greet(socket) {
    const auth = this._token ? await this._ask(socket, this._token) : this._auth;
    if (this._socket === socket && auth !== null) this._hello(auth);
  }

  /**
   * The token that the page gives; `null` if it gives none, and the connection is dropped.
   * @param {WebSocket | EventStream} socket
   * @param {GiveToken} give
   */
  async _ask(socket, give) {
    try {
      return checkText("token", await give());
    } catch (error) {
      if (this._socket === socket) this._drop(socket, `no token: ${error}`);
      return null;
    }
  }

  /**
   * The gateway wants a token, or a newer one.
   * @param {AuthMessage} message
   */
  async _authenticate(message) {
    const socket = this._socket;
    this._emit("auth", message);
    if (!this._token || !socket || this._socket !== socket) return;
    const auth = await this._ask(socket, this._token);
    if (this._socket === socket && auth !== null) this._write({ t: "auth", token: auth });
  }

  /** @param {string} [auth] */
  _hello(auth = "") {
    this._catchUpWithStorage();
    const { token, epoch, last } = this._kept;
    this._kept.attempts++;
    this._save();
    /** @type {Record<string, unknown>} */
    const hello = { t: "hello", client: this._client, try: this._kept.attempts, ...this._size };
    if (auth) hello.auth = auth;
    if (this._code) hello.code = this._code;
    else if (token) {
      const acked = acknowledged(this._kept);
      Object.assign(hello, { token }, this._fresh ? {} : { epoch, last }, acked ? { acked } : {});
    }
    this._write(hello);
  }

  /**
   * @param {WebSocket | EventStream} socket
   * @param {string} reason
   * @param {number} askedMs The pause that the gateway asks for.
   */
  _drop(socket, reason, askedMs = 0) {
    socket.close();
    this._closed(socket, 1006, reason, askedMs);
  }

  /**
   * @param {WebSocket | EventStream} socket
   * @param {number} code
   * @param {string} reason
   * @param {number} askedMs
   */
  _closed(socket, code, reason, askedMs = 0) {
    if (this._socket !== socket) return;
    this._socket = null;
    if (!this._opened) this._failures++;
    if (!this._entered || ELSEWHERE.has(this._goodbye?.reason ?? "")) {
      this._at = (this._at + 1) % this._urls.length;
    }
    clearTimeout(this._timers.open);
    clearTimeout(this._timers.ack);
    clearTimeout(this._timers.wake);
    clearTimeout(this._timers.lasted);
    clearInterval(this._timers.beat);
    this._timers.ack = 0;
    if (this._state.name === "ended") return;
    const bye = this._goodbye;
    const why = bye?.text || reason || "the connection was lost";
    if (!(bye ? bye.retry_ms >= 0 : this._returns(code))) {
      this._end(why);
      return;
    }
    const pause = this._pause / 2 + (Math.random() * this._pause) / 2;
    const asked = Math.min(Math.max(bye?.retry_ms ?? 0, askedMs), ASKED_MS_MAX);
    const retryMs = Math.round(Math.max(asked, pause));
    // It doubles in a round of all addresses: each attempt is at another one.
    this._pause = Math.min(2 ** (1 / this._urls.length) * this._pause, PAUSE_MS_MAX);
    this._timers.retry = later(retryMs, () => this._connect());
    this._setState("offline", why, retryMs);
  }

  /**
   * Whether to reconnect after a close with this code.
   * @param {number} code
   */
  _returns(code) {
    if (code === TOO_LARGE_CODE) return this._dropLargest();
    return RETURNING_CODES.has(code) || code >= RECONNECT_CODE_MIN;
  }

  /**
   * A message was too large for the gateway: drop the largest command that was sent and is not
   * acknowledged. Return false if there is none.
   */
  _dropLargest() {
    const { pending } = this._kept;
    const given = pending.filter(({ c }) => c <= this._given);
    if (!given.length) return false;
    const largest = given.reduce((a, b) => (bytesOf(b) > bytesOf(a) ? b : a));
    this._keep(numberedFrom(this._kept, pending.filter((each) => each !== largest), pending[0].c));
    this._emit("dropped", { reason: "refused", commands: [largest] });
    return true;
  }

  /** The network or the page is back: do not wait for the pause or the heartbeat to end. */
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

  /** The page is shown from the back/forward cache: its connection is lost. */
  _return() {
    if (this._state.name === "ended" || !this._settled) return;
    this._reconnect("the page was away");
  }

  /** Another page of this tab may have resumed the session, and have newer tokens. */
  _catchUpWithStorage() {
    const stored = this._load();
    const { sid, epoch, last, attempts } = this._kept;
    if (stored.attempts <= attempts) return;
    const isSame = stored.sid === sid;
    this._kept = isSame && !this._fresh ? { ...stored, epoch, last } : stored;
    this._fresh ||= !isSame;
  }

  /** @param {string} reason */
  _reconnect(reason) {
    if (this._state.name === "ended") this._setState("offline", "", 0);
    const socket = this._socket;
    this._pause = FIRST_PAUSE_MS;
    if (socket) this._drop(socket, reason);
    clearTimeout(this._timers.retry);
    this._connect();
  }

  /** @param {string} reason */
  _end(reason) {
    clearTimeout(this._timers.retry);
    // The page continues without this session: nothing may reference it.
    for (const [target, type, heard] of this._hears) target?.removeEventListener?.(type, heard);
    this._hears = [];
    this._tabs?.close();
    this._setState("ended", reason, 0);
  }

  // --- received messages

  /**
   * The gateway violated the protocol: reconnect.
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
        this._resend(message.c);
        break;
      case "token":
        this._keepSeconds = message.keep_s ?? this._keepSeconds;
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
      case "auth":
        this._authenticate(message);
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
    if (isOther && before.sid) {
      this._abandon(isNew ? "gone" : "left");
      this._quitting = false; // that was said to the other one
    }
    const kept = { ...this._kept, sid: message.sid, token: message.token, epoch: message.epoch };
    if (this._urls.length > 1) kept.url = this._urls[this._at];
    this._entered = true;
    if (isNew) kept.last = message.seq;
    else if (message.t === "reset") kept.last = message.top;
    else kept.last = message.from - 1;
    this._acked = kept.last;
    this._code = "";
    this._fresh = false;
    this._bytesMax = message.bytes_max ?? BYTES_MAX;
    this._keepSeconds = message.keep_s ?? 0;
    this._given = 0;
    this._hasQuit = false;
    clearTimeout(this._timers.open);
    this._timers.lasted = later(LASTED_MS_MIN, () => {
      this._pause = FIRST_PAUSE_MS;
    });
    this._startHeart(message.heartbeat);
    if (message.t === "reset") this._emit("began", { reason: message.reason });
    this._catchUp(kept, isNew ? 0 : message.cin);
    this._setState("online", "", 0);
    if (message.t === "resumed") this._emit("resumed", { from: message.from, to: message.to });
    this._fill();
  }

  /**
   * The gateway has every command up to `cin`: keep the others that it can accept.
   * @param {Kept} kept
   * @param {number} cin
   */
  _catchUp(kept, cin) {
    const acked = acknowledged(kept);
    const wanted = kept.pending.filter(({ c }) => c > cin);
    const first = wanted.length ? wanted[0].c : Math.max(acked, kept.sent, cin) + 1;
    const dropped = wanted.filter((command) => !isSayable(command, this._bytesMax));
    // Commands after a missing one were never accepted: their numbers are free.
    this._keep(numberedFrom(kept, wanted.filter((each) => !dropped.includes(each)), first));
    if (cin < acked) this._emit("uncertain", { first: cin + 1, last: acked });
    if (dropped.length) this._emit("dropped", { reason: "refused", commands: dropped });
  }

  /**
   * Leave the session, and drop its commands.
   * @param {"gone" | "left" | "superseded"} reason
   */
  _abandon(reason) {
    const commands = this._kept.pending;
    this._keep(empty(this._kept.attempts));
    this._fresh = true;
    if (commands.length) this._emit("dropped", { reason, commands });
  }

  /**
   * The code is wrong: continue as before. Or the session has ended: begin a new one, unless it was
   * to end. Or there were too many attempts: nothing is known yet.
   * @param {RefusedMessage} message
   */
  _refused(message) {
    const socket = this._socket;
    this._emit("refused", message);
    if (this._socket !== socket || !socket) return; // the listener has left
    const { reason, retry_ms = -1 } = message;
    if (retry_ms >= 0) {
      this._drop(socket, reason, retry_ms);
      return;
    }
    const isCode = this._code !== "";
    this._code = "";
    if (!isCode) this._abandon("gone");
    if (!isCode && this._quitting) {
      this._quitting = false;
      this._end("your session had ended already");
      socket.close(1000);
      return;
    }
    if (!isCode) this._emit("began", { reason: "expired" });
    this._greet(socket);
  }

  /** @param {ByeMessage} message */
  _leave(message) {
    this._goodbye = message;
    this._emit("bye", message);
    if (message.reason === SUPERSEDED) {
      // The token belongs to another client now: used again, it would count as stolen.
      this._quitting = false;
      this._abandon("superseded");
    } else if (this._quitting && message.retry_ms < 0) {
      this._quitting = false;
      const commands = this._kept.pending;
      this._keep({ ...this._kept, pending: [] }); // it was said to this session, and no other
      if (commands.length) this._emit("dropped", { reason: "gone", commands });
    }
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
    this._keep({ ...this._kept, pending: this._kept.pending.filter((each) => each.c > c) });
  }

  /** @param {number} c */
  _resend(c) {
    // It has lost commands, and counts on from there (`uncertain` has reported them).
    if (c <= acknowledged(this._kept)) this._keep(numberedFrom(this._kept, this._kept.pending, c));
    this._given = c - 1;
    this._fill();
  }

  // --- sent messages

  /**
   * @param {string} what
   * @param {Command} command
   */
  _number(what, command) {
    if (this._kept.pending.length >= PENDING_MAX) {
      throw new Error(`${PENDING_MAX} commands wait for the gateway; no more are taken`);
    }
    checkBytes(what, command, this._bytesMax);
    command.c = ++this._kept.sent;
    this._kept.pending.push(command);
    this._save();
    this._fill();
  }

  // Sends the commands that the window allows, so a long absence does not end in a flood.
  // After the last one follows the end of the session.
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

  /**
   * @param {string} what
   * @param {object} message
   */
  _answer(what, message) {
    checkBytes(what, message, this._bytesMax);
    this._say(message);
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
    const ms = Math.min(seconds * 1000, TIMER_MS_MAX);
    this._timers.beat = later(firstBeat(ms), () => {
      this._timers.beat = Number(setInterval(() => this._beat(), ms));
      this._beat();
    });
  }

  // Heartbeats are counted, not seconds: timers of a page in the background are a minute apart.
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

  // --- storage

  /** @returns {Kept} */
  _load() {
    try {
      const text = this._storage?.getItem(this._key);
      const kept = text && { ...empty(0), ...JSON.parse(text) };
      if (kept && holdsAll(KEPT, kept)) return kept;
    } catch {
      // A storage that is blocked, or has foreign content, is ignored.
    }
    return empty(0);
  }

  /** @param {Kept} kept */
  _keep(kept) {
    this._kept = kept;
    this._save();
  }

  _save() {
    if (!this._storage || this._store(storable(this._kept))) return;
    // It is full or blocked. An older token must not stay: used again, it would count as stolen.
    // Without room for the token, the session lasts as long as the page.
    if (this._store({ ...this._kept, sent: acknowledged(this._kept), pending: [] })) return;
    try {
      if (this._storage.removeItem) this._storage.removeItem(this._key);
      else this._storage.setItem(this._key, "");
    } catch {
      // Blocked: it is empty.
    }
  }

  /** @param {Kept} kept */
  _store(kept) {
    try {
      this._storage?.setItem(this._key, JSON.stringify(kept));
      return true;
    } catch {
      return false;
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
   * A listener that throws loses this message; the session continues.
   * @param {string} name
   * @param {unknown} message
   */
  _emit(name, message) {
    for (const listener of [...(this._listeners.get(name) ?? [])]) {
      try {
        listener(message);
      } catch (error) {
        this._fail(name, error);
      }
    }
  }

  /**
   * @param {string} event
   * @param {unknown} error
   */
  _fail(event, error) {
    if (event !== "error" && this._listeners.get("error")?.size) {
      this._emit("error", { error, event });
    } else if (globalThis.reportError) globalThis.reportError(error);
    else console.error(error);
  }
}

/**
 * What stands in for a `WebSocket` where the network lets none through: the answer to one request is
 * a stream of what the gateway says, and other requests bring what is sent, one after the other.
 */
export class EventStream {
  /**
   * @param {string} url As of a `WebSocket`.
   * @param {string[]} [_protocols] Always `holdfast.v1`.
   */
  constructor(url, _protocols) {
    this._url = url.replace(/^ws/, "http");
    this._name = "";
    /** @type {string[]} */
    this._unsent = [];
    this._sending = false;
    this._code = 1000; // with which it closes, once all is sent
    this._timer = 0;
    this._abort = new AbortController();
    this.readyState = 0;
    /** @type {() => void} */
    this.onopen = () => {};
    /** @type {(event: {data: string}) => void} */
    this.onmessage = () => {};
    /** @type {(event: {code: number, reason: string}) => void} */
    this.onclose = () => {};
    this.onerror = () => {};
    this._listen();
  }

  /** @param {string} text */
  send(text) {
    this._unsent.push(text);
    if (!this._sending) this._send();
  }

  // As a `WebSocket`, it sends first what it was given.
  close(code = 1000) {
    if (this.readyState === 1 && this._sending) {
      this.readyState = 2;
      this._code = code;
      this._timer = later(CLOSE_MS_MAX, () => this._close(code, ""));
    } else if (this.readyState !== 2) this._close(code, "");
  }

  async _listen() {
    let reason = "";
    try {
      const answer = await this._post("text/event-stream", "");
      if (!answer.ok) throw new Error(`the gateway answered with ${answer.status}`);
      const decoder = new TextDecoder();
      const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
        text = events.pop() ?? "";
        for (const event of events) if (this.readyState < 2) this._hear(event);
      }
    } catch (error) {
      reason = String(error);
    }
    this._close(1006, reason);
  }

  /** @param {string} event */
  _hear(event) {
    const lines = event.split("\n");
    const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
    if (lines[0] === ": ping") this.send("");
    else if (lines[0] === "event: stream") {
      this._name = data[0];
      this.readyState = 1;
      this.onopen();
    } else if (data.length) this.onmessage({ data: data.join("\n") });
  }

  async _send() {
    this._sending = true;
    await null; // what is sent now goes together
    while (this._unsent.length && (this.readyState === 1 || this.readyState === 2)) {
      let body = `${this._name}\n${this._unsent.shift()}`;
      while (this._unsent.length && body.length + this._unsent[0].length < BATCH_MAX) {
        body += `\n${this._unsent.shift()}`;
      }
      try {
        const { ok, status } = await this._post("application/json", body);
        if (!ok) this._close(status === 413 ? TOO_LARGE_CODE : 1006, `refused with ${status}`);
      } catch (error) {
        this._close(1006, String(error));
      }
    }
    this._sending = false;
    if (this.readyState === 2) this._close(this._code, "");
  }

  /**
   * @param {string} accept
   * @param {string} body
   */
  _post(accept, body) {
    return fetch(this._url, {
      method: "POST",
      body,
      headers: { Accept: accept },
      credentials: "include",
      cache: "no-store",
      signal: this._abort.signal,
    });
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  _close(code, reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    clearTimeout(this._timer);
    this._abort.abort();
    queueMicrotask(() => this.onclose({ code, reason }));
  }
}

/**
 * Forget the session that this tab keeps for a user, as at a logout: the next one begins anew.
 * It does not end the session at the gateway, as `quit` does.
 * @param {string | string[]} url
 * @param {{storage?: Storage | null, key?: string, user?: string}} [options] Those of `Session`.
 */
export function forget(url, options = {}) {
  const storage = options.storage === undefined ? defaultStorage() : options.storage;
  try {
    storage?.removeItem?.(keyOf(url, options));
  } catch {
    // Blocked: there is nothing in it.
  }
}

/**
 * The addresses, each once, in a random order: that of the kept session first.
 * @param {string | string[]} url
 * @param {string} [first]
 * @throws {RangeError} if there is none
 */
function ordered(url, first) {
  const urls = [...new Set([url].flat())];
  if (!urls.length) throw new RangeError("url: expected at least one address, found none");
  for (let last = urls.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [urls[last], urls[other]] = [urls[other], urls[last]];
  }
  return urls.sort((a, b) => Number(b === first) - Number(a === first));
}

/**
 * Under which name a session is kept: one for each user of a tab. The order of several addresses
 * does not matter.
 * @param {string | string[]} url
 * @param {{key?: string, user?: string}} options
 */
function keyOf(url, { key, user }) {
  const name = `holdfast:${key ?? [url].flat().sort().join(" ")}`;
  return user === undefined ? name : `${name}\n${checkText("user", user)}`;
}

/**
 * The tabs of this browser that show this page: each answers for its own session.
 * A tab that is closed or reloaded does not answer any more.
 */
class Tabs {
  /**
   * @param {string} name
   * @param {() => string} own The `sid` of this tab's session.
   */
  constructor(name, own) {
    this._channel = new BroadcastChannel(name);
    this._open = true;
    this._held = ""; // the newest session that another tab has called its own
    this._channel.onmessage = ({ data: { asked, held } }) => {
      if (held) this._held = held;
      else if (asked && asked === own()) this._channel.postMessage({ held: asked });
    };
  }

  /**
   * Whether another tab has this session, and keeps it: a tab that is being reloaded may still
   * have answered.
   * @param {string} sid
   */
  async hold(sid) {
    if (!(await this._ask(sid))) return false;
    await new Promise((done) => later(ASK_AGAIN_MS, () => done(null)));
    return this._ask(sid);
  }

  /** Stop asking and answering. */
  close() {
    this._open = false;
    this._channel.close();
  }

  /**
   * @param {string} sid
   * @returns {Promise<boolean>}
   */
  async _ask(sid) {
    if (!this._open) return false;
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
 * A copy with these commands pending, numbered from `first` on without a gap.
 * @param {Kept} kept
 * @param {Command[]} commands
 * @param {number} first
 * @returns {Kept}
 */
function numberedFrom(kept, commands, first) {
  const pending = commands.map((command, index) => ({ ...command, c: first + index }));
  return { ...kept, pending, sent: first - 1 + pending.length };
}

/**
 * A copy without its secret commands and those after the first of them.
 * @param {Kept} kept
 * @returns {Kept}
 */
function storable(kept) {
  const at = kept.pending.findIndex(isSecret);
  if (at < 0) return kept;
  return { ...kept, sent: kept.pending[at].c - 1, pending: kept.pending.slice(0, at) };
}

/**
 * Whether a command was sent as secret; `dropped` also has such commands.
 * @param {Command} command
 * @returns {boolean}
 */
export function isSecret(command) {
  return SECRET in command;
}

/**
 * The newest command that the gateway has acknowledged.
 * @param {Kept} kept
 */
function acknowledged({ pending, sent }) {
  return pending.length ? pending[0].c - 1 : sent;
}

// --- checks of outgoing values

/**
 * @param {string} what
 * @param {unknown} value
 * @returns {string}
 */
function checkText(what, value) {
  if (typeof value !== "string") {
    throw new TypeError(`${what}: expected a string, found ${named(value)}`);
  }
  const lone = value.search(/\p{Surrogate}/u);
  if (lone >= 0) {
    const unit = value.charCodeAt(lone).toString(16).toUpperCase();
    throw new RangeError(
      `${what}: expected Unicode text, found the lone surrogate U+${unit} at ${lone}`,
    );
  }
  return value;
}

/**
 * @param {string} what
 * @param {unknown} value
 */
function checkSize(what, value) {
  if (!Number.isInteger(value) || Number(value) < 0 || Number(value) > CHARACTERS_MAX) {
    throw new RangeError(
      `${what}: expected an integer from 0 to ${CHARACTERS_MAX}, found ${named(value)}`,
    );
  }
  return Number(value);
}

/**
 * A copy of a JSON value.
 * @param {string} what
 * @param {unknown} value
 * @returns {unknown}
 */
function copyOf(what, value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(what); // no stack is as deep
    throw new TypeError(`${what}: expected a value that JSON has: ${error}`);
  }
  if (text === undefined) {
    throw new TypeError(`${what}: expected a value that JSON has, found ${named(value)}`);
  }
  const copy = JSON.parse(text);
  checkParts(what, copy);
  return copy;
}

/**
 * @param {string} what
 * @param {unknown} value
 */
function checkParts(what, value) {
  let level = [value];
  for (let depth = 0; level.length; depth++) {
    if (depth > DEPTH_MAX) throw tooDeep(what);
    for (const part of level) if (typeof part === "string") checkText(what, part);
    const containers = level.filter((part) => typeof part === "object" && part !== null);
    for (const part of containers) for (const key of Object.keys(part ?? {})) checkText(what, key);
    level = containers.flatMap((part) => Object.values(part ?? {}));
  }
}

/** @param {string} what */
function tooDeep(what) {
  return new RangeError(`${what}: expected at most ${DEPTH_MAX} levels, found more`);
}

/** @param {object} message */
function bytesOf(message) {
  return new TextEncoder().encode(JSON.stringify(message)).length;
}

/**
 * @param {string} what
 * @param {object} message
 * @param {number} most
 */
function checkBytes(what, message, most) {
  const size = bytesOf(message);
  if (size + NUMBER_DIGITS > most) {
    throw new RangeError(
      `${what}: expected a message of at most ${most} bytes, found about ${size}`,
    );
  }
}

/**
 * Whether a stored command can be sent: an earlier version may have stored others.
 * @param {Command} command
 * @param {number} most
 */
function isSayable(command, most) {
  try {
    if (command.t === "cmd") checkText("command", command.d);
    else if (command.t === "data") {
      checkText("package", command.p);
      copyOf("data", command.d);
    } else if (command.t !== "interrupt") return false;
    checkBytes("command", command, most);
  } catch {
    return false;
  }
  return true;
}

/** @param {unknown} value */
function named(value) {
  return `${value === null ? "null" : typeof value} ${String(value).slice(0, 40)}`.trim();
}

// --- checks of messages and of the storage

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

/** @type {Check} */
const isCommand = (value) =>
  typeof value === "object" && isText(/** @type {any} */ (value)?.t) &&
  isCount(/** @type {any} */ (value).c);

/** @type {Record<string, Check>} */
const KEPT = {
  sid: isText, token: isText, epoch: isText, last: isCount, sent: isCount, attempts: isCount,
  pending: (value) => Array.isArray(value) && value.every(isCommand), url: maybe(isText),
};
const ENTRANCE = {
  sid: isText, token: isText, epoch: isText, heartbeat: isSeconds, bytes_max: maybe(isSeconds),
  keep_s: maybe(isSeconds),
};
// The messages of the gateway and their required fields.
const MESSAGES = new Map(
  Object.entries(/** @type {Record<string, Record<string, Check>>} */ ({
    welcome: { ...ENTRANCE, seq: isCount },
    resumed: { ...ENTRANCE, from: isCount, to: isCount, cin: isCount },
    reset: { ...ENTRANCE, reason: isText, top: isCount, cin: isCount },
    token: { d: isText, keep_s: maybe(isSeconds) },
    refused: { reason: isText, retry_ms: maybe(isNumber) },
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
    auth: { error: maybe(isText), left_ms: maybe(isNumber) },
    profiles: { d: Array.isArray, error: maybe(isText) },
    offer: { d: isText },
    code: { d: isText },
    bye: { code: isNumber, reason: isText, text: isText, retry_ms: isNumber },
  })),
);

/**
 * @param {string} text
 * @returns {any} The message, or `null` if it is not one of the gateway's.
 */
function read(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  const fields = MESSAGES.get(message?.t);
  return fields && holdsAll(fields, message) ? message : null;
}

/**
 * @param {Record<string, Check>} fields
 * @param {any} value
 */
function holdsAll(fields, value) {
  return Object.entries(fields).every(([name, holds]) => holds(value[name]));
}

/**
 * @param {number} ms
 * @param {() => void} action
 */
function later(ms, action) {
  return Number(setTimeout(action, Math.min(ms, TIMER_MS_MAX)));
}

/**
 * After what part of the time between two beats the first comes. It is random, so that clients
 * which connect together do not ping together.
 * @param {number} ms
 */
function firstBeat(ms) {
  return ms * (0.1 + 0.9 * Math.random());
}

/** @returns {Storage | null} */
function defaultStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // a page without an origin may not even look
  }
}
