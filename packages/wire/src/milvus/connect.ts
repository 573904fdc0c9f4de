/** Connection, version and health. */
import { succeed } from "@elanus/model/outcome";
import { physicalMsOf } from "@elanus/model/time";
import type * as milvus from "../gen/milvus.ts";
import { databaseOf, type Handler } from "./call.ts";
import { success } from "./status.ts";

const HEALTHY = 1;

export const connect: Handler<milvus.ConnectRequest, milvus.ConnectResponse> = async (_request, call) => {
  const { proxy, version, deployMode, startedAtMs } = call.env;
  const database = await proxy.catalog.describeDatabase(databaseOf(call, ""));
  if (!database.ok) return database;
  const identifier = await proxy.catalog.allocateTimestamps(1);
  if (!identifier.ok) return identifier;
  const buildTime = new Date(startedAtMs).toISOString();
  return succeed({
    status: success,
    serverInfo: {
      buildTags: version,
      buildTime,
      gitCommit: version,
      goVersion: "none",
      deployMode,
      reserved: new Map(),
    },
    identifier: identifier.value.first,
  });
};

export const getVersion: Handler<milvus.GetVersionRequest, milvus.GetVersionResponse> = async (_request, call) =>
  succeed({ status: success, version: call.env.version });

export const checkHealth: Handler<milvus.CheckHealthRequest, milvus.CheckHealthResponse> = async (_request, call) => {
  const probe = await call.env.proxy.catalog.catalogVersion();
  if (probe.ok) return succeed({ status: success, isHealthy: true });
  return succeed({ status: success, isHealthy: false, reasons: ["the coordinator does not answer"] });
};

export const getComponentStates: Handler<milvus.GetComponentStatesRequest, milvus.ComponentStates> = async (
  _request,
  call,
) => succeed({ status: success, state: { nodeID: BigInt(call.env.nodeId), role: "proxy", stateCode: HEALTHY } });

export const allocTimestamp: Handler<milvus.AllocTimestampRequest, milvus.AllocTimestampResponse> = async (
  _request,
  call,
) => {
  const range = await call.env.proxy.catalog.allocateTimestamps(1);
  return range.ok ? succeed({ status: success, timestamp: range.value.first }) : range;
};

export const clientHeartbeat: Handler<milvus.ClientHeartbeatRequest, milvus.ClientHeartbeatResponse> = async (
  _request,
  call,
) => succeed({ status: success, serverTimestamp: BigInt(Math.floor(call.env.clock.nowMs())) });

/** Obsolete; old clients read the deploy mode from the reason. */
export const registerLink: Handler<milvus.RegisterLinkRequest, milvus.RegisterLinkResponse> = async (_request, call) =>
  succeed({ status: { reason: call.env.deployMode } });

/** Milliseconds of a hybrid timestamp, as a 64-bit field. */
export function utcOf(at: Parameters<typeof physicalMsOf>[0]): bigint {
  return BigInt(physicalMsOf(at));
}
