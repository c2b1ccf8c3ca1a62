// Time and sockets for the JavaScript client that do what a test tells them.

/** Time that passes when it is told to. */
export class Clock {
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

/** A `WebSocket` class, and the sockets that it has made. */
export function fakeSockets() {
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
    /** It is open now. */
    opens() {
      this.readyState = 1;
      this.onopen();
    }
    /** The gateway says something. */
    hears(message) {
      this.hearsText(JSON.stringify(message));
    }
    hearsText(text) {
      this.onmessage({ data: text });
    }
    /** It is closed. */
    ends(code = 1006, reason = "") {
      this.readyState = 3;
      this.onclose({ code, reason });
    }
  }
  return { sockets, Socket };
}

/**
 * The class `EventStream` with an answer and requests that a test makes, and its streams, which are
 * used as the sockets of `fakeSockets`.
 */
export function fakeStreams(EventStream) {
  const sockets = [];
  let asked; // answers the newest request for a stream
  class Stream extends EventStream {
    constructor(url, protocols) {
      super(url, protocols);
      this.answer = asked;
      this.said = [];
      this.name = `s${sockets.push(this)}`;
    }
    opens() {
      const body = new ReadableStream({ start: (controller) => (this.controller = controller) });
      this.answer(new Response(body));
      this.controller.enqueue(bytes(`event: stream\ndata: ${this.name}\n\n`));
    }
    hears(message) {
      this.hearsText(JSON.stringify(message));
    }
    hearsText(text) {
      // An event may come in pieces, with a comment before it.
      for (const piece of [": x\n\nda", "ta: ", ...text, "\n", "\n"]) {
        this.controller.enqueue(bytes(piece));
      }
    }
    ends(code = 1006, reason = "") {
      if (code === 1006) this.controller.error(new TypeError(reason));
      else this._close(code, reason);
    }
  }
  globalThis.fetch = async (url, { method, body, headers, signal }) => {
    if (url !== "http://gateway/" || method !== "POST") throw new Error(`${method} ${url}`);
    if (headers.Accept === "text/event-stream") return new Promise((answer) => (asked = answer));
    if (signal.aborted) throw new TypeError("aborted");
    const [name, ...messages] = body.split("\n");
    const stream = sockets.find((each) => each.name === name);
    stream.said.push(...messages.filter(Boolean).map((each) => JSON.parse(each)));
    return new Response("{}");
  };
  return { sockets, Socket: Stream };
}

const bytes = (text) => new TextEncoder().encode(text);

/** A storage that can be full. */
export class Storage {
  constructor(room = Infinity) {
    this.room = room;
    this.items = new Map();
  }
  getItem(key) {
    return this.items.get(key) ?? null;
  }
  setItem(key, text) {
    if (text.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.items.set(key, text);
  }
  removeItem(key) {
    this.items.delete(key);
  }
}
