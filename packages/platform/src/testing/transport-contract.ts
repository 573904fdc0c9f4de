/** What every transport keeps, over real loopback sockets. */
import { request as requestHttps } from "node:https";
import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { DbFailure } from "@elanus/model/error";
import { frameHeader } from "../drivers/transport/grpc-frames.ts";
import type {
  HttpRequest,
  Listener,
  ListenOptions,
  RpcRequest,
  Transport,
  TransportHandlers,
} from "../ports/transport.ts";
import { testCertificate, testKey } from "./certificate.ts";
import { call, closeAll, closeLater, connected, gate, readAll, session } from "./transport-client.ts";

const MiB = 1024 * 1024;
/** A test holds both ends of them; `bench/front-door.mjs` opens ten thousand. */
const IDLE_CONNECTIONS = 2_000;
/** What an HTTP/2 client says first: the preface and empty settings. */
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

export function transportContract(name: string, transport: Transport): void {
  afterEach(closeAll);

  async function listen(handlers: Partial<TransportHandlers>, limits: Partial<ListenOptions> = {}): Promise<Listener> {
    const all: TransportHandlers = {
      rpc: async ({ body }) => ({ status: 0, message: "", body }),
      http: async ({ body }) => ({ status: 200, headers: { "content-type": "text/plain" }, body: [body] }),
      ...handlers,
    };
    const listener = await transport.listen(
      { host: "127.0.0.1", port: 0, requestBytesMax: 64 * MiB, responseBytesMax: 64 * MiB, ...limits },
      all,
    );
    if (!listener.ok) throw new DbFailure(listener.error);
    closeLater(() => listener.value.close(0));
    return listener.value;
  }

  describe(`transport contract: ${name}`, () => {
    describe("gRPC", () => {
      test("a call reaches the handler with its path, metadata and deadline", async () => {
        const seen: RpcRequest[] = [];
        const listener = await listen({
          rpc: async (request) => {
            seen.push(request);
            return { status: 0, message: "", body: Buffer.from("yes") };
          },
        });
        const reply = await call(session(listener), Buffer.from("question"), {
          headers: { dbname: "d1", "grpc-timeout": "10S" },
        });
        expect(reply).toMatchObject({ status: "0" });
        expect(reply.body.toString()).toBe("yes");
        expect(seen[0]?.path).toBe("/pkg.Service/Echo");
        expect(seen[0]?.metadata.get("dbname")).toBe("d1");
        expect(Buffer.from(seen[0]?.body ?? []).toString()).toBe("question");
        expect(seen[0]?.deadlineMs).toBeGreaterThan(Date.now());
      });

      test("a failure is a status with its text, whatever letters it has", async () => {
        const listener = await listen({
          rpc: async () => ({ status: 12, message: "not 100% «done» 中文", body: new Uint8Array(0) }),
        });
        expect(await call(session(listener), new Uint8Array(0))).toMatchObject({
          status: "12",
          message: "not 100% «done» 中文",
        });
      });

      test("messages of many megabytes go both ways", async () => {
        const listener = await listen({});
        const message = Buffer.alloc(33 * 1024 * 1024, 7);
        const reply = await call(session(listener), message);
        expect(reply.status).toBe("0");
        expect(reply.body.equals(message)).toBe(true);
      });

      test("large requests wait for room instead of piling up", async () => {
        let working = 0;
        let most = 0;
        const listener = await listen(
          {
            rpc: async () => {
              working++;
              most = Math.max(most, working);
              await new Promise((resolve) => setImmediate(resolve));
              working--;
              return { status: 0, message: "", body: new Uint8Array(0) };
            },
          },
          { inFlightBytesMax: 300_000 },
        );
        const clients = [session(listener), session(listener)];
        const calls = Array.from({ length: 20 }, (_, at) =>
          call(clients[at % 2] ?? session(listener), Buffer.alloc(200_000)),
        );
        expect((await Promise.all(calls)).map((reply) => reply.status)).toEqual(calls.map(() => "0"));
        expect(most).toBe(1);
      });

      test("a message above the limit is refused by name and the connection stays usable", async () => {
        const listener = await listen({}, { requestBytesMax: 1_000 });
        const client = session(listener);
        const refused = await call(client, Buffer.alloc(200_000));
        expect(refused.status).toBe("8");
        expect(refused.message).toContain("message larger than max (200000 vs. 1000)");
        expect(await call(client, Buffer.from("small"))).toMatchObject({ status: "0" });
      });

      test("compressed messages are accepted, bombs and unknown encodings are not", async () => {
        const listener = await listen({}, { requestBytesMax: 10_000 });
        const client = session(listener);
        const gzip = { headers: { "grpc-encoding": "gzip" }, flag: 1 };
        expect((await call(client, gzipSync("hello"), gzip)).body.toString()).toBe("hello");
        const bomb = await call(client, gzipSync(Buffer.alloc(1_000_000)), gzip);
        expect(bomb).toMatchObject({ status: "8" });
        expect(bomb.message).toContain("message larger than max");
        expect(await call(client, Buffer.from("x"), { headers: { "grpc-encoding": "zstd" }, flag: 1 })).toMatchObject({
          status: "12",
        });
        expect(await call(client, Buffer.from("not gzip"), gzip)).toMatchObject({ status: "13" });
      });

      test("a frame that is none is answered", async () => {
        const listener = await listen({});
        const client = session(listener);
        for (const raw of [
          Buffer.alloc(0),
          Buffer.from([0, 0]),
          Buffer.from([9, 0, 0, 0, 0]),
          Buffer.from([0, 0, 0, 0, 9, 1]),
        ]) {
          expect(await call(client, raw, { raw })).toMatchObject({ status: "13" });
        }
      });

      test("a passed deadline is answered at once and aborts the work", async () => {
        const [aborted, abort] = gate();
        const listener = await listen({
          rpc: ({ signal }) => new Promise(() => signal.addEventListener("abort", abort)),
        });
        expect(await call(session(listener), new Uint8Array(0), { headers: { "grpc-timeout": "20m" } })).toMatchObject({
          status: "4",
        });
        await aborted;
      });

      test("a caller that leaves aborts the work", async () => {
        const [gone, left] = gate();
        const [here, arrived] = gate();
        const listener = await listen({
          rpc: ({ signal }) => {
            signal.addEventListener("abort", () => left());
            arrived();
            return new Promise(() => {});
          },
        });
        const client = session(listener);
        void call(client, new Uint8Array(0)).catch(() => {});
        await here;
        client.destroy();
        await gone;
      });

      test("a handler that throws fails its own call", async () => {
        const listener = await listen({
          rpc: async () => {
            throw new Error("bug");
          },
        });
        expect(await call(session(listener), new Uint8Array(0))).toMatchObject({ status: "13", message: "bug" });
      });

      test("frequent pings on an idle connection are tolerated", async () => {
        const listener = await listen({});
        const client = session(listener);
        for (let at = 0; at < 50; at++) await new Promise<void>((resolve) => client.ping(() => resolve()));
        expect(await call(client, Buffer.from("still here"))).toMatchObject({ status: "0" });
      });

      test("a message of 256 MiB comes in", async () => {
        const listener = await listen(
          { rpc: async ({ body }) => ({ status: 0, message: "", body: Buffer.from(`${body.length} ${body.at(-1)}`) }) },
          { requestBytesMax: 256 * MiB },
        );
        const reply = await call(session(listener), Buffer.alloc(256 * MiB, 5));
        expect(reply.body.toString()).toBe(`${256 * MiB} 5`);
      });

      test("a caller that does not read its answer holds up nobody else", async () => {
        const large = Buffer.alloc(20 * MiB, 3);
        const listener = await listen({
          rpc: async ({ path, body }) => ({ status: 0, message: "", body: path === "/large" ? large : body }),
        });
        const client = session(listener);
        const slow = client.request({ ":method": "POST", ":path": "/large", "content-type": "application/grpc" });
        slow.end(frameHeader(0));
        await new Promise((resolve) => slow.once("response", resolve));
        const replies = await Promise.all(Array.from({ length: 20 }, () => call(client, Buffer.from("small"))));
        expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => "0"));
        let bytes = 0;
        slow.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
        await new Promise((resolve) => slow.on("end", resolve));
        expect(bytes).toBe(large.length + 5);
      });

      test("a request keeps its bytes while its handler works, whatever comes meanwhile", async () => {
        const listener = await listen({
          rpc: async ({ body }) => {
            await new Promise((resolve) => setTimeout(resolve, 5));
            return {
              status: 0,
              message: "",
              body: Buffer.from(`${body.every((byte) => byte === body[0])} ${body[0]}`),
            };
          },
        });
        const clients = [session(listener), session(listener)];
        const replies = await Promise.all(
          Array.from({ length: 60 }, (_, at) =>
            call(clients[at % 2] ?? session(listener), Buffer.alloc(1_000 * (at + 1), at)),
          ),
        );
        expect(replies.map((reply) => reply.body.toString())).toEqual(replies.map((_, at) => `true ${at}`));
      });

      test("a stream that is kept open sends its first message and stays", async () => {
        const listener = await listen({
          rpc: async () => ({ status: 0, message: "", body: Buffer.from("first"), keepOpen: true }),
        });
        const stream = session(listener).request({
          ":method": "POST",
          ":path": "/h/Watch",
          "content-type": "application/grpc",
        });
        stream.on("error", () => {});
        stream.end(frameHeader(0));
        const first = await new Promise<Buffer>((resolve) => stream.once("data", resolve));
        expect(first.subarray(5).toString()).toBe("first");
        expect(stream.readableEnded).toBe(false);
      });
    });

    describe("one port for both protocols", () => {
      test("HTTP/1.1 reaches the other handler", async () => {
        const seen: HttpRequest[] = [];
        const listener = await listen({
          http: async (request) => {
            seen.push(request);
            return { status: 201, headers: {}, body: [Buffer.from("a"), Buffer.from("b")] };
          },
        });
        const answer = await fetch(`http://127.0.0.1:${listener.port}/v2/x?y=1`, {
          method: "POST",
          body: "{}",
          headers: { "DB-Name": "d" },
        });
        expect(answer.status).toBe(201);
        expect(await answer.text()).toBe("ab");
        expect(seen[0]).toMatchObject({ method: "POST", path: "/v2/x", query: "y=1" });
        expect(seen[0]?.headers.get("db-name")).toBe("d");
      });

      test("cleartext HTTP/2 that is not gRPC reaches it too", async () => {
        const listener = await listen({});
        const stream = session(listener).request({
          ":method": "POST",
          ":path": "/v2/x",
          "content-type": "application/json",
        });
        stream.end("hello");
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        await new Promise((resolve) => stream.on("end", resolve));
        expect(Buffer.concat(chunks).toString()).toBe("hello");
      });

      test("the first bytes may come one by one", async () => {
        const listener = await listen({});
        const socket = await connected(listener);
        for (const letter of "POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok") {
          await new Promise<void>((resolve) => socket.write(letter, () => resolve()));
          await new Promise((resolve) => setImmediate(resolve));
        }
        const text = await readAll(socket);
        expect(text).toContain("HTTP/1.1 200");
        expect(text.endsWith("ok")).toBe(true);
      });

      test("garbage closes its own connection only", async () => {
        const listener = await listen({});
        const socket = await connected(listener);
        socket.end("\u0000\u0001garbage\r\n\r\n");
        await readAll(socket);
        expect(await call(session(listener), Buffer.from("fine"))).toMatchObject({ status: "0" });
      });

      test("random bytes after the preface of HTTP/2 hurt their own connection only", async () => {
        const listener = await listen({});
        const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        for (const garbage of fc.sample(fc.uint8Array({ minLength: 9, maxLength: 300 }), 60)) {
          const socket = await connected(listener);
          await new Promise<void>((resolve) => socket.write(Buffer.concat([preface, garbage]), () => resolve()));
          socket.destroy();
        }
        expect(await call(session(listener), Buffer.from("fine"))).toMatchObject({ status: "0" });
      });

      test("a body above the limit is refused with 413", async () => {
        const listener = await listen({}, { requestBytesMax: 100 });
        const answer = await fetch(`http://127.0.0.1:${listener.port}/`, { method: "POST", body: "x".repeat(101) });
        expect(answer.status).toBe(413);
      });
    });

    describe("closing", () => {
      test("running calls finish, new connections are refused", async () => {
        const { rpc, here, finish } = slowHandler();
        const listener = await listen({ rpc });
        const reply = call(session(listener), new Uint8Array(0));
        await here;
        const closed = listener.close(10_000);
        finish();
        expect((await reply).body.toString()).toBe("late");
        await closed;
        await expect(fetch(`http://127.0.0.1:${listener.port}/`)).rejects.toThrow();
      });

      test("a client that holds a connection is told by GOAWAY, and its running call still finishes", async () => {
        const { rpc, here, finish } = slowHandler();
        const listener = await listen({ rpc });
        const client = session(listener);
        const told = new Promise((resolve) => client.once("goaway", resolve));
        const reply = call(client, new Uint8Array(0));
        await here;
        const closed = listener.close(10_000);
        expect(await told).toBe(0);
        finish();
        expect((await reply).body.toString()).toBe("late");
        await closed;
      });

      test("calls that do not finish are cut off after the grace", async () => {
        const listener = await listen({ rpc: () => new Promise(() => {}) });
        const reply = call(session(listener), new Uint8Array(0)).then(
          (r) => r.status,
          () => "lost",
        );
        await fetch(`http://127.0.0.1:${listener.port}/`, { method: "POST", body: "" });
        await listener.close(10);
        expect(["lost", undefined]).toContain(await reply);
      });

      test("a port in use is told", async () => {
        const listener = await listen({});
        const handlers: TransportHandlers = {
          rpc: async () => ({ status: 0, message: "", body: new Uint8Array(0) }),
          http: async () => ({ status: 200, headers: {}, body: [] }),
        };
        const second = await transport.listen(
          { host: "127.0.0.1", port: listener.port, requestBytesMax: 1, responseBytesMax: 1 },
          handlers,
        );
        expect(second).toMatchObject({
          ok: false,
          error: { kind: "ioFailed", message: expect.stringContaining("in use") },
        });
      });
    });

    describe("hostile callers", () => {
      test("requests that are opened and cancelled at once hurt their own connection only", async () => {
        const listener = await listen({});
        const rude = session(listener);
        for (let at = 0; at < 2_000 && !rude.destroyed; at++) {
          const stream = rude.request({ ":method": "POST", ":path": "/x", "content-type": "application/grpc" });
          stream.on("error", () => {});
          stream.close(8);
        }
        expect(await call(session(listener), Buffer.from("fine"))).toMatchObject({ status: "0" });
      });

      test("a large message that never comes holds up no small ones", async () => {
        const listener = await listen({}, { inFlightBytesMax: 1_000_000 });
        const stuck = session(listener).request({
          ":method": "POST",
          ":path": "/x",
          "content-type": "application/grpc",
        });
        stuck.on("error", () => {});
        await new Promise<void>((resolve) => stuck.write(cutFrame(900_000), () => resolve()));
        expect(await call(session(listener), Buffer.alloc(1_000))).toMatchObject({ status: "0" });
      });

      test("who takes all the room and sends no more loses it to those who wait", async () => {
        const listener = await listen({}, { inFlightBytesMax: 300_000, stallMsMax: 100 });
        const stuck = call(session(listener), Buffer.alloc(0), { raw: cutFrame(200_000), open: true });
        const waiting = call(session(listener), Buffer.alloc(200_000));
        expect(await stuck).toMatchObject({ status: "4", message: "the request stopped coming in" });
        expect(await waiting).toMatchObject({ status: "0" });
      });

      test("thousands of idle connections stay open and leave the rest served", async () => {
        const listener = await listen({});
        const sockets: Socket[] = [];
        for (let at = 0; at < IDLE_CONNECTIONS; at += 500) {
          sockets.push(...(await Promise.all(Array.from({ length: 500 }, () => connected(listener)))));
        }
        for (const socket of sockets) socket.write(PREFACE);
        expect(await call(session(listener), Buffer.from("fine"))).toMatchObject({ status: "0" });
        // Its settings arrive: every one of them is served as HTTP/2.
        await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("data", resolve))));
        expect(sockets.filter((socket) => socket.destroyed)).toEqual([]);
      });
    });

    describe("TLS", () => {
      const tls = { certificate: Buffer.from(testCertificate), key: Buffer.from(testKey) };

      test("gRPC and HTTP/1.1 are told apart under it", async () => {
        const listener = await listen({}, { tls });
        const client = session(listener, { ca: testCertificate });
        const reply = await call(client, Buffer.alloc(3 * MiB, 1));
        expect(reply).toMatchObject({ status: "0" });
        expect(reply.body.length).toBe(3 * MiB);
        expect(await postOverTls(listener, "hello")).toBe("200 hello");
      });

      test("plain text is not answered", async () => {
        const listener = await listen({}, { tls });
        const socket = await connected(listener);
        socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        expect(await readAll(socket)).not.toContain("HTTP/1.1 200");
        expect(await postOverTls(listener, "still")).toBe("200 still");
      });

      test("a certificate that is none is refused when the port is opened", async () => {
        const nonsense = { certificate: Buffer.from("nonsense"), key: Buffer.from("nonsense") };
        await expect(listen({}, { tls: nonsense })).rejects.toThrow("TLS certificate");
      });
    });
  });
}

/** A frame that announces `bytes` and holds a few of them. */
function cutFrame(bytes: number): Buffer {
  return Buffer.concat([frameHeader(bytes), Buffer.alloc(9)]);
}

/** Tells when a call is there, and answers `late` once it may. */
function slowHandler(): { rpc: TransportHandlers["rpc"]; here: Promise<void>; finish: () => void } {
  const [opened, finish] = gate();
  const [here, arrived] = gate();
  const rpc: TransportHandlers["rpc"] = async () => {
    arrived();
    await opened;
    return { status: 0, message: "", body: Buffer.from("late") };
  };
  return { rpc, here, finish };
}

/** Status and body of the answer to a POST over HTTP/1.1. */
function postOverTls(listener: Listener, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: listener.port, ca: testCertificate, method: "POST", agent: false };
    const request = requestHttps(options, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve(`${response.statusCode} ${body}`));
    });
    request.on("error", reject);
    request.end(text);
  });
}
