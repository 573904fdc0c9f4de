/**
 * Bytes to meaning and back, for whatever transport carries them: Milvus's gRPC services and its REST calls over
 * one proxy.
 */
import type { ProxyContract } from "@elanus/model/contract/proxy";
import type { Limits } from "@elanus/model/limits";
import type { RpcAnswer, RpcRequest, TransportHandlers } from "@elanus/platform/ports/transport";
import type { Clock, Random, Telemetry } from "@elanus/platform/ports/world";
import { healthRoutes } from "./health.ts";
import type { Call, Environment } from "./milvus/call.ts";
import { milvusRoutes, type RouteAnswer } from "./milvus/routes.ts";
import { GrpcStatus } from "./milvus/status.ts";
import { emptyBytes, MalformedMessage } from "./protobuf/runtime.ts";
import { answerHttp } from "./rest/answer.ts";

export interface WireOptions {
  readonly proxy: ProxyContract;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** For the trace ids of REST answers. */
  readonly random: Random;
  /** What GetVersion answers; clients derive features from it. */
  readonly version: string;
  readonly deployMode?: "STANDALONE" | "DISTRIBUTED";
  readonly nodeId?: number;
}

/** A caller that set no deadline still does not wait for ever. */
const DEADLINE_MS_DEFAULT = 3_600_000;

export function createWire(options: WireOptions): TransportHandlers {
  const env: Environment = {
    proxy: options.proxy,
    clock: options.clock,
    limits: options.limits,
    version: options.version,
    deployMode: options.deployMode ?? "STANDALONE",
    nodeId: options.nodeId ?? 1,
    startedAtMs: options.clock.nowMs(),
  };
  return {
    rpc: (request) => answerRpc(request, env),
    http: (request) => answerHttp(request, env, options.random),
  };
}

async function answerRpc(request: RpcRequest, env: Environment): Promise<RpcAnswer> {
  const health = healthRoutes.get(request.path);
  if (health !== undefined) return health(request);
  const route = milvusRoutes.get(request.path);
  if (route === undefined) return failed(GrpcStatus.unimplemented, `unknown method ${request.path}`);
  const deadlineMs = request.deadlineMs ?? env.clock.nowMs() + DEADLINE_MS_DEFAULT;
  const call: Call = { env, metadata: request.metadata, deadlineMs };
  try {
    return toRpcAnswer(await route(request.body, call));
  } catch (error) {
    if (error instanceof MalformedMessage)
      return failed(GrpcStatus.invalidArgument, `the request cannot be read: ${error.message}`);
    return failed(GrpcStatus.unknown, error instanceof Error ? error.message : String(error));
  }
}

function toRpcAnswer(answer: RouteAnswer): RpcAnswer {
  return answer.kind === "message"
    ? { status: GrpcStatus.ok, message: "", body: answer.body }
    : failed(answer.status, answer.message);
}

function failed(status: number, message: string): RpcAnswer {
  return { status, message, body: emptyBytes };
}
