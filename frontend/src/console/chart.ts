// Small charts: the last minutes of one number, as a line over an area.

import { s } from "./dom";

const WIDTH = 240;
const HEIGHT = 48;
/** Points that are kept: four minutes of one every two seconds. */
export const POINTS_MAX = 120;
/** The width has room for so many from the beginning. */
const POINTS_MIN = 30;

/** A chart that is drawn anew with each point. `null` is a gap. */
export class Chart {
  readonly element = s("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true",
  });
  private readonly area = s("path", { class: "area" });
  private readonly line = s("path", { class: "line" });

  constructor() {
    this.element.append(this.area, this.line);
  }

  draw(points: (number | null)[]): void {
    const highest = Math.max(1e-9, ...points.map((point) => point ?? 0)) * 1.15;
    const room = Math.max(POINTS_MIN, points.length);
    const left = room - points.length;
    let line = "";
    let area = "";
    let begun: number | undefined;
    let x = 0;
    const close = () => {
      if (begun !== undefined) area += `L${x} ${HEIGHT}L${begun} ${HEIGHT}Z`;
      begun = undefined;
    };
    points.forEach((point, index) => {
      if (point === null) return close();
      x = round(((left + index) / (room - 1)) * WIDTH);
      const at = `${x} ${round(HEIGHT - 1 - (point / highest) * (HEIGHT - 2))}`;
      const step = begun === undefined ? `M${at}` : `L${at}`;
      begun ??= x;
      line += step;
      area += step;
    });
    close();
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;
