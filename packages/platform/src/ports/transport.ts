/**
 * The front door as wire sees it: whole requests in, whole answers out. Which listener frames them (Node's
 * HTTP/2 today, a native one later) is invisible above this port.
 */
import type { Outcome } from "@elanus/model/outcome";

/** Headers by lower-case name; a repeated one gives its first value. */
export interface Metadata {
  get(name: string): string | undefined;
}

/** One unary gRPC call. */
export interface RpcRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Values as sent: binary metadata is not decoded. */
  readonly metadata: Metadata;
  /** The message, decompressed, without the gRPC frame. Gone once the handler has answered: copy what must stay. */
  readonly body: Uint8Array;
  /** Absolute, by the world's clock; undefined when the caller set none. */
  readonly deadlineMs: number | undefined;
  /** Aborts when the caller cancels, its connection is lost or its deadline passes. */
  readonly signal: AbortSignal;
}

export interface RpcAnswer {
  /** gRPC status number; the message in `body` is sent with 0 only. */
  readonly status: number;
  /** Text of a status other than 0, any Unicode. */
  readonly message: string;
  readonly body: Uint8Array;
  /** Server streaming: `body` is the first message and the stream stays open until the caller leaves. */
  readonly keepOpen?: boolean;
}

/** One HTTP/1.1 request. */
export interface HttpRequest {
  readonly method: string;
  /** Without the query string. */
  readonly path: string;
  readonly query: string;
  readonly headers: Metadata;
  /** As of `RpcRequest`. */
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent one after the other. */
  readonly body: readonly Uint8Array[];
}

/** Neither may throw; an answer is given even when the caller has left. */
export interface TransportHandlers {
  rpc(request: RpcRequest): Promise<RpcAnswer>;
  http(request: HttpRequest): Promise<HttpAnswer>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Larger requests are refused with RESOURCE_EXHAUSTED, or 413 over HTTP/1.1. */
  readonly requestBytesMax: number;
  readonly responseBytesMax: number;
  /** Bytes of large requests received or worked on at once; more wait unread. Default 512 MiB. */
  readonly inFlightBytesMax?: number;
  /** Who holds a part of those bytes and sends nothing for so long loses it. Default 60,000. */
  readonly stallMsMax?: number;
  /** With it the port speaks TLS only. */
  readonly tls?: TlsFiles;
}

/** PEM. */
export interface TlsFiles {
  /** The certificate and its chain. */
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Takes no new calls, lets running ones finish for at most `graceMs`, then closes the connections. */
  close(graceMs: number): Promise<void>;
}

export interface Transport {
  listen(options: ListenOptions, handlers: TransportHandlers): Promise<Outcome<Listener>>;
}
