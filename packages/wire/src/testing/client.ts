/** Calls the wire as a client would, without sockets. */
import { defaultLimits } from "@elanus/model/limits";
import type { RpcAnswer, TransportHandlers } from "@elanus/platform/ports/transport";
import type { Telemetry } from "@elanus/platform/ports/world";
import { MilvusServiceMethods, MilvusServiceName } from "../gen/services.ts";
import { decode, encode, type Init, type Method } from "../protobuf/runtime.ts";
import { createWire } from "../wire.ts";
import { MemoryProxy } from "./memory-proxy.ts";

const quiet: Telemetry = {
  counter: () => ({ add: () => {} }),
  gauge: () => ({ set: () => {} }),
  histogram: () => ({ observe: () => {} }),
  log: () => {},
};

type RequestOf<M> = M extends Method<infer Request, infer _Response> ? Request : never;
type ResponseOf<M> = M extends Method<infer _Request, infer Response> ? Response : never;
type Calls = typeof MilvusServiceMethods;

export class TestClient {
  readonly proxy: MemoryProxy = new MemoryProxy();
  readonly wire: TransportHandlers;
  readonly metadata: Map<string, string> = new Map();

  constructor() {
    this.wire = createWire({
      proxy: this.proxy.contract,
      clock: { nowMs: () => 1_700_000_000_000, monotonicMs: () => 0 },
      limits: defaultLimits,
      telemetry: quiet,
      random: { next: () => 0.5, bits64: () => 0x1234n },
      version: "v2.6.22-test",
    });
  }

  send(path: string, body: Uint8Array): Promise<RpcAnswer> {
    const signal = new AbortController().signal;
    return this.wire.rpc({ path, metadata: this.metadata, body, deadlineMs: undefined, signal });
  }

  async call<Name extends keyof Calls>(
    name: Name,
    request: Init<RequestOf<Calls[Name]>>,
  ): Promise<ResponseOf<Calls[Name]>> {
    const method = MilvusServiceMethods[name] as unknown as Method<unknown, unknown>;
    const answer = await this.send(`/${MilvusServiceName}/${name}`, encode(method.request, request as Init<unknown>));
    if (answer.status !== 0) throw new Error(`gRPC status ${answer.status}: ${answer.message}`);
    return decode(method.response, answer.body) as ResponseOf<Calls[Name]>;
  }

  async rest(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<RestAnswer> {
    const bytes =
      typeof body === "string" ? new TextEncoder().encode(body) : new TextEncoder().encode(JSON.stringify(body));
    const answer = await this.wire.http({
      method: "POST",
      path: `/v2/vectordb/${path}`,
      query: "",
      headers: new Map(Object.entries(headers)),
      body: bytes,
      signal: new AbortController().signal,
    });
    const text = new TextDecoder().decode(Buffer.concat(answer.body));
    return { status: answer.status, text, json: text.startsWith("{") ? (JSON.parse(text) as RestAnswer["json"]) : {} };
  }
}

export interface RestAnswer {
  readonly status: number;
  readonly text: string;
  readonly json: {
    readonly code?: number;
    readonly message?: string;
    readonly data?: unknown;
    readonly [key: string]: unknown;
  };
}
