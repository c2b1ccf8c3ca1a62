// Elements of the page. Text of others becomes text nodes and nothing else.

export type Child = Node | string | number | null | undefined | false;
type Attribute = string | number | boolean | undefined | ((event: Event) => void);

function made(element: Element, attributes: Record<string, Attribute>, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  put(element, ...children);
}

/** An element of HTML. An attribute that is a function listens to the event of that name. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Record<string, Attribute> = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  made(element, attributes, children);
  return element;
}

/** An element of SVG. */
export function s(tag: string, attributes: Record<string, Attribute>): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  made(element, attributes, []);
  return element;
}

/** Add children; what is false, undefined or null is left out. */
export function put(element: Element, ...children: Child[]): void {
  for (const child of children) {
    if (child instanceof Node) element.append(child);
    else if (child !== false && child !== null && child !== undefined) element.append(String(child));
  }
}

/** Let an element have these children and no others. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  put(element, ...children);
}

/** Give the focus to the heading of the view: what had it is gone. */
export function focusHeading(): void {
  document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
}

/** Let an element have this text; one that has it already is left alone (a live region is read
 * out at each change). */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
