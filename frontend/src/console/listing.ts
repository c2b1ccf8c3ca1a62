// A list of the API: filtered, a page at a time, read again from time to time.

import type { Page } from "./api";
import { type Child, h, say } from "./dom";
import { whole } from "./format";
import type { Table } from "./table";
import type { Context, View } from "./view";

const ROWS_MAX = 50;
const EVERY_MS = 4_000;
const PAUSE_MS = 250;

/** Which list, and how it is filtered. */
export interface Listed<T> {
  title: string;
  /** The path of the API. */
  path: string;
  /** What is listed, in the plural: `sessions`. */
  what: string;
  table: Table<T>;
  /** A choice beside the search, by the name of its parameter. */
  choice?: { name: string; label: string; options: string[]; text(option: string): string };
  query: URLSearchParams;
}

/** The view of a list. Its filters stand in the address, so that the browser's Back goes back. */
export class Listing<T> {
  readonly view: View;
  private readonly search: HTMLInputElement;
  private readonly select: HTMLSelectElement | undefined;
  private readonly count = h("p", { class: "count", role: "status" });
  /** Whether the operator has asked for what is read next: that alone is read out. */
  private wanted = true;
  private readonly previous = this.button("Previous", () => this.turn(-1));
  private readonly next = this.button("Next", () => this.turn(1));
  /** The `after` of each page up to the shown one. */
  private afters = [""];
  private page: Page<T> | undefined;
  private readonly every: number;
  private pause = 0;
  /** The newest request: answers of earlier ones are not shown. */
  private asked = 0;

  constructor(private readonly context: Context, private readonly listed: Listed<T>) {
    const { title, what, choice, query, table } = listed;
    this.search = h("input", {
      id: "search", type: "search", autocomplete: "off", spellcheck: "false",
      value: query.get("search") ?? "", input: () => this.changed(),
    });
    const filters: Child[] = [
      h("div", { class: "field" }, h("label", { for: "search" }, "Search"), this.search),
    ];
    if (choice) {
      this.select = h(
        "select", { id: "choice", change: () => this.changed() },
        h("option", { value: "" }, "any"),
        ...choice.options.map((one) => h("option", { value: one }, choice.text(one))),
      );
      this.select.value = query.get(choice.name) ?? "";
      filters.push(h("div", { class: "field" }, h("label", { for: "choice" }, choice.label), this.select));
    }
    const element = h(
      "div", {},
      h("div", { class: "filters", role: "search", "aria-label": `Filters of ${what}` }, ...filters),
      table.element,
      h("div", { class: "row pages" }, this.count, this.previous, this.next),
    );
    this.every = window.setInterval(() => this.refresh(), EVERY_MS);
    this.view = { title, element, close: () => this.close() };
    this.refresh();
  }

  /** Read the page again. */
  refresh(): void {
    if (!document.hidden) void this.load().catch(this.context.fail);
  }

  private button(label: string, act: () => void): HTMLButtonElement {
    return h("button", { type: "button", disabled: true, click: act }, label);
  }

  private close(): void {
    window.clearInterval(this.every);
    window.clearTimeout(this.pause);
    this.asked = -1;
  }

  private changed(): void {
    this.wanted = true;
    window.clearTimeout(this.pause);
    this.pause = window.setTimeout(() => {
      const { listed } = this;
      const query = new URLSearchParams(this.filters()).toString();
      history.replaceState(null, "", query ? `#${listed.path}?${query}` : `#${listed.path}`);
      this.afters = [""];
      this.refresh();
    }, PAUSE_MS);
  }

  private filters(): Record<string, string> {
    const { choice } = this.listed;
    const found: Record<string, string> = {};
    const search = this.search.value.trim().replace(/^…/, ""); // as short ids begin
    if (search) found.search = search;
    if (choice && this.select?.value) found[choice.name] = this.select.value;
    return found;
  }

  private turn(by: 1 | -1): void {
    this.wanted = true;
    if (by < 0) this.afters.pop();
    else this.afters.push(String(this.page?.next ?? ""));
    this.refresh();
  }

  private async load(): Promise<void> {
    const number = (this.asked += 1);
    const { path, table } = this.listed;
    const after = this.afters.at(-1) ?? "";
    const query = { ...this.filters(), limit: String(ROWS_MAX), after };
    const page = await this.context.api.get<Page<T>>(path, query);
    if (number !== this.asked) return;
    this.page = page;
    table.show(page.items);
    this.previous.disabled = this.afters.length < 2;
    this.next.disabled = page.next === null;
    const first = (this.afters.length - 1) * ROWS_MAX;
    const shown = page.items.length;
    this.count.setAttribute("aria-live", this.wanted ? "polite" : "off");
    this.wanted = false;
    say(
      this.count,
      `${shown ? `${whole(first + 1)} to ${whole(first + shown)}` : "None"} shown;`
        + ` ${whole(page.total)} in all`,
    );
  }
}
