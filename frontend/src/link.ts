// A client of `holdfast.term.v1`: a terminal that resumes after a lost connection.

export type Message = { t: string; [field: string]: unknown };

export interface Host {
  /** The session: its output continues after `n`. With `afresh`, the screen must be cleared. */
  ready(sid: string, token: string, afresh: boolean): void;
  /** A viewer: as `ready`, of a screen that has this size. */
  watching(cols: number, rows: number, afresh: boolean): void;
  /** Output; call `shown` when it is on the screen. */
  output(data: Uint8Array, shown: () => void): void;
  /** Bytes that restore the screen; they are not output. */
  screen(data: string): void;
  /** Any other message. */
  message(message: Message): void;
  /** The connection is lost. The next attempt is in so many milliseconds; `undefined`: none. */
  lost(retryMs: number | undefined, text: string): void;
  size(): { cols: number; rows: number };
}

const SUBPROTOCOL = "holdfast.term.v1";
const ACK_BYTES = 64 * 1024;
const INPUT_BYTES = 16 * 1024;
const HEAD_BYTES = 5;
const FIRST_PAUSE_MS = 500;
const PAUSE_MS_MAX = 15_000;
const HEARTBEAT_MS = 15_000;

type Sent = { c: number; data: string | Uint8Array<ArrayBuffer> };

export class Link {
  private socket: WebSocket | undefined;
  private token = "";
  private code = "";
  private invitation = "";
  private received = 0;
  private shown = 0;
  private acked = 0;
  private c = 0;
  private unsure: Sent[] = [];
  private attempt = Date.now();
  private pause = FIRST_PAUSE_MS;
  private retryMs: number | undefined = FIRST_PAUSE_MS;
  private text = "";
  private timer: number | undefined;
  private heard = 0;
  private live = false;
  private generation = 0;

  constructor(private readonly url: string, private readonly host: Host) {}

  /** Open a new session, or resume the one of a token or a code. */
  open(token = "", code = ""): void {
    this.token = token;
    this.code = code;
    this.received = this.shown = this.acked = this.c = 0;
    this.unsure = [];
    this.connect();
  }

  /** Watch the session of an invitation. */
  watch(invitation: string): void {
    this.invitation = invitation;
    this.open();
  }

  /** Try again now. */
  retry(): void {
    if (!this.socket) this.connect();
  }

  type(data: string): void {
    const bytes = new TextEncoder().encode(data);
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
      this.input(bytes.subarray(at, at + INPUT_BYTES));
    }
  }

  /** Send bytes unchanged: reports of the terminal in their own encoding. */
  typeBinary(data: string): void {
    this.input(Uint8Array.from(data, (char) => char.charCodeAt(0)));
  }

  answer(text: string): void {
    if (!this.live) return;
    this.c += 1;
    this.command(this.c, JSON.stringify({ t: "answer", c: this.c, text }));
  }

  resize(cols: number, rows: number): void {
    if (this.live) this.say({ t: "resize", cols, rows });
  }

  say(message: Message): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private input(data: Uint8Array): void {
    if (!this.live) return;
    this.c += 1;
    const message = new Uint8Array(HEAD_BYTES + data.length);
    new DataView(message.buffer).setUint32(1, this.c);
    message.set(data, HEAD_BYTES);
    this.command(this.c, message);
  }

  private command(c: number, data: string | Uint8Array<ArrayBuffer>): void {
    this.unsure.push({ c, data });
    this.socket?.send(data);
  }

  private connect(): void {
    clearTimeout(this.timer);
    const socket = (this.socket = new WebSocket(this.url, SUBPROTOCOL));
    socket.binaryType = "arraybuffer";
    this.heard = Date.now();
    this.retryMs = this.pause;
    this.text = "";
    this.attempt += 1;
    socket.onopen = () => this.say(this.first());
    socket.onmessage = (event) => {
      this.heard = Date.now();
      if (typeof event.data === "string") this.hear(JSON.parse(event.data) as Message);
      else this.take(new Uint8Array(event.data as ArrayBuffer));
    };
    socket.onclose = () => this.lose(socket);
    // The first comes early, at random: pages that connect together do not ping together.
    this.beat(socket, HEARTBEAT_MS * (0.1 + 0.9 * Math.random()));
  }

  private first(): Message {
    if (this.invitation) return { t: "watch", token: this.invitation, n: this.received };
    const { cols, rows } = this.host.size();
    const common = { cols, rows, attempt: this.attempt };
    if (!this.token && !this.code) return { t: "open", ...common };
    const acked = this.unsure.length ? this.unsure[0].c - 1 : this.c;
    return {
      t: "attach", token: this.token, code: this.code, n: this.received,
      acked: this.code ? 0 : acked, ...common,
    };
  }

  private beat(socket: WebSocket, ms = HEARTBEAT_MS): void {
    window.setTimeout(() => {
      if (socket !== this.socket) return;
      if (Date.now() - this.heard > 2 * HEARTBEAT_MS) socket.close();
      else this.say({ t: "ping" });
      this.beat(socket);
    }, ms);
  }

  private take(data: Uint8Array): void {
    this.received += data.length;
    const generation = this.generation;
    this.host.output(data, () => {
      if (generation !== this.generation) return; // it belongs to a screen that was cleared
      this.shown += data.length;
      if (this.shown - this.acked >= ACK_BYTES || this.shown === this.received) this.ack();
    });
  }

  private ack(): void {
    this.acked = this.shown;
    this.say({ t: "ack", n: this.acked });
  }

  private hear(message: Message): void {
    switch (message.t) {
      case "ready":
        return this.begin(message);
      case "watching": {
        const afresh = this.goTo(message.n as number);
        this.pause = FIRST_PAUSE_MS;
        return this.host.watching(message.cols as number, message.rows as number, afresh);
      }
      case "screen":
        return this.host.screen(message.d as string);
      case "took":
        this.unsure = this.unsure.filter(({ c }) => c > (message.c as number));
        return;
      case "resend":
        return this.resend(message.c as number);
      case "token":
        this.token = message.d as string;
        return this.host.message(message);
      case "refused":
        this.token = this.code = this.invitation = "";
        this.retryMs = undefined;
        this.host.message(message);
        this.socket?.close();
        return;
      case "bye":
        this.retryMs = (message.retry_ms as number) < 0 ? undefined : (message.retry_ms as number);
        this.text = message.text as string;
        return;
      case "pong":
        return;
      default:
        return this.host.message(message);
    }
  }

  private begin(message: Message): void {
    const afresh = this.goTo(message.n as number);
    this.token = message.token as string;
    this.code = "";
    const c = message.c as number;
    this.c = Math.max(this.c, c);
    this.unsure = this.unsure.filter((sent) => sent.c > c);
    this.live = true;
    this.pause = FIRST_PAUSE_MS;
    this.host.ready(message.sid as string, this.token, afresh);
    this.resend(c + 1);
  }

  /** Output goes on after `n`; whether the screen is to be cleared for it. */
  private goTo(n: number): boolean {
    const afresh = n !== this.received || n === 0;
    if (afresh) {
      this.generation += 1;
      this.received = this.shown = this.acked = n;
    }
    return afresh;
  }

  private resend(from: number): void {
    for (const { c, data } of this.unsure) if (c >= from) this.socket?.send(data);
  }

  private lose(socket: WebSocket): void {
    if (socket !== this.socket) return;
    this.socket = undefined;
    this.live = false;
    this.host.lost(this.retryMs, this.text);
    if (this.retryMs === undefined) return;
    this.timer = window.setTimeout(() => this.connect(), this.retryMs);
    this.pause = Math.min(2 * this.pause, PAUSE_MS_MAX);
  }
}
