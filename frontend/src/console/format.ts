// Numbers and times, as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PART = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const SPANS: [number, string][] = [[86_400, "d"], [3_600, "h"], [60, "min"]];

export const whole = (value: number): string => WHOLE.format(value);

/** A rate or an average: with a decimal where it is small. */
export const part = (value: number): string => (value < 100 ? PART : WHOLE).format(value);

export function bytes(value: number): string {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? part(value) : whole(value)} ${UNITS[unit]}`;
}

export function milliseconds(seconds: number): string {
  const value = seconds * 1000;
  return `${value < 10 ? value.toFixed(2) : part(value)} ms`;
}

/** A span of time, by its two largest units. */
export function span(seconds: number): string {
  for (const [index, [size, unit]] of SPANS.entries()) {
    if (seconds < size) continue;
    const [small, smaller] = SPANS[index + 1] ?? [1, "s"];
    const rest = Math.floor((seconds % size) / small);
    return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`;
  }
  return `${Math.floor(seconds)} s`;
}

/** A moment, in seconds, as the clock on the wall shows it here. */
export function moment(seconds: number): string {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  const time = at.toLocaleTimeString("en-GB");
  return today ? time : `${at.toLocaleDateString("en-CA")} ${time}`;
}

/** `detached_active` as words. */
export const words = (name: string): string => name.replaceAll("_", " ");

/** The end of a session's id, by which people tell two apart: the beginning is the time. */
export const short = (sid: string): string => `…${sid.slice(-12)}`;
