// @ts-check
// Figures beside the log: gauges and facts of structured messages (GMCP, MSDP), as the operator
// has chosen them in settings.json.
import { Ansi } from "/holdfast-ansi.js";

/**
 * @typedef {{label: string, value: string, max: string, color: string}} Gauge
 * @typedef {{label: string, value: string}} Fact
 */

/** @param {string} path */
const packageOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf(".")));

/** What is shown, and the newest values of it. */
export class Figures {
  /**
   * @param {{gauges: Gauge[], facts: Fact[]}} settings
   * @param {HTMLElement} panel Hidden while there is nothing in it.
   */
  constructor({ gauges, facts }, panel) {
    this._gauges = gauges;
    this._facts = facts;
    this._panel = panel;
    /** @type {Map<string, unknown>} By their path in lower case. */
    this._values = new Map();
    const paths = facts.map(({ value }) => value);
    for (const { value, max } of gauges) paths.push(value, max);
    this._wanted = new Set(paths.map((path) => path.toLowerCase()));
    const named = paths.filter((path) => path && Number.isNaN(Number(path)));
    /** The packages of GMCP that the server is asked for. */
    this.packages = new Set(named.map((path) => packageOf(path).split(".")[0]).filter(Boolean));
    /** The variables of MSDP that it is asked for. */
    this.variables = new Set(named.filter((path) => !path.includes(".")));
  }

  /**
   * The server has said this.
   * @param {string} name
   * @param {unknown} data
   */
  take(name, data) {
    let found = false;
    for (const [field, value] of [["", data], ...Object.entries(Object(data))]) {
      const path = (field ? `${name}.${field}` : name).toLowerCase();
      if (!this._wanted.has(path)) continue;
      this._values.set(path, value);
      found = true;
    }
    if (found) this._show();
  }

  forget() {
    this._values.clear();
    this._show();
  }

  /** @param {string} path */
  _figure(path) {
    const value = this._values.get(path.toLowerCase());
    const isNumber = path.trim() && !Number.isNaN(Number(path));
    return value === undefined && isNumber ? Number(path) : value;
  }

  _show() {
    const gauges = this._gauges.flatMap((one) => this._gauge(one));
    const facts = this._facts.flatMap((one) => this._fact(one));
    this._panel.querySelector("#gauges")?.replaceChildren(...gauges);
    this._panel.querySelector("#facts")?.replaceChildren(...facts);
    this._panel.hidden = !gauges.length && !facts.length;
  }

  /**
   * @param {Gauge} settings
   * @returns {Node[]}
   */
  _gauge({ label, value, max, color }) {
    const now = Number(this._figure(value) ?? Number.NaN);
    if (Number.isNaN(now)) return [];
    const most = Number(this._figure(max) ?? Number.NaN);
    const item = document.createElement("div");
    item.className = "gauge";
    const words = document.createElement("span");
    const name = document.createElement("span");
    const figures = document.createElement("span");
    name.textContent = label;
    figures.textContent = most > 0 ? `${now} / ${most}` : `${now}`;
    words.append(name, figures);
    item.append(words);
    if (most > 0) item.append(bar(label, now, most, color));
    return [item];
  }

  /**
   * @param {Fact} settings
   * @returns {Node[]}
   */
  _fact({ label, value }) {
    const found = worded(this._figure(value));
    if (!found) return [];
    const item = document.createElement("div");
    const name = document.createElement("dt");
    const words = document.createElement("dd");
    name.textContent = label;
    words.append(...new Ansi().nodes(found));
    item.append(name, words);
    return [item];
  }
}

/**
 * @param {string} label
 * @param {number} now
 * @param {number} most
 * @param {string} color
 */
function bar(label, now, most, color) {
  const share = Math.max(0, Math.min(1, now / most));
  const ground = document.createElement("i");
  const filled = document.createElement("b");
  ground.setAttribute("role", "meter");
  ground.setAttribute("aria-label", label);
  ground.setAttribute("aria-valuemin", "0");
  ground.setAttribute("aria-valuemax", `${most}`);
  ground.setAttribute("aria-valuenow", `${Math.max(0, Math.min(most, now))}`);
  filled.style.width = `${100 * share}%`;
  if (color) filled.style.backgroundColor = color;
  ground.append(filled);
  return ground;
}

/**
 * A value as text. Exits, for instance, are a list, or the keys of an object.
 * @param {unknown} value
 * @returns {string}
 */
function worded(value) {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(worded).join(", ");
  return typeof value === "object" ? Object.keys(value).join(", ") : String(value);
}
