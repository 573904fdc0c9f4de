/** Loading and releasing. */
import type { CollectionRef, LoadFields, LoadProgress } from "@elanus/model/contract/coordinator";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type * as common from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import { type Call, databaseOf, type Handler, refOf } from "./call.ts";
import { DEFAULT_RESOURCE_GROUP } from "./resource-group.ts";
import { findCollection } from "./partition.ts";
import { success } from "./status.ts";

/** LoadState numbers of the wire. */
const loadStates: Readonly<Record<LoadProgress["state"], number>> = {
  notExist: 0,
  notLoaded: 1,
  loading: 2,
  loaded: 3,
};

export const loadCollection: Handler<milvus.LoadCollectionRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const placement = placementProblem(request.replicaNumber, request.resourceGroups);
  if (!placement.ok) return placement;
  const refreshable = request.refresh ? await whollyLoaded(ref.value, call) : succeed(undefined);
  if (!refreshable.ok) return refreshable;
  const loaded = await call.env.proxy.catalog.load(ref.value, "all", fieldsOf(request));
  return loaded.ok ? succeed(success) : loaded;
};

/** A refresh brings news to what is loaded; it does not load. */
async function whollyLoaded(ref: CollectionRef, call: Call): Promise<Outcome<void>> {
  const progress = await call.env.proxy.catalog.loadProgress(ref, []);
  if (!progress.ok) return progress;
  if (progress.value.state === "loaded") return succeed(undefined);
  return fail({ kind: "collectionNotFullyLoaded", collection: ref.name });
}

export const loadPartitions: Handler<milvus.LoadPartitionsRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  if (request.partitionNames.length === 0) return invalid("due to no partition specified");
  const placement = placementProblem(request.replicaNumber, request.resourceGroups);
  if (!placement.ok) return placement;
  const loaded = await call.env.proxy.catalog.load(ref.value, request.partitionNames, fieldsOf(request));
  return loaded.ok ? succeed(success) : loaded;
};

function fieldsOf(request: Pick<milvus.LoadCollectionRequest, "loadFields" | "skipLoadDynamicField">): LoadFields {
  return { names: request.loadFields, skipDynamic: request.skipLoadDynamicField };
}

/** One node serves one replica in the default group. */
function placementProblem(replicas: number, groups: readonly string[]): Outcome<void> {
  if (replicas < 0) return invalid(`replica number must not be negative, got ${replicas}`);
  if (groups.length > 1 && groups.length !== replicas)
    return invalid("resource group num can only be 0, 1 or same as replica number");
  if (groups.some((g) => g !== DEFAULT_RESOURCE_GROUP))
    return fail({ kind: "notImplemented", call: "loading into other resource groups" });
  if (replicas > 1) return fail({ kind: "notImplemented", call: "loading more than one replica" });
  return succeed(undefined);
}

export const releaseCollection: Handler<milvus.ReleaseCollectionRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const released = await call.env.proxy.catalog.release(ref.value, "all");
  return released.ok ? succeed(success) : released;
};

export const releasePartitions: Handler<milvus.ReleasePartitionsRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  if (request.partitionNames.length === 0) return invalid("due to no partition specified");
  const released = await call.env.proxy.catalog.release(ref.value, request.partitionNames);
  return released.ok ? succeed(success) : released;
};

export const getLoadingProgress: Handler<milvus.GetLoadingProgressRequest, milvus.GetLoadingProgressResponse> = async (
  request,
  call,
) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const progress = await call.env.proxy.catalog.loadProgress(ref.value, request.partitionNames);
  if (!progress.ok) return progress;
  const { state, percent } = progress.value;
  if (state === "notExist")
    return fail({ kind: "collectionNotFound", database: ref.value.database, collection: ref.value.name });
  if (state === "notLoaded") return fail(notLoaded(ref.value, request.partitionNames));
  const shown = BigInt(Math.floor(percent));
  return succeed({ status: success, progress: shown, refreshProgress: shown });
};

function notLoaded(
  ref: CollectionRef,
  partitions: readonly string[],
): { kind: "collectionNotLoaded"; collection: string } | { kind: "partitionNotLoaded"; partition: string } {
  const [first] = partitions;
  return first === undefined
    ? { kind: "collectionNotLoaded", collection: ref.name }
    : { kind: "partitionNotLoaded", partition: first };
}

/** An unknown collection is a state here, not a failure. */
export const getLoadState: Handler<milvus.GetLoadStateRequest, milvus.GetLoadStateResponse> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const progress = await call.env.proxy.catalog.loadProgress(ref.value, request.partitionNames);
  if (progress.ok) return succeed({ status: success, state: loadStates[progress.value.state] });
  return progress.error.kind === "collectionNotFound"
    ? succeed({ status: success, state: loadStates.notExist })
    : progress;
};

export const getReplicas: Handler<milvus.GetReplicasRequest, milvus.GetReplicasResponse> = async (request, call) => {
  const found = await findCollection(
    call,
    databaseOf(call, request.dbName),
    request.collectionName,
    request.collectionID,
  );
  if (!found.ok) return found;
  const { load, id, partitions, shards } = found.value;
  if (load.kind === "released") return succeed({ status: success });
  const node = nodeIdOf(call);
  const shardReplicas = shards.map((dmChannelName) => ({
    leaderID: node,
    leaderAddr: "",
    dmChannelName,
    nodeIds: [node],
  }));
  const partitionIds = load.partitions === "all" ? partitions.map((p) => p.id) : load.partitions;
  return succeed({
    status: success,
    replicas: [
      {
        replicaID: id,
        collectionID: id,
        partitionIds,
        nodeIds: [node],
        resourceGroupName: DEFAULT_RESOURCE_GROUP,
        shardReplicas: request.withShardNodes ? shardReplicas : [],
      },
    ],
  });
};

function nodeIdOf(call: Call): bigint {
  return BigInt(call.env.nodeId);
}

function invalid(message: string): Outcome<never> {
  return fail({ kind: "invalidParameter", message });
}
