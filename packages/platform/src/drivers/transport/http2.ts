/**
 * Node's own HTTP/2 and HTTP/1.1 behind the transport port: gRPC and REST on one port, told apart by the first
 * bytes of a connection.
 */
import { createServer as createHttp1Server, type Server as Http1Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import { createSecureContext, createServer as createTlsServer } from "node:tls";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Listener, ListenOptions, TlsFiles, Transport, TransportHandlers } from "../../ports/transport.ts";
import type { Clock } from "../../ports/world.ts";
import { type Door, GrpcCall } from "./grpc-call.ts";
import { exchangeHttp1, exchangeHttp2 } from "./http-exchange.ts";
import { InboundBudget, inFlightBytesMax } from "./inbound-budget.ts";
import { splitProtocol } from "./protocol-split.ts";

/** One stream may send this much before it must wait for us; large inserts then run at line speed. */
const STREAM_WINDOW_BYTES = 16 * 1024 * 1024;
/** Clients may send pieces of this size; the default of 16 KiB costs a tenth more per megabyte. */
const FRAME_BYTES_MAX = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 64 * 1024 * 1024;
/** Megabytes of buffered frames a connection may hold; Node's default of 10 cuts off large requests. */
const SESSION_MEMORY_MB = 1_024;
const IDLE_MS_MAX = 300_000;
/** HTTP/1.1 headers that take longer are given up. */
const HEADERS_MS_MAX = 5_000;
const HANDSHAKE_MS_MAX = 10_000;
const PING_AFTER_MS = 60_000;
const PING_ANSWER_MS_MAX = 10_000;
const HEADER_BYTES_MAX = 64 * 1024;

export interface NodeTransportOptions {
  /** Deadlines of calls are by this clock. */
  readonly clock: Clock;
}

export function nodeTransport({ clock }: NodeTransportOptions): Transport {
  return {
    listen: async (options, handlers) => {
      const problem = tlsProblem(options.tls);
      return problem === undefined ? new Http2Listener(options, handlers, clock).open() : problem;
    },
  };
}

class Http2Listener implements Listener {
  readonly host: string;
  port = 0;
  readonly #options: ListenOptions;
  readonly #net: NetServer;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  /** HTTP/1.1 connections with a running request, and all HTTP/2 ones: those close by themselves. */
  readonly #inUse = new Set<Socket>();
  #closing = false;

  constructor(options: ListenOptions, handlers: TransportHandlers, clock: Clock) {
    this.host = options.host;
    this.#options = options;
    this.#http1 = createHttp1Server({
      keepAliveTimeout: IDLE_MS_MAX,
      headersTimeout: HEADERS_MS_MAX,
      connectionsCheckingInterval: HEADERS_MS_MAX,
      maxHeaderSize: HEADER_BYTES_MAX,
    });
    // It never listens itself; this starts its watch over slow senders.
    this.#http1.emit("listening");
    this.#http1.on("request", (incoming, outgoing) => {
      const { socket } = incoming;
      this.#inUse.add(socket);
      outgoing.on("close", () => this.#leaveIdle(socket));
      exchangeHttp1(incoming, outgoing, options, handlers);
    });
    this.#http1.on("clientError", (_error, socket) => socket.destroy());
    this.#http2 = this.#createHttp2({ options, handlers, clock, budget: new InboundBudget(inFlightBytesMax(options)) });
    this.#net = this.#createServer((socket) => this.#accept(socket));
  }

  open(): Promise<Outcome<Listener>> {
    return new Promise((resolve) => {
      this.#net.once("error", (error: NodeJS.ErrnoException) => {
        const place = `${this.#options.host}:${this.#options.port}`;
        const why = error.code === "EADDRINUSE" ? "the port is in use" : error.message;
        resolve(fail({ kind: "ioFailed", message: `cannot listen on ${place}: ${why}` }));
      });
      this.#net.listen(this.#options.port, this.#options.host, () => {
        this.port = (this.#net.address() as AddressInfo).port;
        resolve(succeed(this));
      });
    });
  }

  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#net.close(() => resolve()));
    this.#closing = true;
    this.#http1.close();
    for (const session of this.#sessions) session.close();
    for (const socket of this.#sockets) if (!this.#inUse.has(socket)) socket.destroy();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }

  #createServer(accept: (socket: Socket) => void): NetServer {
    const { tls } = this.#options;
    if (tls === undefined) return createNetServer({ noDelay: true, pauseOnConnect: false }, accept);
    const server = createTlsServer(
      {
        cert: Buffer.from(tls.certificate),
        key: Buffer.from(tls.key),
        ALPNProtocols: ["h2", "http/1.1"],
        handshakeTimeout: HANDSHAKE_MS_MAX,
        noDelay: true,
      },
      accept,
    );
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#inUse.delete(socket);
    });
    splitProtocol(socket, (protocol, ready) => {
      if (protocol === "http2") this.#inUse.add(ready);
      (protocol === "http2" ? this.#http2 : this.#http1).emit("connection", ready);
    });
  }

  /** An HTTP/1.1 connection between two requests. */
  #leaveIdle(socket: Socket): void {
    this.#inUse.delete(socket);
    if (this.#closing) socket.end();
  }

  #createHttp2(door: Door): Http2Server {
    const server = createHttp2Server({
      settings: {
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxFrameSize: FRAME_BYTES_MAX,
        maxConcurrentStreams: 1_024,
        maxHeaderListSize: HEADER_BYTES_MAX,
      },
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    server.on("session", (session) => this.#watch(session));
    server.on("sessionError", () => {});
    server.on("stream", (stream, headers) => {
      if (isGrpc(headers["content-type"])) new GrpcCall(stream, headers, door).start();
      else exchangeHttp2(stream, headers, door.options, door.handlers);
    });
    return server;
  }

  #watch(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on("error", () => session.destroy());
    session.on("close", () => this.#sessions.delete(session));
    session.setTimeout(PING_AFTER_MS, () => probe(session));
  }
}

/** An idle peer that no longer answers is dropped. */
function probe(session: ServerHttp2Session): void {
  if (session.destroyed || session.closed) return;
  const timer = setTimeout(() => session.destroy(), PING_ANSWER_MS_MAX);
  const sent = session.ping((error) => {
    clearTimeout(timer);
    if (error !== null) session.destroy();
  });
  if (!sent) clearTimeout(timer);
}

function tlsProblem(tls: TlsFiles | undefined): Outcome<never> | undefined {
  if (tls === undefined) return undefined;
  try {
    createSecureContext({ cert: Buffer.from(tls.certificate), key: Buffer.from(tls.key) });
    return undefined;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return fail({ kind: "ioFailed", message: `the TLS certificate or key cannot be used: ${why}` });
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType?.startsWith("application/grpc") ?? false;
}
