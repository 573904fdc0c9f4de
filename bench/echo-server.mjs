#!/usr/bin/env node
/**
 * A front door with almost nothing behind it: reads a search request's envelope and answers a fixed result.
 *
 *   node bench/echo-server.mjs native|node
 */
import { systemClock } from "../packages/platform/dist/drivers/clock.js";
import { nodeTransport } from "../packages/platform/dist/drivers/transport/http2.js";
import { nativeTransport } from "../packages/platform/dist/drivers/transport/native.js";
import { loadAddon } from "../packages/engine/dist/load.js";
import { SearchRequestCodec } from "../packages/wire/dist/gen/milvus.js";
import { decode } from "../packages/wire/dist/protobuf/runtime.js";

const { Listener: NativeListener } = loadAddon();
const transport =
  process.argv[2] === "node"
    ? nodeTransport({ clock: systemClock })
    : nativeTransport({ clock: systemClock, NativeListener, threads: 1 });
const answer = Buffer.alloc(200, 1);
const handlers = {
  rpc: async ({ body }) => ({ status: decode(SearchRequestCodec, body).nq === 1n ? 0 : 3, message: "", body: answer }),
  http: async () => ({ status: 404, headers: {}, body: [] }),
};
const limits = { requestBytesMax: 64 << 20, responseBytesMax: 64 << 20 };
const listener = await transport.listen({ host: "127.0.0.1", port: 0, ...limits }, handlers);
process.stdout.write(`${listener.value.port}\n`);
