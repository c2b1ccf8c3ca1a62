// The parrot in another language: an application on the link, in Node without a dependency.
//
//   HOLDFAST_LINK=unix:holdfast-data/link.sock node examples/parrot.mjs
//
// A frame is a 4-byte big-endian length and a MessagePack body: a request [0, id, method, params],
// a response [1, id, error, result] or a notification [2, method, params].

import { randomBytes } from "node:crypto";
import { connect } from "node:net";

const address = process.env.HOLDFAST_LINK ?? "unix:holdfast-data/link.sock";
const instance = randomBytes(8).toString("hex"); // names this run: our outputs are numbered under it
const unaccepted = []; // outputs that the gateway has not made durable: sent again to its next run
let number = 0;

function say(socket, sid, ...items) {
  const outputs = items.map(([delivery, item]) => [sid, ++number, delivery, item]);
  unaccepted.push(...outputs);
  send(socket, [2, "emit", outputs]);
}

function answer(socket, sid, event) {
  const [kind, ...fields] = event;
  const prompt = ["latest:prompt", ["prompt", "> "]];
  if (kind === "opened") say(socket, sid, ["must", ["text", "Say something."]], prompt);
  if (kind === "text") say(socket, sid, ["must", ["text", `You said: ${fields[0]}`]], prompt);
}

function handle(socket, message) {
  const [type, ...rest] = message;
  if (type === 0) {
    const [id, method] = rest; // the gateway asks: is anybody there?
    send(socket, [1, id, method === "heartbeat" ? null : { code: "unknown_method", message: method }, {}]);
  } else if (type === 1) {
    const [, error, welcome] = rest; // the answer to our hello
    if (error) throw new Error(error.message);
    while (unaccepted.length && unaccepted[0][1] <= welcome.accepted) unaccepted.shift();
    if (unaccepted.length) send(socket, [2, "emit", unaccepted]);
    console.log(`linked to ${welcome.node}, ${welcome.sessions.length} sessions are ours`);
  } else if (rest[0] === "events") {
    const applied = new Map();
    for (const [sid, cseq, event] of rest[1]) {
      answer(socket, sid, event);
      if (cseq) applied.set(sid, cseq); // a numbered command: it need not come again
    }
    if (applied.size) send(socket, [2, "applied", [...applied]]);
  } else if (rest[0] === "accepted") {
    while (unaccepted.length && unaccepted[0][1] <= rest[1][0]) unaccepted.shift();
  }
}

function link() {
  const socket = connect(endpoint(address));
  let waiting = Buffer.alloc(0);
  socket.on("connect", () => {
    const oldest = unaccepted.length ? unaccepted[0][1] : number + 1;
    const hello = { protocol: 1, app: "parrot", instance, window: 1 << 20, oldest, sent: number };
    send(socket, [0, 1, "hello", hello]);
  });
  socket.on("data", (data) => {
    waiting = Buffer.concat([waiting, data]);
    while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
      const end = 4 + waiting.readUInt32BE(0);
      handle(socket, decode(waiting.subarray(4, end)));
      waiting = waiting.subarray(end);
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => setTimeout(link, 100 + Math.random() * 400));
}

const endpoint = (text) =>
  text.startsWith("unix:")
    ? { path: text.slice("unix:".length) }
    : { host: new URL(text).hostname, port: Number(new URL(text).port) };

// --- MessagePack, as much of it as the link needs

function send(socket, message) {
  const body = encode(message);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}

function encode(value) {
  if (value === null || value === undefined) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value === "string") {
    const bytes = Buffer.from(value);
    return Buffer.concat([sized(0xdb, bytes.length), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([sized(0xdd, value.length), ...value.map(encode)]);
  const fields = Object.entries(value);
  return Buffer.concat([sized(0xdf, fields.length), ...fields.flat().map(encode)]);
}

function encodeNumber(value) {
  const bytes = Buffer.alloc(9);
  bytes[0] = Number.isInteger(value) ? 0xd3 : 0xcb;
  if (Number.isInteger(value)) bytes.writeBigInt64BE(BigInt(value), 1);
  else bytes.writeDoubleBE(value, 1);
  return bytes;
}

function sized(code, size) {
  const bytes = Buffer.alloc(5);
  bytes[0] = code;
  bytes.writeUInt32BE(size, 1);
  return bytes;
}

function decode(bytes) {
  let at = 0;
  const take = (size) => bytes.subarray(at, (at += size));
  const uint = (size) => Number(`0x${take(size).toString("hex")}`);
  const list = (size) => Array.from({ length: size }, value);
  const map = (size) => Object.fromEntries(Array.from({ length: size }, () => [value(), value()]));
  function value() {
    const code = bytes[at++];
    if (code < 0x80) return code;
    if (code < 0x90) return map(code & 0x0f);
    if (code < 0xa0) return list(code & 0x0f);
    if (code < 0xc0) return take(code & 0x1f).toString();
    if (code >= 0xe0) return code - 0x100;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return take(uint(1 << (code - 0xc4)));
      case 0xca: return take(4).readFloatBE();
      case 0xcb: return take(8).readDoubleBE();
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return uint(1 << (code - 0xcc));
      case 0xd0: return take(1).readInt8();
      case 0xd1: return take(2).readInt16BE();
      case 0xd2: return take(4).readInt32BE();
      case 0xd3: return Number(take(8).readBigInt64BE());
      case 0xd9: case 0xda: case 0xdb: return take(uint(1 << (code - 0xd9))).toString();
      case 0xdc: case 0xdd: return list(uint(2 << (code - 0xdc)));
      case 0xde: case 0xdf: return map(uint(2 << (code - 0xde)));
      default: throw new Error(`MessagePack ${code.toString(16)} is not read here`);
    }
  }
  return value();
}

link();
