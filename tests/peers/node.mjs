// The JavaScript client under Node: what is typed is said, what happens is written, a line each.
//
//   node node.mjs path/to/holdfast.js ws://127.0.0.1:8080/

import { createInterface } from "node:readline";

const [, , module, url] = process.argv;
const { Session } = await import(module);
const session = new Session(url, { client: "node" });
for (const name of ["state", "began", "text", "prompt", "code", "refused", "bye"]) {
  session.on(name, (message) => console.log(JSON.stringify({ event: name, ...message })));
}
createInterface({ input: process.stdin })
  .on("line", (line) => (line.startsWith("resume ") ? session.resume(line.slice(7)) : session.command(line)))
  .on("close", () => session.close());
