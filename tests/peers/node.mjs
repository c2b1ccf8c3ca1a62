// The JavaScript client under Node: what is typed is said, what happens is written, a line each.
//
//   node node.mjs path/to/holdfast.js ws://127.0.0.1:8080/ [INTERVALS [TIMEOUTS]]
//
// The numbers are how much longer intervals and time-outs last than they should.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [, , module, url, intervals = 1, timeouts = 1] = process.argv;
const { setInterval, setTimeout } = globalThis;
globalThis.setInterval = (action, ms) => setInterval(action, ms * intervals);
globalThis.setTimeout = (action, ms) => setTimeout(action, ms * timeouts);
let wake;
globalThis.addEventListener = (name, action) => {
  if (name === "online") wake = action;
};
globalThis.removeEventListener = () => {};

const { Session } = await import(module);
// `ws`, an emitter that throws an error that nobody listens to, comes with Playwright.
const bundle = process.env.WS_BUNDLE;
const options = bundle ? { WebSocket: createRequire(import.meta.url)(bundle).ws } : {};
const session = new Session(url, { client: "node", ...options });
for (const name of ["state", "began", "text", "prompt", "code", "refused", "bye"]) {
  session.on(name, (message) => console.log(JSON.stringify({ event: name, ...message })));
}
createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "wake") wake();
    else if (line.startsWith("resume ")) session.resume(line.slice(7));
    else session.command(line);
  })
  .on("close", () => session.close());
