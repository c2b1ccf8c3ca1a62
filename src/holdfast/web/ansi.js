// @ts-check
/**
 * Converts text for terminals to nodes of a page: colours and styles (ECMA-48, SGR), and links.
 *
 *     import { Ansi, formatted } from "/holdfast-ansi.js";
 *
 *     const ansi = new Ansi();
 *     line.append(...ansi.nodes("\x1b[1;31mDragon\x1b[0m"));
 *
 * Nothing in the text becomes markup: it goes into text nodes. The 16 named colours are classes
 * (`fg-1`, `bg-12`), which a style sheet sets; other colours are set directly. Other control
 * sequences and control characters are removed.
 *
 * @module
 */

/**
 * @typedef {{
 *   fg: string, bg: string, bold: boolean, dim: boolean, italic: boolean, underline: boolean,
 *   strike: boolean, reverse: boolean
 * }} Style Colours: `""` (the page's), `"0"` to `"15"`, or `"#rrggbb"`.
 */

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const LEVELS = [0, 95, 135, 175, 215, 255];
/** @type {Readonly<Style>} */
const PLAIN = Object.freeze({
  fg: "", bg: "", bold: false, dim: false, italic: false, underline: false, strike: false,
  reverse: false,
});
const FLAGS = /** @type {const} */ (["bold", "dim", "italic", "underline", "strike", "reverse"]);
// CSI, OSC, another escape, or a control character that is no tab.
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-Z\\^-~])|[\0-\x08\x0a-\x1f\x7f-\x9f]/g;
const LINK = /\bhttps?:\/\/[^\s<>"'`]+/g;
// Punctuation after an address that is not part of it.
const TRAILING = /[.,;:!?)\]}*_]+$/;

/** A stream of text: a style applies until it is set again, also in the following lines. */
export class Ansi {
  /** @param {{links?: boolean}} [options] `links`: whether addresses of the web are links. */
  constructor({ links = true } = {}) {
    this._content = links ? linked : (/** @type {string} */ text) => [text];
    /** @type {Style} */
    this._style = PLAIN;
  }

  /** Reset the style. */
  reset() {
    this._style = PLAIN;
  }

  /**
   * The nodes of a piece of text.
   * @param {string} text
   * @returns {Node[]}
   */
  nodes(text) {
    /** @type {Node[]} */
    const nodes = [];
    let run = "";
    let end = 0;
    const flush = () => {
      if (run) nodes.push(styled(this._content(run), this._style));
      run = "";
    };
    for (const found of text.matchAll(SEQUENCE)) {
      run += text.slice(end, found.index);
      end = found.index + found[0].length;
      if (found[2] !== "m" || /[<-?]/.test(found[1])) continue;
      flush();
      this._style = changed(this._style, found[1]);
    }
    run += text.slice(end);
    flush();
    return nodes;
  }
}

/**
 * The nodes of a text with spans, as in `formatted` messages.
 * @param {string} text
 * @param {[start: number, length: number, style: string][]} spans Counted in code points.
 * @param {{send?: (command: string) => void}} [options] `send`: what becomes of the text of a span
 *   of the style `send` when it is chosen; without it, it is text like any other.
 * @returns {Node[]}
 */
export function formatted(text, spans, { send } = {}) {
  const points = [...text];
  /** @type {Node[]} */
  const nodes = [];
  let position = 0;
  const piece = (/** @type {number} */ from, /** @type {number} */ to, /** @type {string} */ style) => {
    const shown = points.slice(from, to).join("");
    const words = style.split(/\s+/);
    if (words.includes("raw")) nodes.push(...new Ansi().nodes(shown));
    else if (shown && send && words.includes("send")) {
      nodes.push(command(shown.replace(SEQUENCE, ""), named(words), send));
    } else if (shown) nodes.push(styled(linked(shown.replace(SEQUENCE, "")), named(words)));
  };
  for (const [start, length, style] of [...spans].sort((one, other) => one[0] - other[0])) {
    const from = Math.max(position, Math.min(start, points.length));
    const to = Math.max(from, Math.min(start + length, points.length));
    piece(position, from, "");
    piece(from, to, style);
    position = to;
  }
  piece(position, points.length, "");
  return nodes;
}

/**
 * A command that is sent when it is chosen.
 * @param {string} text
 * @param {Style} style
 * @param {(command: string) => void} send
 * @returns {Node}
 */
function command(text, style, send) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "send";
  button.append(styled([text], style));
  button.addEventListener("click", () => send(text));
  return button;
}

/**
 * A style after the parameters of an SGR sequence.
 * @param {Style} before
 * @param {string} parameters
 * @returns {Style}
 */
function changed(before, parameters) {
  let style = { ...before };
  const codes = parameters.split(";").slice(0, 64);
  for (let at = 0; at < codes.length; at++) {
    const [code, ...sub] = codes[at].split(":").map(Number);
    if (code === 0) style = { ...PLAIN };
    else if (code === 38 || code === 48) {
      const rest = sub.length ? sub : codes.slice(at + 1, at + 5).map(Number);
      const color = rest[0] === 5 ? indexed(rest[1]) : rest[0] === 2 ? rgb(sub, rest) : "";
      if (!sub.length) at += rest[0] === 5 ? 2 : rest[0] === 2 ? 4 : 0;
      if (color) style[code === 38 ? "fg" : "bg"] = color;
    } else simple(style, code);
  }
  return style;
}

/**
 * @param {Style} style
 * @param {number} code
 */
function simple(style, code) {
  if (code === 1) style.bold = true;
  else if (code === 2) style.dim = true;
  else if (code === 22) style.bold = style.dim = false;
  else if (code === 3 || code === 23) style.italic = code === 3;
  else if (code === 4 || code === 21 || code === 24) style.underline = code !== 24;
  else if (code === 7 || code === 27) style.reverse = code === 7;
  else if (code === 9 || code === 29) style.strike = code === 9;
  else if (code === 39) style.fg = "";
  else if (code === 49) style.bg = "";
  else if (code >= 30 && code < 38) style.fg = `${code - 30}`;
  else if (code >= 40 && code < 48) style.bg = `${code - 40}`;
  else if (code >= 90 && code < 98) style.fg = `${code - 82}`;
  else if (code >= 100 && code < 108) style.bg = `${code - 92}`;
}

/**
 * One of 256 colours.
 * @param {number} number
 */
function indexed(number) {
  if (!(number >= 0 && number < 256)) return "";
  if (number < 16) return `${number}`;
  if (number >= 232) return hex([8, 8, 8].map((part) => part + 10 * (number - 232)));
  const cube = number - 16;
  return hex([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((at) => LEVELS[at]));
}

/**
 * A colour of 24 bits; with colons, the number of a colour space may precede it.
 * @param {number[]} sub
 * @param {number[]} rest
 */
function rgb(sub, rest) {
  const parts = sub.length > 4 ? sub.slice(2, 5) : rest.slice(1, 4);
  return parts.length === 3 ? hex(parts) : "";
}

/** @param {number[]} parts */
function hex(parts) {
  const digits = parts.map((part) =>
    Math.max(0, Math.min(255, part || 0)).toString(16).padStart(2, "0"),
  );
  return `#${digits.join("")}`;
}

/**
 * The style of a list of words: `["bold", "red", "on-#202020"]`. Others are ignored.
 * @param {string[]} words
 * @returns {Style}
 */
function named(words) {
  const style = { ...PLAIN };
  for (const word of words) {
    const key = word.startsWith("on-") ? "bg" : "fg";
    const color = word.replace(/^on-/, "");
    const bright = color.startsWith("bright-");
    const number = NAMES.indexOf(color.replace(/^bright-/, ""));
    if (/^#[0-9a-f]{6}$/i.test(color)) style[key] = color.toLowerCase();
    else if (number >= 0) style[key] = `${number + (bright ? 8 : 0)}`;
    else if (/** @type {readonly string[]} */ (FLAGS).includes(word)) {
      style[/** @type {typeof FLAGS[number]} */ (word)] = true;
    }
  }
  return style;
}

/**
 * @param {(Node | string)[]} content
 * @param {Style} style
 * @returns {Node}
 */
function styled(content, style) {
  const classes = FLAGS.filter((flag) => style[flag] && flag !== "reverse");
  const [fg, bg] = style.reverse
    ? [style.bg || "ground", style.fg || "ink"]
    : [style.fg, style.bg];
  if (!classes.length && !fg && !bg) {
    const fragment = document.createDocumentFragment();
    fragment.append(...content);
    return fragment;
  }
  const span = document.createElement("span");
  span.append(...content);
  if (classes.length) span.classList.add(...classes);
  if (fg.startsWith("#")) span.style.color = fg;
  else if (fg) span.classList.add(`fg-${fg}`);
  if (bg.startsWith("#")) span.style.backgroundColor = bg;
  else if (bg) span.classList.add(`bg-${bg}`);
  return span;
}

/**
 * A text whose web addresses are links.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function linked(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(LINK)) {
    const address = found[0].replace(TRAILING, "");
    if (!URL.canParse(address)) continue;
    const link = document.createElement("a");
    link.href = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.textContent = address;
    parts.push(text.slice(end, found.index), link);
    end = found.index + address.length;
  }
  parts.push(text.slice(end));
  return parts.filter(Boolean);
}
