/** One REST call: a reader of its envelope and what it does. */
import { decode, encode, type Codec, type Init } from "../protobuf/runtime.ts";
import type { Call, Handler } from "../milvus/call.ts";
import type { Body } from "./body.ts";
import type { RestReply } from "./envelope.ts";
import { done, failed, refuse, type RestOutcome } from "./failure.ts";
import type * as common from "../gen/common.ts";

/** What every REST call knows beside its body. */
export interface RestCall extends Call {
  /** Body's `dbName`, else the header's, else the default one. */
  readonly database: string;
  /** Whether 64-bit integers are written as text. */
  readonly int64AsText: boolean;
}

/** Reads the whole envelope first; `body.problem` is checked before the returned work runs. */
export type Endpoint = (body: Body, call: RestCall) => () => Promise<RestOutcome<RestReply>>;

export const nothing: RestReply = { data: {} };

/** Runs a gRPC handler; fields that are left out take their defaults. */
export async function runHandler<Request, Response>(
  handler: Handler<Request, Response>,
  codec: Codec<Request>,
  request: Init<Request>,
  call: Call,
): Promise<RestOutcome<Init<Response>>> {
  const answer = await handler(decode(codec, encode(codec, request)), call);
  if (!answer.ok) return failed(answer.error);
  const status = statusIn(answer.value as object);
  if (status !== undefined && (status.code ?? 0) !== 0) return refuse(status.code ?? 0, status.reason ?? "");
  return done(answer.value);
}

/** As `runHandler`, for calls that answer nothing. */
export async function runVoid<Request, Response>(
  handler: Handler<Request, Response>,
  codec: Codec<Request>,
  request: Init<Request>,
  call: Call,
): Promise<RestOutcome<RestReply>> {
  const answer = await runHandler(handler, codec, request, call);
  return answer.ok ? done(nothing) : answer;
}

/** A response is a Status, or carries one. */
function statusIn(response: object): Init<common.Status> | undefined {
  return ("status" in response ? response.status : response) as Init<common.Status> | undefined;
}
