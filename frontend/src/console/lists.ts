// The lists of sessions and of connections.

import type { Connection, Session } from "./api";
import { ask } from "./dialog";
import { h } from "./dom";
import { bytes, moment, part, short, span, whole, words } from "./format";
import { Listing } from "./listing";
import { Table } from "./table";
import { application, type Context, sessionLink, type View } from "./view";

const STATES = [
  "connecting", "authenticating", "selecting", "active", "detached_selecting", "detached_active",
];

const linked = (sid: string) =>
  h("a", { href: sessionLink(sid), "data-key": sid, title: sid }, short(sid));

export function sessions(context: Context, query: URLSearchParams): View {
  const table = new Table<Session>([
    { title: "Session", cell: ({ sid }) => linked(sid) },
    { title: "State", cell: state },
    { title: "User", cell: (one) => one.user || "—" },
    { title: "Application", cell: (one) => application(context, one.app) },
    { title: "Client", cell: (one) => `${one.protocol} ${one.address}` },
    { title: "Began", cell: (one) => moment(one.created), close: true },
    { title: "Kept output", cell: (one) => `${whole(one.window_messages)} (${bytes(one.window_bytes)})`, number: true },
    { title: "Waiting commands", cell: (one) => whole(one.queue_messages), number: true },
    { title: "Viewers", cell: (one) => whole(one.viewers), number: true },
  ], "Sessions", "No session fits.");
  const choice = { name: "state", label: "State", options: STATES, text: words };
  return new Listing(context, { title: "Sessions", path: "sessions", what: "sessions", table, choice, query }).view;
}

export function state(one: Session): HTMLElement {
  return h("span", { class: one.state === "active" ? "badge good" : "badge" }, words(one.state));
}

export function connections(context: Context, query: URLSearchParams): View {
  const end = async ({ id, peer }: Connection) => {
    const body = [h("p", {}, `The connection of ${peer} is closed. Its session waits for its client.`)];
    if (!(await ask({ title: `End connection ${id}?`, action: "End it", danger: true, body }))) return;
    await context.api.delete(`connections/${id}`);
    context.say(`Connection ${id} was ended.`);
    listing.refresh();
  };
  const table = new Table<Connection>([
    { title: "Id", cell: (one) => one.id, number: true },
    { title: "Peer", cell: (one) => one.peer },
    { title: "Listener", cell: (one) => one.listener },
    { title: "Phase", cell: (one) => words(one.phase) + (one.secure ? ", TLS" : "") },
    { title: "Session", cell: (one) => (one.sid ? linked(one.sid) : "—") },
    { title: "Received", cell: (one) => bytes(one.received_bytes), number: true },
    { title: "Sent", cell: (one) => bytes(one.sent_bytes), number: true },
    { title: "Silent", cell: (one) => span(one.silent_seconds), number: true },
    { title: "Round trip", cell: (one) => (one.rtt_ms === null ? "—" : `${part(one.rtt_ms)} ms`), number: true },
    {
      title: "Action",
      cell: (one) => h("button", {
        type: "button", "data-key": `end-${one.id}`, "aria-label": `End connection ${one.id}`,
        click: () => void end(one).catch(context.fail),
      }, "End …"),
    },
  ], "Connections", "No connection fits.");
  const listing = new Listing(context, { title: "Connections", path: "connections", what: "connections", table, query });
  return listing.view;
}
