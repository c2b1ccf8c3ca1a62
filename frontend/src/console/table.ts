// Tables: cards on a phone. The roles are written down, because styles take them away.

import { type Child, fill, focusHeading, h, put } from "./dom";

export interface Column<T> {
  title: string;
  cell(row: T): Child;
  /** A number: to the right. */
  number?: boolean;
  /** A time, or the like: on one line. */
  close?: boolean;
}

export class Table<T> {
  readonly element: HTMLElement;
  private readonly body = h("tbody", { role: "rowgroup" });
  private readonly none: HTMLElement;

  /** `empty` is said where there are no rows. */
  constructor(private readonly columns: Column<T>[], caption: string, empty: string) {
    const heads = columns.map(({ title, number }) =>
      h("th", { role: "columnheader", scope: "col", class: number && "number" }, title),
    );
    const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads));
    this.none = h("p", { class: "none", hidden: true }, empty);
    const table = h("table", { role: "table", "aria-label": caption }, head, this.body);
    this.element = h("div", { class: "table" }, table, this.none);
  }

  /** Show these rows. What has the focus keeps it; if it is gone, the view's heading gets it. */
  show(rows: T[]): void {
    const focused = document.activeElement;
    const key = focused && this.body.contains(focused) ? focused.getAttribute("data-key") : null;
    fill(this.body, ...rows.map((row) => this.row(row)));
    this.none.hidden = rows.length > 0;
    this.body.parentElement!.hidden = rows.length === 0;
    if (key === null) return;
    const same = [...this.body.querySelectorAll<HTMLElement>("[data-key]")];
    const found = same.find((one) => one.dataset.key === key);
    if (found) found.focus();
    else focusHeading();
  }

  private row(row: T): HTMLElement {
    const cells = this.columns.map(({ title, cell, number, close }) => {
      const style = number ? "number" : close && "close";
      const element = h("td", { role: "cell", "data-title": title, class: style });
      put(element, cell(row));
      return element;
    });
    return h("tr", { role: "row" }, ...cells);
  }
}
