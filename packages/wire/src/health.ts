/** The standard gRPC health service. A server that answers at all is serving. */
import type { RpcAnswer, RpcRequest } from "@elanus/platform/ports/transport";
import { HealthCheckResponse_ServingStatus as ServingStatus, HealthCheckResponseCodec } from "./gen/health.ts";
import { HealthName } from "./gen/services.ts";
import { encode } from "./protobuf/runtime.ts";

type HealthRoute = (request: RpcRequest) => Promise<RpcAnswer>;

const serving = encode(HealthCheckResponseCodec, { status: ServingStatus.SERVING });

export const healthRoutes: ReadonlyMap<string, HealthRoute> = new Map<string, HealthRoute>([
  [`/${HealthName}/Check`, async () => ({ status: 0, message: "", body: serving })],
  [`/${HealthName}/Watch`, async () => ({ status: 0, message: "", body: serving, keepOpen: true })],
]);
