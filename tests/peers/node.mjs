// The JavaScript client under Node: what is typed is said, what happens is written, a line each.
//
//   node node.mjs path/to/holdfast.js ws://127.0.0.1:8080/ [INTERVALS [TIMEOUTS]]
//
// The numbers are how much longer intervals and time-outs last than they should.

import { createInterface } from "node:readline";

const [, , module, url, intervals = 1, timeouts = 1] = process.argv;
const { setInterval, setTimeout } = globalThis;
globalThis.setInterval = (action, ms) => setInterval(action, ms * intervals);
globalThis.setTimeout = (action, ms) => setTimeout(action, ms * timeouts);
let wake;
globalThis.addEventListener = (name, action) => (wake = action);
globalThis.removeEventListener = () => {};

const { Session } = await import(module);
const session = new Session(url, { client: "node" });
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
