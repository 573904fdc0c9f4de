/**
 * A light gRPC client for load: pre-encoded requests over Node's HTTP/2, one call at a time per connection, so that
 * the client costs as little as it can beside the server it measures.
 */
import { connect } from "node:http2";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(join(root, "packages/wire/package.json"));
const protobuf = require("protobufjs");
const descriptors = require("@zilliz/milvus2-sdk-node/dist/milvus/proto-json/milvus.base.js");

const milvus = protobuf.Root.fromJSON(descriptors.default ?? descriptors);
const typeOf = (name) => milvus.lookupType(name.includes(".") ? name : `milvus.proto.milvus.${name}`);

/** Fields by their names in the `.proto` files. */
export function encode(name, value) {
  const type = typeOf(name);
  return Buffer.from(type.encode(type.fromObject(renamed(value, camel))).finish());
}

export function decode(name, bytes) {
  return renamed(
    typeOf(name).toObject(typeOf(name).decode(bytes), { longs: Number, enums: String, defaults: false }),
    snake,
  );
}

const camel = (key) => key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function renamed(value, rename) {
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map((one) => renamed(one, rename)) : value;
  if (value === null || typeof value !== "object" || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [rename(key), renamed(inner, rename)]));
}

export class Connection {
  #session;

  constructor(address) {
    this.#session = connect(`http://${address}`, { settings: { initialWindowSize: 8 * 1024 * 1024 } });
    this.#session.on("connect", () => this.#session.setLocalWindowSize(16 * 1024 * 1024));
    this.#session.on("error", () => {});
  }

  /** The answer's message; throws on a gRPC status other than 0. */
  call(method, body) {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ":method": "POST",
        ":path": `/milvus.proto.milvus.MilvusService/${method}`,
        "content-type": "application/grpc",
        te: "trailers",
      });
      const chunks = [];
      let status = "0";
      let message = "";
      const note = (headers) => {
        status = headers["grpc-status"] ?? status;
        message = headers["grpc-message"] ?? message;
      };
      stream.on("response", note);
      stream.on("trailers", note);
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => {
        if (status !== "0") return reject(new Error(`${method}: gRPC status ${status} ${decodeURIComponent(message)}`));
        resolve(Buffer.concat(chunks).subarray(5));
      });
      stream.end(frame(body));
    });
  }

  close() {
    this.#session.close();
  }
}

function frame(body) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/**
 * Each connection calls in a loop over `requests` for `seconds` (after one of warm-up).
 * @returns calls per second, latencies at the 50th and 99th percentile in ms, and all calls, the warm-up's too.
 */
export async function measure(address, { method, requests, connections, seconds }) {
  const open = Array.from({ length: connections }, () => new Connection(address));
  const latencies = [];
  let calls = 0;
  const start = performance.now() + 1_000;
  const end = start + seconds * 1_000;
  await Promise.all(
    open.map(async (connection, c) => {
      for (let i = c; performance.now() < end; i += connections) {
        const began = performance.now();
        await connection.call(method, requests[i % requests.length]);
        calls += 1;
        if (began >= start) latencies.push(performance.now() - began);
      }
    }),
  );
  open.forEach((connection) => connection.close());
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  return { perSecond: Math.round(latencies.length / seconds), p50: round(at(0.5)), p99: round(at(0.99)), calls };
}

export function round(value, digits = 2) {
  return Number(value.toFixed(digits));
}
