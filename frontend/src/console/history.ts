// What the charts show: the overviews of the last minutes, as numbers.

import type { Durations, Overview } from "./api";
import { POINTS_MAX } from "./chart";

export const FIGURES = ["connections", "sessions", "out", "in", "link", "commit"] as const;
export type Figure = (typeof FIGURES)[number];

const sum = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((a, b) => a + b, 0);

/** The points of each figure, kept while other parts of the page are shown. */
export class History {
  readonly points = {} as Record<Figure, (number | null)[]>;
  private last: Overview | undefined;

  constructor() {
    this.clear();
  }

  clear(): void {
    this.last = undefined;
    for (const figure of FIGURES) this.points[figure] = [];
  }

  /** Add an overview. Returns whether it is of another run of the gateway than the last one. */
  add(now: Overview): boolean {
    const restarted = this.last !== undefined && now.uptime_seconds < this.last.uptime_seconds;
    if (restarted) this.clear();
    const last = this.last;
    const seconds = last ? now.counted_seconds - last.counted_seconds : 0;
    const rate = (figure: "out" | "in", key: "outputs" | "commands") =>
      last && seconds > 0 ? Math.max(0, now[key] - last[key]) / seconds : this.newest(figure);
    this.push("connections", sum(now.connections));
    this.push("sessions", sum(now.sessions));
    this.push("out", rate("out", "outputs"));
    this.push("in", rate("in", "commands"));
    this.push("link", mean(last?.link_round_trips, now.link_round_trips) ?? this.newest("link"));
    this.push("commit", mean(last?.commits, now.commits) ?? this.newest("commit"));
    this.last = now;
    return restarted;
  }

  /** There was no answer: a gap. */
  miss(): void {
    if (this.last) for (const figure of FIGURES) this.push(figure, null);
  }

  newest(figure: Figure): number | null {
    return this.points[figure].at(-1) ?? null;
  }

  private push(figure: Figure, point: number | null): void {
    const points = this.points[figure];
    points.push(point);
    if (points.length > POINTS_MAX) points.shift();
  }
}

/** The mean of what has been added; of all if there is no earlier one. */
function mean(before: Durations | undefined, now: Durations): number | null {
  const count = now.count - (before?.count ?? 0);
  return count > 0 ? (now.seconds - (before?.seconds ?? 0)) / count : null;
}
