// The gateways on one store, if that is one that several share.

import type { Node } from "./api";
import { ApiError } from "./api";
import { h } from "./dom";
import { moment, span, whole } from "./format";
import { Table } from "./table";
import type { Context } from "./view";

const EVERY_MS = 10_000;

/** A part of the overview; `close` when that is shown no more. */
export function nodes(context: Context): { element: HTMLElement; close(): void } {
  const table = new Table<Node>([
    { title: "Node", cell: (one) => one.name + (one.here ? " (this one)" : "") },
    { title: "Machine", cell: (one) => one.host },
    { title: "Since", cell: (one) => moment(one.since), close: true },
    { title: "Sessions", cell: (one) => whole(one.sessions), number: true },
    {
      title: "Last sign",
      cell: (one) => (one.here ? "here" : `${span(one.silent_seconds)} ago`),
      close: true,
    },
  ], "Nodes", "There are no other nodes.");
  const element = h(
    "section", { "aria-labelledby": "part-nodes", hidden: true },
    h("h2", { id: "part-nodes" }, "Nodes"),
    table.element,
  );
  let closed = false;
  const load = async () => {
    const { items } = await context.api.get<{ items: Node[] }>("nodes");
    if (closed) return;
    element.hidden = items.length === 0;
    table.show(items);
  };
  const ask = () => {
    if (document.hidden) return;
    void load().catch((error: unknown) => {
      // Without the store there are no nodes to show, and the overview says what is wrong.
      if (!(error instanceof ApiError && error.status === 503)) context.fail(error);
    });
  };
  ask();
  const every = window.setInterval(ask, EVERY_MS);
  const close = () => {
    closed = true;
    window.clearInterval(every);
  };
  return { element, close };
}
