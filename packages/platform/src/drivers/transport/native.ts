/**
 * The native engine's listener behind the transport port. It frames HTTP/2, gRPC, HTTP/1.1 and TLS on threads of
 * its own; here its batches of requests become calls of the handlers.
 */
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type {
  NativeEntrance,
  NativeListener,
  OpenNativeEntrance,
  OpenNativeListener,
} from "../../ports/native-listener.ts";
import type {
  HttpRequest,
  Listener,
  ListenOptions,
  Metadata,
  RpcRequest,
  Transport,
  TransportHandlers,
} from "../../ports/transport.ts";
import type { Clock } from "../../ports/world.ts";
import { GrpcStatus } from "./grpc-text.ts";
import { decompress } from "./gzip.ts";
import { inFlightBytesMax, stallMsMax } from "./inbound-budget.ts";
import { type DoorEvent, eventsOf } from "./native-batch.ts";

export interface NativeTransportOptions {
  /** Deadlines of calls are by this clock. */
  readonly clock: Clock;
  readonly NativeListener: OpenNativeListener;
  /** Threads that read and write sockets. */
  readonly threads: number;
  /** Number of the entrance to stand behind; without it the address is listened on. */
  readonly entrance?: number;
}

/** A socket for several listeners, or why there is none. */
export function openEntrance(Entrance: OpenNativeEntrance, host: string, port: number): Outcome<NativeEntrance> {
  return opened(host, port, () => new Entrance(host, port));
}

export function nativeTransport(own: NativeTransportOptions): Transport {
  return {
    listen: async (options, handlers) =>
      opened(options.host, options.port, () => new NativeFrontDoor(own, options, handlers)),
  };
}

function opened<T>(host: string, port: number, open: () => T): Outcome<T> {
  try {
    return succeed(open());
  } catch (cause) {
    if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ioFailed") throw cause;
    return fail({ kind: "ioFailed", message: `cannot listen on ${host}:${port}: ${cause.message}` });
  }
}

type RpcEvent = Extract<DoorEvent, { kind: "rpc" }>;
type HttpEvent = Extract<DoorEvent, { kind: "http" }>;

class NativeFrontDoor implements Listener {
  readonly host: string;
  readonly port: number;
  readonly #options: ListenOptions;
  readonly #handlers: TransportHandlers;
  readonly #clock: Clock;
  readonly #native: NativeListener;
  /** Calls whose caller may still leave. */
  readonly #callers = new Map<number, Caller>();
  readonly #closed: Promise<void>;
  #isSending = false;
  #resolveClosed: () => void = () => {};

  constructor(own: NativeTransportOptions, options: ListenOptions, handlers: TransportHandlers) {
    this.host = options.host;
    this.#options = options;
    this.#handlers = handlers;
    this.#clock = own.clock;
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    const { host, port, requestBytesMax, responseBytesMax, tls } = options;
    this.#native = new own.NativeListener(
      {
        host,
        port,
        requestBytesMax,
        responseBytesMax,
        inFlightBytesMax: inFlightBytesMax(options),
        stallMsMax: stallMsMax(options),
        threads: own.threads,
        ...(own.entrance === undefined ? {} : { entrance: own.entrance }),
        ...(tls === undefined ? {} : { certificate: tls.certificate, key: tls.key }),
      },
      () => this.#deliver(),
    );
    this.port = this.#native.port;
  }

  async close(graceMs: number): Promise<void> {
    this.#native.close(graceMs);
    await this.#closed;
    this.#native.free();
  }

  #deliver(): void {
    for (const event of eventsOf(this.#native.take())) {
      switch (event.kind) {
        case "rpc":
          void this.#call(event);
          break;
        case "http":
          void this.#exchange(event);
          break;
        case "left":
          this.#callers.get(event.id)?.leave();
          this.#callers.delete(event.id);
          break;
        case "closed":
          this.#resolveClosed();
          break;
        default:
          event satisfies never;
      }
    }
  }

  async #call(event: RpcEvent): Promise<void> {
    const { id, target, headers, timeoutMs } = event;
    const received = this.#bodyOf(event);
    if (received === undefined) return;
    const deadlineMs = timeoutMs === undefined ? undefined : this.#clock.nowMs() + timeoutMs;
    const request = new IncomingCall(target, headers, received, deadlineMs);
    this.#callers.set(id, request);
    let keepsOpen = false;
    try {
      if (event.compressed) {
        const encoding = headers.get("grpc-encoding");
        const message = await decompress(encoding, received, this.#options.requestBytesMax);
        if (message.kind === "refused") return this.#native.answerFailure(id, message.status, message.message);
        request.body = message.bytes;
      }
      const answer = await this.#handlers.rpc(request);
      keepsOpen = answer.keepOpen === true && !request.hasLeft;
      if (answer.status === 0) this.#native.answerMessage(id, answer.body, keepsOpen);
      else this.#native.answerFailure(id, answer.status, answer.message);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#native.answerFailure(id, GrpcStatus.internal, message);
    } finally {
      this.#sendSoon();
      if (!keepsOpen) this.#callers.delete(id);
      this.#release(event, received);
    }
  }

  async #exchange(event: HttpEvent): Promise<void> {
    const { id, headers } = event;
    const body = this.#bodyOf(event);
    if (body === undefined) return;
    const caller = new Caller();
    this.#callers.set(id, caller);
    const [path = "", query = ""] = event.target.split("?", 2);
    const method = headers.get(":method") ?? "";
    const request: HttpRequest = { method, path, query, headers, body, signal: caller.signal };
    try {
      const answer = await this.#handlers.http(request);
      this.#native.answerHttp(id, answer.status, Object.entries(answer.headers).flat(), answer.body);
    } catch {
      this.#native.answerHttp(id, 500, [], []);
    } finally {
      this.#sendSoon();
      this.#callers.delete(id);
      this.#release(event, body);
    }
  }

  /** Answers of one turn of the event loop leave together. */
  #sendSoon(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    setImmediate(() => {
      this.#isSending = false;
      this.#native.send();
    });
  }

  /** Undefined when the caller left before anybody looked. */
  #bodyOf(event: RpcEvent | HttpEvent): Uint8Array | undefined {
    return event.body ?? this.#native.body(event.id);
  }

  /** Large bodies lie in native memory, and the garbage collector would let them pile up. */
  #release(event: RpcEvent | HttpEvent, body: Uint8Array): void {
    if (event.body === undefined) this.#native.release(body.buffer);
  }
}

/** Whoever waits for an answer. */
class Caller {
  hasLeft = false;
  #abort: AbortController | undefined;

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.hasLeft) this.#abort.abort();
    return this.#abort.signal;
  }

  leave(): void {
    this.hasLeft = true;
    this.#abort?.abort();
  }
}

class IncomingCall extends Caller implements RpcRequest {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs: number | undefined;
  body: Uint8Array;

  constructor(path: string, metadata: Metadata, body: Uint8Array, deadlineMs: number | undefined) {
    super();
    this.path = path;
    this.metadata = metadata;
    this.body = body;
    this.deadlineMs = deadlineMs;
  }
}
