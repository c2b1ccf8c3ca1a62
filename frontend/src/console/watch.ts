// One session as its client sees it: read-only, as long as this view is shown.

import { Ansi, formatted } from "../../../src/holdfast/web/ansi.js";
import "../../../src/holdfast/web/ansi.css";
import { ApiError, sentence } from "./api";
import { h, say } from "./dom";
import { short, whole } from "./format";
import { type Context, sessionLink, type View } from "./view";

const LINES_MAX = 2_000;
const PAUSE_MS = 1_000;

interface Span { start: number; length: number; style: string }
interface Item {
  text?: string;
  spans?: Span[];
  package?: string;
  data?: unknown;
  prompt?: string;
  notice?: string;
  binary?: string;
}
interface Watched {
  items: Item[]; n: number; lost: number; terminal: boolean; columns: number; rows: number;
  ended: string;
}

export function watch(context: Context, sid: string): View {
  const { api } = context;
  const status = h("p", { class: "count", role: "status" }, "Watching …");
  const output = h("div", {
    class: "log", role: "log", tabindex: "0", "aria-label": "Output of the session",
  });
  const lines = new Lines(output);
  let screen: Screen | undefined;
  let number = 0;
  let closed = false;

  const show = (found: Watched) => {
    if (found.terminal) screen ??= new Screen(output);
    if (screen) screen.show(found);
    else for (const item of found.items) lines.add(item);
    const lost = found.lost ? ` ${whole(found.lost)} ${found.terminal ? "bytes" : "outputs"} were lost.` : "";
    const state = found.ended ? `The watch has ended: ${sentence(found.ended)}` : "Watching.";
    say(status, state + lost);
  };
  const run = async () => {
    const begun = await api.post<{ watch: number }>(`sessions/${encodeURIComponent(sid)}/watch`);
    number = begun.watch;
    if (closed) return end();
    for (let after = 0; !closed; ) {
      try {
        const found = await api.get<Watched>(`watches/${number}`, { after: String(after) });
        if (closed) return;
        show(found);
        after = found.n;
        if (found.ended) return;
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 0)) throw error;
        say(status, "The gateway does not answer. Trying again.");
        await new Promise((resolve) => window.setTimeout(resolve, PAUSE_MS));
      }
    }
  };
  const end = () => void api.delete(`watches/${number}`).catch(() => undefined);
  void run().catch((error: unknown) => {
    if (closed) return;
    say(status, error instanceof ApiError ? error.message : "The watch has failed.");
    if (!(error instanceof ApiError && error.status === 404)) context.fail(error);
  });
  const element = h(
    "div", {},
    h("p", {}, "Read-only. A client that shows its viewers shows that an operator watches."),
    h("div", { class: "row" }, status, h("a", { href: sessionLink(sid) }, "Stop watching")),
    output,
  );
  const close = () => {
    closed = true;
    screen?.close();
    if (number) end();
  };
  return { title: `Watching ${short(sid)}`, element, close };
}

/** Outputs as lines; the end stays in sight for whoever has not scrolled away from it. */
class Lines {
  private readonly ansi = new Ansi({ links: false });

  constructor(private readonly log: HTMLElement) {}

  add(item: Item): void {
    const { log } = this;
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.append(this.line(item));
    while (log.childElementCount > LINES_MAX) log.firstElementChild!.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  private line(item: Item): HTMLElement {
    if (item.text !== undefined) {
      const line = h("div");
      const spans = item.spans?.map(styled);
      if (spans) line.append(...formatted(item.text, spans));
      else line.append(...this.ansi.nodes(item.text));
      return line;
    }
    if (item.prompt !== undefined) return h("div", { class: "faint" }, item.prompt);
    if (item.notice !== undefined) return h("div", { class: "notice" }, item.notice);
    if (item.package !== undefined) {
      return h("div", { class: "faint" }, `${item.package} ${JSON.stringify(item.data)}`);
    }
    return h("div", { class: "faint" }, `${whole(decoded(item.binary ?? "").length)} bytes`);
  }
}

/** The screen of a terminal: a page of its own, because its program sets styles. */
class Screen {
  private readonly frame = h("iframe", { src: "screen.html", title: "Screen of the terminal" });
  private readonly waiting: unknown[] = [];
  private ready = false;

  constructor(place: HTMLElement) {
    window.addEventListener("message", this.hear);
    place.classList.add("screen");
    place.replaceChildren(this.frame);
  }

  show({ items, columns, rows }: Watched): void {
    const data = items.map((item) => decoded(item.binary ?? ""));
    this.waiting.push({ columns, rows, data });
    this.send();
  }

  close(): void {
    window.removeEventListener("message", this.hear);
  }

  private readonly hear = ({ source, origin, data }: MessageEvent) => {
    if (source !== this.frame.contentWindow || origin !== location.origin) return;
    if (data !== "ready") return;
    this.ready = true;
    this.send();
  };

  private send(): void {
    if (!this.ready) return;
    for (const one of this.waiting.splice(0)) {
      this.frame.contentWindow?.postMessage(one, location.origin);
    }
  }
}

const styled = ({ start, length, style }: Span): [number, number, string] => [start, length, style];

const decoded = (base64: string): Uint8Array =>
  Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
