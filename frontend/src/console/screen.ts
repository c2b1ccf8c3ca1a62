// The screen of a watched terminal. It shows what the console sends it, and answers nothing.

import { UnicodeGraphemesAddon } from "@xterm/addon-unicode-graphemes";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";

const FONT_PIXELS = 14;
const FONT_PIXELS_MIN = 6;
/** Of a character, in parts of the size of its font. */
const WIDTH = 0.61;

const term = new Terminal({
  allowProposedApi: true, disableStdin: true, scrollback: 2_000, fontSize: FONT_PIXELS,
  fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
});
term.loadAddon(new UnicodeGraphemesAddon());
term.open(document.getElementById("screen")!);
// The key leads out of the frame, as everywhere.
term.attachCustomKeyEventHandler((event) => event.key !== "Tab");
// A program of the session writes to nobody's clipboard here.
term.parser.registerOscHandler(52, () => true);

interface Shown { columns: number; rows: number; data: Uint8Array[] }

function scale(): void {
  const pixels = Math.floor(innerWidth / (term.cols * WIDTH));
  term.options.fontSize = Math.max(FONT_PIXELS_MIN, Math.min(FONT_PIXELS, pixels));
}

window.addEventListener("message", ({ source, origin, data }: MessageEvent<Shown>) => {
  if (source !== parent || origin !== location.origin) return;
  if (data.columns !== term.cols || data.rows !== term.rows) {
    term.resize(data.columns, data.rows);
    scale();
  }
  for (const part of data.data) term.write(part);
});
window.addEventListener("resize", scale);
scale();

declare global {
  interface Window {
    holdfastScreen: Terminal;
  }
}
window.holdfastScreen = term;
parent.postMessage("ready", location.origin);
