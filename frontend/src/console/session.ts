// One session: what is known of it, what has happened to it, and what can be done to it.

import type { Explanation, Session } from "./api";
import { ApiError } from "./api";
import { ask } from "./dialog";
import { type Child, fill, focusHeading, h, say } from "./dom";
import { bytes, moment, short, span, whole, words } from "./format";
import { state } from "./lists";
import { Table } from "./table";
import { application, type Context, type View, watchLink } from "./view";

const EVERY_MS = 3_000;

type Event = Explanation["history"][number];

export function session(context: Context, sid: string): View {
  const path = `sessions/${encodeURIComponent(sid)}`;
  const facts = h("dl", { class: "facts" });
  const sentences = h("ul", { class: "sentences" });
  const gone = h("p", { class: "none", role: "status", hidden: true });
  const events = new Table<Event>([
    { title: "Time", cell: (one) => moment(one.time), close: true },
    { title: "Event", cell: (one) => one.event },
    { title: "Connection", cell: (one) => one.connection || "—", number: true },
    { title: "Details", cell: (one) => listed(one.fields) || "—" },
  ], "Events of the session", "No events of this run are kept.");
  const numbers = new Table<[string, Record<string, number>]>([
    { title: "Log", cell: ([name]) => name },
    { title: "Numbers", cell: ([, found]) => listed(found) },
  ], "Numbers of the session", "There are no numbers.");
  const known = h(
    "div", { hidden: true },
    actions(context, sid, path, () => void load()),
    h("section", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, "Facts"), facts),
    h("section", { "aria-labelledby": "why" }, h("h2", { id: "why" }, "Explanation"), sentences, numbers.element),
    h("section", { "aria-labelledby": "events" }, h("h2", { id: "events" }, "What happened"), events.element),
  );
  const element = h("div", {}, h("p", { class: "id" }, sid), gone, known);

  let closed = false;
  const load = async () => {
    try {
      const [found, explained] = await Promise.all([
        context.api.get<Session>(path),
        context.api.get<Explanation>(`${path}/explain`),
      ]);
      if (closed) return;
      known.hidden = false;
      gone.hidden = true;
      fill(facts, ...factsOf(context, found, explained));
      fill(sentences, ...explained.sentences.map((one) => h("li", {}, one)));
      numbers.show([["Outputs", explained.outputs], ["Commands", explained.commands]]);
      events.show([...explained.history].reverse());
    } catch (error) {
      if (closed) return;
      if (!(error instanceof ApiError && error.status === 404)) return context.fail(error);
      const { message } = await context.api.get(`${path}/explain`).catch((why: Error) => why) as Error;
      say(gone, message ?? error.message);
      gone.hidden = false;
      if (known.contains(document.activeElement)) focusHeading();
      known.hidden = true;
    }
  };
  const every = window.setInterval(() => {
    if (!document.hidden) void load();
  }, EVERY_MS);
  void load();
  const close = () => {
    closed = true;
    window.clearInterval(every);
  };
  return { title: `Session ${short(sid)}`, element, close };
}

/** `gone 3, newest 7`. */
const listed = (values: Record<string, unknown>): string =>
  Object.entries(values).map(([name, value]) => `${words(name)} ${value}`).join(", ");

function factsOf(context: Context, found: Session, explained: Explanation): HTMLElement[] {
  const rows: [string, Child][] = [
    ["State", state(found)],
    ["User", found.user || "nobody"],
    ["Profile", found.profile || "—"],
    ["Properties", listed(explained.properties) || "—"],
    ["Application", application(context, found.app)],
    ["Instance", explained.instance || "—"],
    ["Terminal", found.terminal ? `${found.terminal.kind} ${found.terminal.target}` : undefined],
    ["Client", `${found.protocol} ${found.address}${found.client ? ` (${found.client})` : ""}`],
    ["Connection", explained.attached ? found.connection : "none"],
    ["Groups", found.groups.join(", ") || "—"],
    ["Viewers", explained.viewers.join(", ") || "none"],
    ["Durability", found.durability],
    ["Began", moment(found.created)],
    ["Away since", found.detached ? moment(found.detached) : undefined],
    ["Ends", found.expires ? `${moment(found.expires)}, in ${left(found.expires)}` : "not while its client is here"],
    ["Kept output", `${whole(found.window_messages)} (${bytes(found.window_bytes)})`],
    ["Waiting commands", `${whole(found.queue_messages)} (${bytes(found.queue_bytes)})`],
    ["Epoch", explained.epoch],
    ["Earlier epochs", explained.epochs.map(({ epoch, ended }) => `${epoch} to ${ended}`).join(", ") || "none"],
    ["Connections so far", whole(explained.generation)],
  ];
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
}

const left = (expires: number): string => span(Math.max(0, expires - Date.now() / 1000));

function actions(context: Context, sid: string, path: string, changed: () => void): HTMLElement {
  const act = (work: () => Promise<void>) => () => void work().then(changed, context.fail);
  const notify = async () => {
    const text = h("input", { id: "notice", autocomplete: "off" });
    const body = [h("label", { for: "notice" }, "Its client sees this line:"), text];
    if (!(await ask({ title: "Send a notice", action: "Send", body }))) return;
    const wanted = { text: text.value, session: sid };
    const { shown } = await context.api.post<{ shown: number }>("notices", wanted);
    context.say(shown ? "The notice was shown." : "Its client is away, and did not see the notice.");
  };
  const forget = async () => {
    const body = [h("p", {}, "Commands that wait for the application are dropped. One that it has already may still run.")];
    if (!(await ask({ title: "Drop the waiting commands?", action: "Drop", danger: true, body }))) return;
    const { forgotten } = await context.api.delete<{ forgotten: number }>(`${path}/commands`);
    context.say(`${whole(forgotten)} commands were dropped.`);
  };
  const kick = async () => {
    const body = [h("p", {}, "The session is closed for good. Its client is told, and can begin a new one.")];
    if (!(await ask({ title: "Kick this session?", action: "Kick", danger: true, body }))) return;
    await context.api.delete(path);
    context.say("The session was kicked.");
  };
  return h(
    "div", { class: "row" },
    context.latest.watch && h("a", { class: "button", href: watchLink(sid) }, "Watch"),
    h("button", { type: "button", click: act(notify) }, "Send a notice …"),
    h("button", { type: "button", click: act(forget) }, "Drop waiting commands …"),
    h("button", { type: "button", class: "danger", click: act(kick) }, "Kick …"),
  );
}
