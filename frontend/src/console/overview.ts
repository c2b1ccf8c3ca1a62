// The gateway at a glance: charts, and what stands behind it.

import type { Backend, Instance, Listener, Overview, Server } from "./api";
import { Chart } from "./chart";
import { h, say } from "./dom";
import { bytes, milliseconds, part, span, whole, words } from "./format";
import type { Figure } from "./history";
import { nodes } from "./nodes";
import { operations } from "./operations";
import { Table } from "./table";
import type { Context, View } from "./view";

const FIGURES: [Figure, string, (value: number) => string][] = [
  ["connections", "Connections", whole],
  ["sessions", "Sessions", whole],
  ["out", "Messages out", (value) => `${part(value)} /s`],
  ["in", "Messages in", (value) => `${part(value)} /s`],
  ["link", "Link round trip", milliseconds],
  ["commit", "Commit time", milliseconds],
];

interface LinkedInstance extends Instance { app: string }
interface PlacedServer extends Server { upstream: string }

/** `3 active, 2 detached`. */
const counted = (counts: Record<string, number>): string =>
  Object.entries(counts).map(([name, count]) => `${whole(count)} ${words(name)}`).join(", ");

const badge = (text: string, good: boolean): HTMLElement =>
  h("span", { class: good ? "badge good" : "badge bad" }, text);

export function overview(context: Context): View {
  const tiles = FIGURES.map(([figure, label, format]) => tile(context, figure, label, format));
  const facts = h("dl", { class: "facts" });
  const backends = new Table<Backend>([
    { title: "Backend", cell: (one) => one.name },
    { title: "Kind", cell: (one) => one.kind },
    { title: "Application", cell: (one) => one.app },
    { title: "Instances", cell: (one) => (one.kind === "link" ? one.instances.length : "—"), number: true },
    { title: "Requests", cell: (one) => counted(one.requests) || "—" },
  ], "Backends", "There is no backend yet.");
  const instances = new Table<LinkedInstance>([
    { title: "Application", cell: (one) => one.app },
    { title: "Instance", cell: (one) => one.name },
    { title: "Sessions", cell: (one) => whole(one.sessions), number: true },
    { title: "State", cell: standing },
  ], "Linked instances of applications", "No application is linked.");
  const servers = new Table<PlacedServer>([
    { title: "Upstream", cell: (one) => one.upstream },
    { title: "Server", cell: (one) => one.name },
    { title: "Connections", cell: (one) => whole(one.connections), number: true },
    { title: "Breaker", cell: (one) => badge(words(one.breaker), one.breaker === "closed") },
    { title: "Checks", cell: (one) => badge(one.up ? "up" : "down", one.up) },
    { title: "Connects", cell: (one) => whole(one.connects), number: true },
    { title: "Failures", cell: (one) => whole(one.failures), number: true },
    { title: "Trouble", cell: (one) => one.trouble || "—" },
  ], "Servers of upstreams", "There are no upstreams.");
  const listeners = new Table<Listener>([
    { title: "Listener", cell: (one) => one.address },
    { title: "For", cell: (one) => one.kind, close: true },
    { title: "Connections", cell: (one) => whole(one.connections), number: true },
    { title: "Accepted", cell: (one) => whole(one.accepted), number: true },
    { title: "Refused", cell: (one) => whole(one.refused), number: true },
    { title: "Failed handshakes", cell: (one) => whole(one.failed), number: true },
  ], "Listeners", "There are no listeners.");
  const cluster = nodes(context);
  const element = h(
    "div", {},
    h("div", { class: "tiles" }, ...tiles.map((one) => one.element)),
    section("State", facts),
    section("Applications", instances.element),
    section("Backends", backends.element),
    section("Upstreams", servers.element),
    section("Listeners", listeners.element),
    cluster.element,
    operations(context),
  );
  const shown = FACTS.map(([label]) => h("dd", {}, label));
  FACTS.forEach(([label], index) => facts.append(h("div", {}, h("dt", {}, label), shown[index])));
  const update = (now: Overview) => {
    for (const one of tiles) one.draw();
    FACTS.forEach(([, fact], index) => say(shown[index], fact(now)));
    backends.show(now.backends);
    instances.show(now.backends.flatMap(({ name, app, instances }) =>
      instances.map((one) => ({ ...one, app: app || name }))));
    servers.show(now.upstreams.flatMap(({ name, servers }) =>
      servers.map((one) => ({ ...one, upstream: name }))));
    listeners.show(now.listeners);
  };
  update(context.latest);
  return { title: "Overview", element, overview: update, close: cluster.close };
}

const FACTS: [string, (now: Overview) => string][] = [
  ["Node", (now) => now.node],
  ["Version", (now) => now.version],
  ["Up", (now) => span(now.uptime_seconds)],
  ["Status", (now) => now.status],
  ["Sessions", (now) => counted(now.sessions) || "none"],
  ["Connections", (now) => counted(now.connections) || "none"],
  ["Since the start", (now) => `${whole(now.created)} new, ${whole(now.resumed)} resumed`],
  ["Viewers", (now) => whole(now.viewers)],
  ["Kept for clients", (now) => bytes(now.window_bytes)],
  ["Kept for backends", (now) => bytes(now.queue_bytes)],
];

function standing(one: Instance): HTMLElement {
  if (one.leaving) return badge("leaving", false);
  return badge(one.serves ? "serving" : "given no sessions", one.serves);
}

function section(title: string, ...children: HTMLElement[]): HTMLElement {
  const id = `part-${title.toLowerCase()}`;
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

function tile(context: Context, figure: Figure, label: string, format: (value: number) => string) {
  const value = h("p", { class: "value", "data-figure": figure });
  const chart = new Chart();
  const element = h("section", { class: "tile", "aria-label": label }, h("h2", {}, label), value);
  element.append(chart.element);
  const draw = () => {
    const newest = context.history.newest(figure);
    say(value, newest === null ? "—" : format(newest));
    chart.draw(context.history.points[figure]);
  };
  return { element, draw };
}
