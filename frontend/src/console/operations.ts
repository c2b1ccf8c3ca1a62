// What an operator may do to the whole gateway.

import type { Change } from "./api";
import { ask } from "./dialog";
import { fill, h } from "./dom";
import { whole } from "./format";
import { Table } from "./table";
import type { Context } from "./view";

export function operations(context: Context): HTMLElement {
  const result = h("div", { role: "region", "aria-label": "Changes of the last reload", hidden: true });
  const button = (label: string, act: () => Promise<void>, danger = false) =>
    h("button", {
      type: "button", class: danger && "danger", click: () => void act().catch(context.fail),
    }, label);
  return h(
    "section", { "aria-labelledby": "part-operation" },
    h("h2", { id: "part-operation" }, "Operation"),
    h(
      "div", { class: "row" },
      button("Send a notice to all …", () => notify(context)),
      button("Reload the configuration", () => reload(context, result)),
      button("Drain …", () => drain(context), true),
    ),
    result,
  );
}

async function notify(context: Context): Promise<void> {
  const text = h("input", { id: "notice", autocomplete: "off" });
  const body = [h("label", { for: "notice" }, "Every connected client sees this line:"), text];
  if (!(await ask({ title: "Send a notice to all", action: "Send", body }))) return;
  const { shown } = await context.api.post<{ shown: number }>("notices", { text: text.value });
  context.say(`The notice was shown to ${whole(shown)} clients.`);
}

async function reload(context: Context, result: HTMLElement): Promise<void> {
  const { changes } = await context.api.post<{ changes: Change[] }>("reload");
  const table = new Table<Change>([
    { title: "Key", cell: (one) => one.key },
    { title: "Before", cell: (one) => one.before },
    { title: "Now", cell: (one) => one.after },
    { title: "Takes effect", cell: (one) => (one.effect === "now" ? "now" : "at a restart") },
  ], "Changes of the configuration", "Nothing is different.");
  table.show(changes);
  fill(result, table.element);
  result.hidden = false;
  context.say(`The configuration was read again: ${whole(changes.length)} changes.`);
}

async function drain(context: Context): Promise<void> {
  const now = h("input", { type: "checkbox", id: "at-once" });
  const body = [
    h("p", {}, "Every client is told to come back, and this gateway ends. Sessions wait for their"
      + " clients if their listener keeps them."),
    h("p", { class: "check" }, now, h("label", { for: "at-once" }, "At once, without telling clients first")),
  ];
  if (!(await ask({ title: "Drain this gateway?", action: "Drain", danger: true, body }))) return;
  await context.api.post("drain", { now: now.checked });
  context.say("The gateway is draining.");
}
