/** Milvus's envelope around answers: `{"code":0,"data":…}` or `{"code":…,"message":"…"}`. */
import type { HttpAnswer } from "@elanus/platform/ports/transport";
import type { RestFailure } from "./failure.ts";
import { type Json, stringify } from "./json.ts";

/** Data built here, or JSON bytes written by native code. */
export interface RestReply {
  readonly data: Json | { readonly raw: readonly Uint8Array[] };
  /** Keys beside `code` and `data`. */
  readonly extra?: { readonly [key: string]: Json | undefined };
}

const utf8 = new TextEncoder();

const commonHeaders = {
  "content-type": "application/json; charset=utf-8",
  "x-content-type-options": "nosniff",
  "access-control-allow-origin": "*",
  "access-control-allow-credentials": "true",
  "access-control-allow-headers":
    "Content-Type, Content-Length, Accept-Encoding, Authorization, Accept, Origin, Cache-Control, " +
    "X-Requested-With, DB-Name, Request-Timeout, Accept-Type-Allow-Int64",
  "access-control-allow-methods": "POST, HEAD, PATCH, OPTIONS, GET, PUT, DELETE",
} as const;

export function replied(reply: RestReply, traceId: string): HttpAnswer {
  const { data } = reply;
  const extra = Object.entries(reply.extra ?? {})
    .flatMap(([key, value]) => (value === undefined ? [] : [`,${JSON.stringify(key)}:${stringify(value)}`]))
    .join("");
  const parts = isRaw(data) ? data.raw : [utf8.encode(stringify(data))];
  const body = [utf8.encode(`{"code":0${extra},"data":`), ...parts, utf8.encode("}")];
  return { status: 200, headers: headersWith(traceId), body };
}

export function refusedWith(failure: RestFailure, traceId: string): HttpAnswer {
  const body = utf8.encode(JSON.stringify({ code: failure.code, message: failure.message }));
  return { status: failure.httpStatus, headers: headersWith(traceId), body: [body] };
}

export function preflight(): HttpAnswer {
  return { status: 204, headers: commonHeaders, body: [] };
}

export function notFound(): HttpAnswer {
  return {
    status: 404,
    headers: { ...commonHeaders, "content-type": "text/plain" },
    body: [utf8.encode("404 page not found")],
  };
}

function headersWith(traceId: string): Readonly<Record<string, string>> {
  return { ...commonHeaders, "x-milvus-trace-id": traceId };
}

function isRaw(data: RestReply["data"]): data is { readonly raw: readonly Uint8Array[] } {
  return typeof data === "object" && data !== null && "raw" in data;
}
