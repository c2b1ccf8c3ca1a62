// The admin API. Types have the fields that the page uses (docs/operations.md has all).

export interface Durations { count: number; seconds: number }
export interface Listener {
  address: string; kind: string; connections: number; accepted: number; refused: number;
  failed: number;
}
export interface Instance { name: string; sessions: number; serves: boolean; leaving: boolean }
export interface Backend {
  name: string; kind: string; app: string; instances: Instance[]; requests: Record<string, number>;
}
export interface Server {
  name: string; connections: number; breaker: string; up: boolean; trouble: string;
  connects: number; failures: number;
}
export interface Upstream { name: string; balance: string; refused: number; servers: Server[] }
export interface Overview {
  node: string; version: string; uptime_seconds: number; status: string; draining: boolean;
  watch: boolean; connections: Record<string, number>; counted_seconds: number;
  sessions: Record<string, number>; viewers: number; outputs: number; commands: number;
  window_bytes: number; queue_bytes: number; created: number; resumed: number;
  commits: Durations; link_round_trips: Durations; listeners: Listener[]; backends: Backend[];
  upstreams: Upstream[];
}
export interface Session {
  sid: string; state: string; user: string; profile: string; app: string; protocol: string;
  address: string; client: string; durability: string; created: number; detached: number;
  expires: number; connection: number; outputs: number; window_messages: number;
  window_bytes: number; queue_messages: number; queue_bytes: number; groups: string[];
  viewers: number; terminal: { kind: string; target: string } | null;
}
export interface Connection {
  id: number; peer: string; listener: string; phase: string; secure: boolean; sid: string;
  received_bytes: number; sent_bytes: number; silent_seconds: number; rtt_ms: number | null;
}
export interface Explanation {
  instance: string; epoch: string; era: number; generation: number; attached: boolean;
  properties: Record<string, string>; viewers: string[];
  epochs: { epoch: string; ended: number }[];
  outputs: Record<string, number>; commands: Record<string, number>;
  history: { time: number; event: string; connection: number; fields: Record<string, unknown> }[];
  sentences: string[];
}
export interface Node {
  name: string;
  host: string;
  since: number;
  here: boolean;
  sessions: number;
  silent_seconds: number;
}
export interface Page<T> { items: T[]; next: string | number | null; total: number }
export interface Change { key: string; before: string; after: string; effect: string }

const TOKEN = "holdfast.console.token";
const ANSWER_MS_MAX = 12_000;

/** A request that was not answered as it should be. `status` 0: there was no answer. */
export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** Asks the gateway, with the token of this tab. The token is in no address. */
export class Api {
  private token = sessionStorage.getItem(TOKEN) ?? "";

  get hasToken(): boolean {
    return this.token !== "";
  }

  /** Use another token from now on; none: an empty text. */
  use(token: string): void {
    this.token = token;
    if (token) sessionStorage.setItem(TOKEN, token);
    else sessionStorage.removeItem(TOKEN);
  }

  get<T>(path: string, query: Record<string, string> = {}): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== "");
    const search = new URLSearchParams(given).toString();
    return this.ask("GET", search ? `${path}?${search}` : path);
  }

  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.ask("POST", path, JSON.stringify(body));
  }

  delete<T>(path: string): Promise<T> {
    return this.ask("DELETE", path);
  }

  private async ask<T>(method: string, path: string, body?: string): Promise<T> {
    const headers: Record<string, string> = {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    let status = 0;
    let answer: unknown;
    try {
      const response = await fetch(`../api/${path}`, { method, headers, body, signal });
      status = response.status;
      answer = await response.json();
    } catch {
      throw new ApiError(status, "The gateway does not answer.");
    }
    if (status >= 400) throw new ApiError(status, reason(answer) ?? `The answer was ${status}.`);
    return answer as T;
  }
}

function reason(answer: unknown): string | undefined {
  const error = (answer as { error?: unknown } | null)?.error;
  return typeof error === "string" ? sentence(error) : undefined;
}

/** A reason of the gateway as a sentence. */
export function sentence(text: string): string {
  return text[0]?.toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
}
