/** Every call of Milvus's services: served, or refused by name. The method tables come from the descriptors. */
import type { DbError } from "@elanus/model/error";
import { fail, type Outcome } from "@elanus/model/outcome";
import {
  ClientTelemetryServiceMethods,
  ClientTelemetryServiceName,
  MilvusServiceMethods,
  MilvusServiceName,
  ProxyServiceMethods,
  ProxyServiceName,
} from "../gen/services.ts";
import { decode, encode, type Init, type Method } from "../protobuf/runtime.ts";
import * as admin from "./admin.ts";
import * as alias from "./alias.ts";
import type { Call, Handler } from "./call.ts";
import * as collection from "./collection.ts";
import * as connect from "./connect.ts";
import * as data from "./data.ts";
import * as database from "./database.ts";
import * as flush from "./flush.ts";
import * as index from "./index.ts";
import * as load from "./load.ts";
import * as partition from "./partition.ts";
import * as query from "./query.ts";
import * as resourceGroup from "./resource-group.ts";
import * as search from "./search.ts";
import { failureStatus, GrpcStatus, type StatusMessage, statusOf } from "./status.ts";

/** What a call comes to: an encoded response, or a gRPC status. */
export type RouteAnswer =
  /** `code` is the status within, 0 for success. */
  | { readonly kind: "message"; readonly body: Uint8Array; readonly code: number }
  | { readonly kind: "grpcStatus"; readonly status: number; readonly message: string };

export interface Route {
  /** The method's name, for figures. */
  readonly name: string;
  answer(body: Uint8Array, call: Call): Promise<RouteAnswer>;
}

type Handlers<Methods> = {
  readonly [Name in keyof Methods]?: Methods[Name] extends Method<infer Request, infer Response>
    ? Handler<Request, Response>
    : never;
};

const milvusHandlers: Handlers<typeof MilvusServiceMethods> = {
  Connect: connect.connect,
  GetVersion: connect.getVersion,
  CheckHealth: connect.checkHealth,
  GetComponentStates: connect.getComponentStates,
  AllocTimestamp: connect.allocTimestamp,
  CreateDatabase: database.createDatabase,
  DropDatabase: database.dropDatabase,
  ListDatabases: database.listDatabases,
  DescribeDatabase: database.describeDatabase,
  AlterDatabase: database.alterDatabase,
  CreateCollection: collection.createCollection,
  DropCollection: collection.dropCollection,
  HasCollection: collection.hasCollection,
  DescribeCollection: collection.describeCollection,
  BatchDescribeCollection: collection.batchDescribeCollection,
  ShowCollections: collection.showCollections,
  AlterCollection: collection.alterCollection,
  RenameCollection: collection.renameCollection,
  GetCollectionStatistics: collection.getCollectionStatistics,
  CreatePartition: partition.createPartition,
  DropPartition: partition.dropPartition,
  HasPartition: partition.hasPartition,
  ShowPartitions: partition.showPartitions,
  GetPartitionStatistics: partition.getPartitionStatistics,
  CreateAlias: alias.createAlias,
  DropAlias: alias.dropAlias,
  AlterAlias: alias.alterAlias,
  DescribeAlias: alias.describeAlias,
  ListAliases: alias.listAliases,
  LoadCollection: load.loadCollection,
  LoadPartitions: load.loadPartitions,
  ReleaseCollection: load.releaseCollection,
  ReleasePartitions: load.releasePartitions,
  GetLoadingProgress: load.getLoadingProgress,
  GetLoadState: load.getLoadState,
  GetReplicas: load.getReplicas,
  CreateIndex: index.createIndex,
  AlterIndex: index.alterIndex,
  DropIndex: index.dropIndex,
  DescribeIndex: index.describeIndex,
  GetIndexStatistics: index.getIndexStatistics,
  GetIndexState: index.getIndexState,
  GetIndexBuildProgress: index.getIndexBuildProgress,
  Insert: data.insert,
  Upsert: data.upsert,
  Delete: data.remove,
  Search: search.search,
  HybridSearch: search.hybridSearch,
  Query: query.query,
  Flush: flush.flush,
  GetFlushState: flush.getFlushState,
  FlushAll: flush.flushAll,
  GetFlushAllState: flush.getFlushAllState,
  GetPersistentSegmentInfo: admin.getPersistentSegmentInfo,
  GetQuerySegmentInfo: admin.getQuerySegmentInfo,
  ManualCompaction: admin.manualCompaction,
  GetCompactionState: admin.getCompactionState,
  GetCompactionStateWithPlans: admin.getCompactionStateWithPlans,
  GetMetrics: admin.getMetrics,
  Dummy: admin.dummy,
  RegisterLink: connect.registerLink,
  ListResourceGroups: resourceGroup.listResourceGroups,
  DescribeResourceGroup: resourceGroup.describeResourceGroup,
};

const telemetryHandlers: Handlers<typeof ClientTelemetryServiceMethods> = { ClientHeartbeat: connect.clientHeartbeat };

/** Clients fall back to an older call when they read gRPC's UNIMPLEMENTED for these. */
const unimplementedForClients = new Set([
  "AlterCollectionSchema",
  "CreateNamespace",
  "DescribeNamespace",
  "ListNamespaces",
  "DropNamespace",
  "HasNamespace",
  "GetNamespaceStats",
  "Prewarm",
  "DescribePrewarmTask",
  "AddUserTags",
  "DeleteUserTags",
  "GetUserTags",
  "ListUsersWithTag",
  "BatchUpdateManifest",
  "CreateReplicateStream",
  "DumpMessages",
]);

/** Calls that Milvus itself refuses for good, with its own code. */
const withdrawn: ReadonlyMap<string, StatusMessage> = new Map([
  ["ListIndexedSegment", failureStatus(2, "unimp: service unavailable")],
  ["DescribeSegmentIndexData", failureStatus(2, "unimp: service unavailable")],
  ["CalcDistance", failureStatus(2, "CalcDistance deprecated: service unavailable")],
  ["ReplicateMessage", failureStatus(2, "not supported in streaming mode: service unavailable")],
]);

/** Calls of newer protocol versions than the descriptors; gRPC knows no method of these names. */
const newerCalls = [
  "DeleteRLSPrincipalTags",
  "GetExportSnapshotState",
  "GetRLSPrincipalTags",
  "ListRLSPrincipals",
  "SetRLSPrincipalTags",
  "UpdateRowPolicy",
];

export interface KnownGap {
  readonly call: string;
  readonly answer: "status" | "grpc";
}

const routes = new Map<string, Route>();
const gaps: KnownGap[] = [];

register(MilvusServiceName, MilvusServiceMethods, milvusHandlers);
register(ClientTelemetryServiceName, ClientTelemetryServiceMethods, telemetryHandlers);
// Current servers do not register this service.
for (const name of Object.keys(ProxyServiceMethods)) gaps.push({ call: `${ProxyServiceName}/${name}`, answer: "grpc" });

for (const name of newerCalls) gaps.push({ call: `${MilvusServiceName}/${name}`, answer: "grpc" });

/** By path, `/package.Service/Method`. */
export const milvusRoutes: ReadonlyMap<string, Route> = routes;

/** The calls not served yet, as conformance/known-gaps.yaml lists them. */
export const knownGaps: readonly KnownGap[] = gaps;

function register<Methods extends object>(service: string, methods: Methods, handlers: Handlers<Methods>): void {
  for (const [name, method] of Object.entries(methods) as [string, Method<unknown, unknown>][]) {
    const handler = handlers[name as keyof Methods] as Handler<unknown, unknown> | undefined;
    routes.set(`/${service}/${name}`, handler === undefined ? refusal(method) : served(method, handler));
    if (handler === undefined && !withdrawn.has(name)) {
      gaps.push({ call: `${service}/${name}`, answer: answersWithGrpc(method) ? "grpc" : "status" });
    }
  }
}

function answersWithGrpc(method: Method<unknown, unknown>): boolean {
  return method.streaming || method.statusField === undefined || unimplementedForClients.has(method.name);
}

function refusal(method: Method<unknown, unknown>): Route {
  const { name } = method;
  if (answersWithGrpc(method)) {
    const message = `${name} is not implemented yet`;
    return { name, answer: async () => ({ kind: "grpcStatus", status: GrpcStatus.unimplemented, message }) };
  }
  const status = withdrawn.get(name) ?? statusOf({ kind: "notImplemented", call: name });
  const body = encode(method.response, withStatus(method, status));
  return { name, answer: async () => ({ kind: "message", body, code: status.code ?? 0 }) };
}

function served(method: Method<unknown, unknown>, handler: Handler<unknown, unknown>): Route {
  const answer: Route["answer"] = async (body, call) => {
    const request = decode(method.request, body);
    let outcome: Outcome<Init<unknown>>;
    try {
      outcome = await handler(request, call);
    } catch (thrown) {
      outcome = fail(bugIn(method.name, thrown, call));
    }
    const message = outcome.ok ? outcome.value : withStatus(method, statusOf(outcome.error));
    return { kind: "message", body: encode(method.response, message), code: codeIn(method, message) };
  };
  return { name: method.name, answer };
}

/** A broken invariant fails its own call and nothing else. */
function bugIn(name: string, thrown: unknown, call: Call): DbError {
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  call.env.telemetry.log("error", "a call met a bug", { call: name, what, stack });
  return { kind: "internal", message: `${name}: ${what}` };
}

function codeIn(method: Method<unknown, unknown>, message: Init<unknown>): number {
  if (method.statusField === undefined) return 0;
  const fields = message as Readonly<Record<string, StatusMessage | undefined>>;
  const status = method.statusField === "self" ? (message as StatusMessage) : fields[method.statusField];
  return status?.code ?? 0;
}

function withStatus(method: Method<unknown, unknown>, status: StatusMessage): Init<unknown> {
  return method.statusField === "self" || method.statusField === undefined ? status : { [method.statusField]: status };
}
