/**
 * Bytes to meaning and back, for whatever transport carries them: Milvus's gRPC services and its REST calls over
 * one proxy.
 */
import type { ProxyContract } from "@elanus/model/contract/proxy";
import type { Limits } from "@elanus/model/limits";
import type { RpcAnswer, RpcRequest, TransportHandlers } from "@elanus/platform/ports/transport";
import type { Clock, Random, Telemetry } from "@elanus/platform/ports/world";
import { CallFigures } from "./call-figures.ts";
import { healthRoutes } from "./health.ts";
import type { Environment } from "./milvus/call.ts";
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
    telemetry: options.telemetry,
    limits: options.limits,
    version: options.version,
    deployMode: options.deployMode ?? "STANDALONE",
    nodeId: options.nodeId ?? 1,
    startedAtMs: options.clock.nowMs(),
  };
  const figures = new CallFigures(options.telemetry, options.clock);
  return {
    rpc: (request) => answerRpc(request, env, figures),
    http: (request) => answerHttp(request, env, { random: options.random, figures }),
  };
}

async function answerRpc(request: RpcRequest, env: Environment, figures: CallFigures): Promise<RpcAnswer> {
  const health = healthRoutes.get(request.path);
  if (health !== undefined) return health(request);
  const route = milvusRoutes.get(request.path);
  if (route === undefined) return failed(GrpcStatus.unimplemented, `unknown method ${request.path}`);
  const startedMs = figures.start();
  const deadlineMs = request.deadlineMs ?? env.clock.nowMs() + DEADLINE_MS_DEFAULT;
  let answer: RouteAnswer;
  try {
    answer = await route.answer(request.body, { env, metadata: request.metadata, deadlineMs });
  } catch (error) {
    answer = unreadable(error);
  }
  figures.end(route.name, answer.kind === "message" ? answer.code : -answer.status, startedMs);
  return toRpcAnswer(answer);
}

function unreadable(error: unknown): RouteAnswer {
  const message = error instanceof Error ? error.message : String(error);
  const malformed = error instanceof MalformedMessage;
  const status = malformed ? GrpcStatus.invalidArgument : GrpcStatus.unknown;
  return { kind: "grpcStatus", status, message: malformed ? `the request cannot be read: ${message}` : message };
}

function toRpcAnswer(answer: RouteAnswer): RpcAnswer {
  return answer.kind === "message"
    ? { status: GrpcStatus.ok, message: "", body: answer.body }
    : failed(answer.status, answer.message);
}

function failed(status: number, message: string): RpcAnswer {
  return { status, message, body: emptyBytes };
}
