// @ts-check
// A log of lines on a page. Its end stays in sight until the user scrolls up, and again once the
// user has scrolled down to it.

const NEAR_END_PX = 40;

export class Log {
  #element;
  #tag;
  #linesMax;
  #following = true; // whether the end is kept in sight
  #placed = 0; // the position to which the log itself has scrolled
  /** @type {HTMLElement | undefined} */
  #newest;

  /**
   * @param {HTMLElement} element
   * @param {{tag: string, linesMax: number, newest?: HTMLElement}} options The tag of a line; how
   *   many lines stay; a button to the end, which is visible while newer lines are out of sight.
   */
  constructor(element, { tag, linesMax, newest }) {
    this.#newest = newest;
    newest?.addEventListener("click", () => this.toEnd());
    this.#element = element;
    this.#tag = tag;
    this.#linesMax = linesMax;
    element.addEventListener("scroll", () => this.#look());
    new ResizeObserver(() => this.#follow()).observe(element);
  }

  /**
   * Append a line, and return its element.
   * @param {string | (Node | string)[]} content
   * @param {string} kind The class of the line.
   * @returns {HTMLElement}
   */
  append(content, kind = "") {
    this.#look(); // the event of a scroll comes a frame later
    const line = document.createElement(this.#tag);
    line.append(...(typeof content === "string" ? [content] : content));
    line.className = kind;
    this.#element.append(line);
    while (this.#element.children.length > this.#linesMax) this.#element.firstElementChild?.remove();
    this.#follow();
    if (this.#newest) this.#newest.hidden = this.#following;
    return line;
  }

  clear() {
    this.#element.replaceChildren();
  }

  /** Scroll to the end, and keep it in sight. */
  toEnd() {
    this.#following = true;
    this.#follow();
    if (this.#newest) this.#newest.hidden = true;
  }

  // An end that was pushed out of sight, by a line or by an element below the log, was not left by
  // the user: then the position is where the log has scrolled to.
  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#element;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END_PX) this.#following = true;
    else if (scrollTop < this.#placed) this.#following = false;
    if (this.#newest && this.#following) this.#newest.hidden = true;
  }

  #follow() {
    if (!this.#following) return;
    this.#element.scrollTop = this.#element.scrollHeight;
    this.#placed = this.#element.scrollTop;
  }
}
