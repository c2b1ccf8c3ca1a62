// An application behind Holdfast that is a URL, in plain Node: it echoes, and knows who said `I am NAME`.
//
//   HOLDFAST_SECRET=... node app.mjs 8000
//
// [[listener]]
// url = "ws://127.0.0.1:8080/"
// backend = "http"
// endpoint = "http://127.0.0.1:8000/"
// app = "echo"
// secret_files = ["holdfast.secret"]

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const SECRET = process.env.HOLDFAST_SECRET ?? "";
const AGE_SECONDS_MAX = 300;

/** Whether Holdfast has signed these bytes, and not long ago. */
function isSigned(header, body) {
  const parts = (header ?? "").split(",").map((part) => part.split("="));
  const time = parts.find(([name]) => name === "t")?.[1] ?? "";
  const hmac = createHmac("sha256", SECRET).update(`${time}.`).update(body);
  const expected = Buffer.from(hmac.digest("hex"));
  const signed = parts.some(([name, value]) => {
    const shown = Buffer.from(value ?? "");
    return name === "v1" && shown.length === expected.length && timingSafeEqual(shown, expected);
  });
  return signed && Math.abs(Date.now() / 1000 - Number(time)) <= AGE_SECONDS_MAX;
}

/** What to answer to the events of a session. */
function handle({ session, events }) {
  const answer = { items: [] };
  for (const event of events) {
    if (event.type === "opened") answer.items.push("Who are you?");
    if (event.type !== "text") continue;
    const name = event.text.match(/^I am (\w+)$/)?.[1];
    if (name) answer.identify = name;
    answer.items.push(name ? `Hello, ${name}.` : `${session.user || "Somebody"} said ${event.text}`);
  }
  return answer;
}

async function serve(request, response) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const signed = isSigned(request.headers["holdfast-signature"], body);
  if (!signed) return response.writeHead(401).end();
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify(handle(JSON.parse(body))));
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error.message); // a request that was cut off, for example
    response.destroy();
  });
});
server.listen(Number(process.argv[2] ?? 8000), "127.0.0.1", () => console.log("ready"));
