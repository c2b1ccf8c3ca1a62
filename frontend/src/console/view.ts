// What the parts of the page share.

import type { Api, Overview } from "./api";
import type { History } from "./history";

/** One part of the page, which is shown by itself. */
export interface View {
  title: string;
  element: HTMLElement;
  /** There is a new overview, every two seconds. */
  overview?(now: Overview): void;
  /** It is shown no more. */
  close?(): void;
}

/** What a view may use. */
export interface Context {
  api: Api;
  history: History;
  /** The newest overview. */
  latest: Overview;
  /** Say what was done. */
  say(text: string): void;
  /** Say what went wrong; without a right to ask, the page asks for the token. */
  fail(error: unknown): void;
}

/** Where a session is shown. */
export const sessionLink = (sid: string): string => `#session/${encodeURIComponent(sid)}`;

/** Where a session is watched. */
export const watchLink = (sid: string): string => `#watch/${encodeURIComponent(sid)}`;

/** The application of a backend, by the name that is kept with its sessions. */
export const application = ({ latest }: Context, name: string): string =>
  latest.backends.find((one) => one.name === name)?.app || name;
