/** One gRPC call on one HTTP/2 stream: frame in, handler, frame and trailers out. */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { ListenOptions, Metadata, RpcAnswer, RpcRequest, TransportHandlers } from "../../ports/transport.ts";
import type { Clock } from "../../ports/world.ts";
import { type FrameProblem, framed, frameHeader, UnaryAssembler } from "./grpc-frames.ts";
import { type InboundBudget, type Share, stallMsMax } from "./inbound-budget.ts";
import { encodeStatusMessage, GrpcStatus, parseTimeoutMs } from "./grpc-text.ts";
import { decompress } from "./gzip.ts";

/** Longer timers overflow; a caller that waits longer has no deadline. */
const TIMER_MS_MAX = 2_147_483_647;
/** Smaller requests are not counted against the budget. */
const BUDGETED_BYTES_MIN = 64 * 1024;
/** Smaller answers are sent in one piece with their frame header. */
const SINGLE_WRITE_BYTES_MAX = 64 * 1024;

/** What all calls of a listener share. */
export interface Door {
  readonly options: ListenOptions;
  readonly handlers: TransportHandlers;
  readonly clock: Clock;
  readonly budget: InboundBudget;
}

export class GrpcCall {
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #options: ListenOptions;
  readonly #handlers: TransportHandlers;
  readonly #budget: InboundBudget;
  readonly #request: IncomingCall;
  #share: Share | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Runs while the call holds a share of the budget and is not all there. */
  #patience: NodeJS.Timeout | undefined;
  #answered = false;
  #keptOpen = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, door: Door) {
    this.#stream = stream;
    this.#headers = headers;
    this.#options = door.options;
    this.#handlers = door.handlers;
    this.#budget = door.budget;
    const timeoutMs = parseTimeoutMs(text(headers["grpc-timeout"]));
    this.#request = new IncomingCall(headers, timeoutMs === undefined ? undefined : door.clock.nowMs() + timeoutMs);
    if (timeoutMs !== undefined && timeoutMs <= TIMER_MS_MAX) this.#timer = setTimeout(() => this.#expire(), timeoutMs);
  }

  start(): void {
    const assembler = new UnaryAssembler(this.#options.requestBytesMax);
    this.#stream.on("error", () => this.#request.abort());
    this.#stream.on("close", () => this.#leave());
    this.#stream.on("data", (chunk: Buffer) => {
      if (this.#answered) return;
      this.#patience?.refresh();
      const problem = assembler.push(chunk);
      if (problem !== undefined) this.#refuse(problem);
      else if (this.#share === undefined) this.#askForRoom(assembler.announced ?? 0);
    });
    this.#stream.on("end", () => {
      clearTimeout(this.#patience);
      if (this.#answered) return;
      const message = assembler.finish();
      if (message.kind !== "message") this.#refuse(message);
      else if (message.compressed) void this.#decompress(message.bytes);
      else void this.#run(message.bytes);
    });
  }

  /** A large request is read on when there is room for all of it. */
  #askForRoom(bytes: number): void {
    if (bytes < BUDGETED_BYTES_MIN) return;
    this.#stream.pause();
    this.#share = this.#budget.ask(bytes, () => {
      this.#patience = setTimeout(() => this.#stall(), stallMsMax(this.#options));
      this.#stream.resume();
    });
  }

  #stall(): void {
    this.#answer(failed(GrpcStatus.deadlineExceeded, "the request stopped coming in"));
  }

  async #decompress(bytes: Uint8Array): Promise<void> {
    const encoding = text(this.#headers["grpc-encoding"]);
    const message = await decompress(encoding, bytes, this.#options.requestBytesMax);
    if (message.kind === "plain") await this.#run(message.bytes);
    else this.#answer(failed(message.status, message.message));
  }

  async #run(body: Uint8Array): Promise<void> {
    try {
      this.#request.body = body;
      this.#answer(await this.#handlers.rpc(this.#request));
    } catch (error) {
      this.#answer(failed(GrpcStatus.internal, error instanceof Error ? error.message : String(error)));
    }
  }

  #refuse(problem: FrameProblem): void {
    const max = this.#options.requestBytesMax;
    if (problem.kind === "malformed") this.#answer(failed(GrpcStatus.internal, problem.message));
    else
      this.#answer(
        failed(GrpcStatus.resourceExhausted, `grpc: received message larger than max (${problem.bytes} vs. ${max})`),
      );
  }

  #expire(): void {
    this.#answer(failed(GrpcStatus.deadlineExceeded, "context deadline exceeded"));
    this.#request.abort();
  }

  #leave(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    if (this.#share !== undefined) this.#budget.release(this.#share);
    if (!this.#answered || this.#keptOpen) this.#request.abort();
  }

  #answer(answer: RpcAnswer): void {
    if (this.#answered || this.#stream.destroyed || this.#stream.closed) return;
    this.#answered = true;
    this.#keptOpen = answer.keepOpen === true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (answer.status !== 0) this.#sendFailure(answer);
    else if (answer.body.length > this.#options.responseBytesMax) {
      const max = this.#options.responseBytesMax;
      this.#sendFailure(
        failed(
          GrpcStatus.resourceExhausted,
          `grpc: trying to send message larger than max (${answer.body.length} vs. ${max})`,
        ),
      );
    } else this.#sendMessage(answer);
  }

  #sendFailure(answer: RpcAnswer): void {
    const status = { "grpc-status": String(answer.status), "grpc-message": encodeStatusMessage(answer.message) };
    this.#stream.respond({ ...responseHeaders, ...acceptedEncodings, ...status }, { endStream: true });
    // What the caller still sends is read and dropped, so that its connection stays usable.
    this.#stream.resume();
    if (!this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #sendMessage(answer: RpcAnswer): void {
    const { body } = answer;
    this.#stream.respond(responseHeaders, { waitForTrailers: true });
    this.#stream.on("wantTrailers", () => this.#stream.sendTrailers({ "grpc-status": "0" }));
    const small = body.length <= SINGLE_WRITE_BYTES_MAX;
    if (!small) this.#stream.write(frameHeader(body.length));
    const rest = small ? framed(body) : body;
    if (this.#keptOpen) this.#stream.write(rest);
    else this.#stream.end(rest);
  }
}

/** The request as handlers see it; what few of them look at is made on demand. */
class IncomingCall implements RpcRequest {
  readonly path: string;
  readonly deadlineMs: number | undefined;
  readonly metadata: Metadata;
  body: Uint8Array = new Uint8Array(0);
  #abort: AbortController | undefined;
  #aborted = false;

  constructor(headers: IncomingHttpHeaders, deadlineMs: number | undefined) {
    this.path = text(headers[":path"]) ?? "";
    this.deadlineMs = deadlineMs;
    this.metadata = { get: (name) => text(headers[name]) };
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  abort(): void {
    this.#aborted = true;
    this.#abort?.abort();
  }
}

const responseHeaders = { ":status": 200, "content-type": "application/grpc" } as const;

const acceptedEncodings = { "grpc-accept-encoding": "identity,gzip" } as const;

function failed(status: number, message: string): RpcAnswer {
  return { status, message, body: new Uint8Array(0) };
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
