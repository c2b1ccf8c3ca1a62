// Talks to an echo server with Node's ws: client.mjs URL COMPRESSED LARGE_BYTES
const { WebSocket } = await import(process.env.WS);
const [url, compressed, large] = process.argv.slice(2);

const ws = new WebSocket(url, { perMessageDeflate: compressed === "true", maxPayload: 1 << 26 });
const heard = [];
let wake = () => {};
ws.on("message", (data, isBinary) => {
  heard.push(isBinary ? data : data.toString());
  wake();
});
const hear = async () => {
  while (!heard.length) await new Promise((done) => (wake = done));
  return heard.shift();
};
const expect = async (what, expected) => {
  const found = await hear();
  const same = typeof expected === "string" ? found === expected : expected.equals(found);
  if (!same) throw new Error(`${what}: ${String(found).slice(0, 80)} came back`);
};

await new Promise((done, failed) => ws.on("open", done).on("error", failed));
if ((ws.extensions !== "") !== (compressed === "true")) throw new Error(`agreed on '${ws.extensions}'`);
for (const text of ["", "grüß 😀", "again and ".repeat(5000)]) {
  ws.send(text);
  await expect("text", text);
}
const bytes = Buffer.alloc(Number(large), "0123456789abcde");
for (const size of [0, 1, 126, 65536, bytes.length]) {
  ws.send(bytes.subarray(0, size));
  await expect(`binary ${size}`, bytes.subarray(0, size));
}
for (const [part, fin] of [["one ", false], ["two ", false], ["three", true]]) ws.send(part, { fin });
await expect("fragments", "one two three");
const pong = new Promise((done) => ws.on("pong", (data) => done(data.toString())));
ws.ping("life?");
if ((await pong) !== "life?") throw new Error("pong");
const closed = new Promise((done) => ws.on("close", (code, reason) => done(`${code} ${reason}`)));
ws.close(4321, "bye");
if ((await closed) !== "4321 ") throw new Error(`closed with ${await closed}`);
console.log("ok");
