// An echo server on Node's ws: server.mjs PORT COMPRESSED
const { WebSocketServer } = await import(process.env.WS);
const [port, compressed] = process.argv.slice(2);

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(port),
  perMessageDeflate: compressed === "true" ? { threshold: 1 } : false,
  maxPayload: 1 << 26,
});
server.on("connection", (ws) => {
  ws.on("error", () => {});
  ws.on("message", (data, binary) => ws.send(data, { binary }));
});
