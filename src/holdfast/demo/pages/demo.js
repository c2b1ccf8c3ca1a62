// @ts-check
// What the demo's page can break, and what it counts of it.

const TOKEN_HEADER = "Holdfast-Demo-Token";
const CUT_MS = 5000;
const SHOWN_MAX = 8; // clients in the picture
const SVG = "http://www.w3.org/2000/svg";

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** A WebSocket whose network fails when it is asked to. */
export class Cable extends WebSocket {
  /** @type {Set<Cable>} */
  static all = new Set();
  static isCut = false;

  /** @param {ConstructorParameters<typeof WebSocket>} args */
  constructor(...args) {
    super(...args);
    Cable.all.add(this);
    this.addEventListener("close", () => Cable.all.delete(this));
    if (Cable.isCut) this.close();
  }

  /** @param {number} ms How long there is no network. */
  static cut(ms) {
    Cable.isCut = true;
    for (const cable of Cable.all) cable.close();
    setTimeout(() => {
      Cable.isCut = false;
      dispatchEvent(new Event("online")); // as a browser says that there is a network again
    }, ms);
  }
}

/** Counts numbered lines: those that are missing, and those that came twice. */
export class Numbers {
  #first = 0;
  #next = 0;
  lost = 0;
  twice = 0;

  /** @param {number} number */
  add(number) {
    if (!this.#next || (number === 1 && this.#next > 2)) {
      [this.#first, this.#next, this.lost, this.twice] = [number, number, 0, 0];
    }
    if (number < this.#next) {
      this.twice += 1;
      return;
    }
    this.lost += number - this.#next;
    this.#next = number + 1;
  }

  /** How many numbers there were, with those that are missing. */
  get all() {
    return this.#next - this.#first;
  }

  /** How many came once. */
  get once() {
    return this.all - this.lost - this.twice;
  }
}

export class Demo {
  #session;
  #token = "";
  #numbers = new Numbers();
  #leftAt = 0;
  #missed = 0;
  #missedTo = 0; // the number of the last output that was missed
  #online = false;
  /** @type {any} */
  #room = {};

  /** @param {import("/holdfast.js").Session} session */
  constructor(session) {
    this.#session = session;
    session.on("state", ({ name }) => this.#state(name));
    session.on("resumed", ({ to }) => {
      [this.#missed, this.#missedTo] = [0, to];
      element("missed").textContent = "0"; // until they come
    });
    element("cut").addEventListener("click", () => Cable.cut(CUT_MS));
    element("kill").addEventListener("click", () => this.#ask("kill the application"));
    element("kill-gateway").addEventListener("click", () => this.#ask("kill the gateway"));
    element("talk").addEventListener("click", () => this.#ask(this.#room.talks ? "stop talking" : "talk"));
    this.#begin();
  }

  // Only pages of this site can read the header, so no other one can kill anything.
  async #begin() {
    const answer = await fetch("/", { cache: "no-store" }).catch(() => null);
    this.#token = answer?.headers.get(TOKEN_HEADER) ?? "";
    const panel = /** @type {HTMLDetailsElement} */ (element("demo"));
    panel.hidden = !this.#token;
    panel.open = matchMedia("(min-width: 40.01rem)").matches;
  }

  /** @param {string} what */
  #ask(what) {
    this.#session.data("Demo.Do", { token: this.#token, what });
  }

  /** @param {string} name */
  #state(name) {
    const online = name === "online";
    if (this.#online && !online) this.#leftAt = performance.now();
    if (!this.#online && online && this.#leftAt) {
      element("away").textContent = ((performance.now() - this.#leftAt) / 1000).toFixed(1);
    }
    this.#online = online;
    this.#draw();
  }

  /**
   * Take in a line of the output `n`.
   * @param {string} line
   * @param {number} n
   */
  count(line, n) {
    if (n <= this.#missedTo) {
      this.#missed += 1;
      element("missed").textContent = String(this.#missed);
    }
    const said = /^<robot> (\d{1,9})$/.exec(line);
    if (!said) return;
    const numbers = this.#numbers;
    numbers.add(Number(said[1]));
    for (const kind of /** @type {const} */ (["lost", "twice"])) {
      element(kind).textContent = String(numbers[kind]);
      element(kind).className = numbers[kind] ? "bad" : "";
    }
    element("done").textContent = `${numbers.once} of ${numbers.all}`;
  }

  /** @param {any} room Who is here and how, and whether the robot talks. */
  show(room) {
    this.#room = room;
    element("talk").setAttribute("aria-pressed", String(!!room.talks));
    this.#draw();
  }

  /** Draw who is connected to the gateway, and how. */
  #draw() {
    const { how = {}, you = "", talks = false } = this.#room;
    /** @type {[string, string][]} */
    const clients = Object.entries(how).slice(0, SHOWN_MAX).map(([name, by]) => [name, String(by)]);
    if (talks) clients.push(["robot", "websocket"]);
    const height = Math.max(3, clients.length) * 34;
    const middle = height / 2;
    const shapes = clients.flatMap(([name, by], number) => {
      const y = number * 34 + 17 + (height - clients.length * 34) / 2;
      const off = !by || (name === you && !this.#online);
      return [
        shape("line", { x1: 96, y1: y, x2: 120, y2: middle, class: off ? "off" : "" }),
        label(2, y - 3, name.length > 14 ? `${name.slice(0, 13)}…` : name),
        label(2, y + 11, off ? "cut off" : by),
      ];
    });
    const picture = element("picture");
    picture.setAttribute("viewBox", `0 0 300 ${height}`);
    picture.replaceChildren(
      ...shapes,
      shape("line", { x1: 190, y1: middle, x2: 214, y2: middle, class: this.#online ? "" : "off" }),
      ...box(120, middle, "gateway"),
      ...box(214, middle, "application"),
    );
  }
}

/**
 * Show how to go on elsewhere with a resume code: each command can be copied.
 * @param {HTMLElement} list
 * @param {string} code
 * @param {unknown} commands By kind of client.
 */
export function ways(list, code, commands) {
  const found = Object.values(commands ?? {}).filter((one) => typeof one === "string");
  list.replaceChildren(...[...found, `resume ${code}`].map(copyable));
  list.hidden = false;
}

/** @param {string} text */
function copyable(text) {
  const item = document.createElement("li");
  const shown = document.createElement("code");
  const button = document.createElement("button");
  [shown.textContent, button.textContent, button.type] = [text, "Copy", "button"];
  button.setAttribute("aria-label", `Copy ${text}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(shown); // to be copied by hand
    }
  });
  item.append(shown, button);
  return item;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** @type {(x: number, y: number, text: string) => SVGElement} */
function label(x, y, text) {
  const made = shape("text", { x, y });
  made.textContent = text;
  return /** @type {SVGElement} */ (made);
}

/** @type {(x: number, y: number, text: string) => Element[]} */
function box(x, y, text) {
  const name = label(x + 35, y + 4, text);
  name.setAttribute("text-anchor", "middle");
  return [shape("rect", { x, y: y - 16, width: 70, height: 32, rx: 6 }), name];
}
