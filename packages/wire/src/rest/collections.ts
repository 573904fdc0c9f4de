/** REST: collections. */
import * as collection from "../milvus/collection.ts";
import { levelOf } from "../milvus/consistency.ts";
import * as flush from "../milvus/flush.ts";
import * as indexes from "../milvus/index.ts";
import * as load from "../milvus/load.ts";
import * as admin from "../milvus/admin.ts";
import { typeName } from "../milvus/type-names.ts";
import * as milvus from "../gen/milvus.ts";
import type * as schema from "../gen/schema.ts";
import type { Init } from "../protobuf/runtime.ts";
import type { Body } from "./body.ts";
import { createCollection } from "./create-collection.ts";
import { type Endpoint, type RestCall, runHandler, runVoid } from "./endpoint.ts";
import { done, refuse } from "./failure.ts";
import { type Json, textOf } from "./json.ts";

interface Named {
  readonly dbName: string;
  readonly collectionName: string;
}

export function named(body: Body, call: RestCall): Named {
  return { dbName: call.database, collectionName: body.required("collectionName") };
}

const list: Endpoint = (_body, call) => async () => {
  const answer = await runHandler(
    collection.showCollections,
    milvus.ShowCollectionsRequestCodec,
    { dbName: call.database },
    call,
  );
  return answer.ok ? done({ data: answer.value.collectionNames ?? [] }) : answer;
};

const has: Endpoint = (body, call) => {
  const request = named(body, call);
  return async () => {
    const answer = await runHandler(collection.hasCollection, milvus.HasCollectionRequestCodec, request, call);
    return answer.ok ? done({ data: { has: answer.value.value ?? false } }) : answer;
  };
};

const drop: Endpoint = (body, call) => {
  const request = named(body, call);
  return () => runVoid(collection.dropCollection, milvus.DropCollectionRequestCodec, request, call);
};

const rename: Endpoint = (body, call) => {
  const request = {
    dbName: call.database,
    oldName: body.required("collectionName"),
    newName: body.required("newCollectionName"),
    newDBName: body.text("newDbName"),
  };
  return () => runVoid(collection.renameCollection, milvus.RenameCollectionRequestCodec, request, call);
};

const getStats: Endpoint = (body, call) => {
  const request = named(body, call);
  return async () => {
    const answer = await runHandler(
      collection.getCollectionStatistics,
      milvus.GetCollectionStatisticsRequestCodec,
      request,
      call,
    );
    return answer.ok ? done({ data: { rowCount: rowCountIn(answer.value.stats ?? []) } }) : answer;
  };
};

export function rowCountIn(
  stats: readonly { readonly key?: string | undefined; readonly value?: string | undefined }[],
): number {
  return Number(stats.find((s) => s.key === "row_count")?.value ?? 0);
}

const loadAll: Endpoint = (body, call) => {
  const request = named(body, call);
  return () => runVoid(load.loadCollection, milvus.LoadCollectionRequestCodec, request, call);
};

const release: Endpoint = (body, call) => {
  const request = named(body, call);
  return () => runVoid(load.releaseCollection, milvus.ReleaseCollectionRequestCodec, request, call);
};

const loadStateNames: readonly string[] = [
  "LoadStateNotExist",
  "LoadStateNotLoad",
  "LoadStateLoading",
  "LoadStateLoaded",
];

const getLoadState: Endpoint = (body, call) => {
  const request = { ...named(body, call), partitionNames: body.texts("partitionNames") };
  return async () => {
    const answer = await runHandler(load.getLoadState, milvus.GetLoadStateRequestCodec, request, call);
    if (!answer.ok) return answer;
    const loadState = loadStateNames[answer.value.state ?? 0] ?? "";
    if (loadState === "LoadStateNotExist") {
      return refuse(100, `collection not found[database=${request.dbName}][collection=${request.collectionName}]`);
    }
    if (loadState === "LoadStateNotLoad") return done({ data: { loadState } });
    const progress = await runHandler(load.getLoadingProgress, milvus.GetLoadingProgressRequestCodec, request, call);
    if (!progress.ok)
      return done({ data: { loadState, loadProgress: -1 }, extra: { message: progress.failure.message } });
    return done({ data: { loadState, loadProgress: Number(progress.value.progress ?? 0n) } });
  };
};

const alterProperties: Endpoint = (body, call) => {
  const properties = Object.entries(body.object("properties")).map(([key, value]) => ({
    key,
    value: textOf(value ?? null),
  }));
  const request = { ...named(body, call), properties };
  return () => runVoid(collection.alterCollection, milvus.AlterCollectionRequestCodec, request, call);
};

const dropProperties: Endpoint = (body, call) => {
  const request = { ...named(body, call), deleteKeys: body.texts("propertyKeys") };
  return () => runVoid(collection.alterCollection, milvus.AlterCollectionRequestCodec, request, call);
};

const flushOne: Endpoint = (body, call) => {
  const { dbName, collectionName } = named(body, call);
  return () => runVoid(flush.flush, milvus.FlushRequestCodec, { dbName, collectionNames: [collectionName] }, call);
};

const compact: Endpoint = (body, call) => {
  const request = { ...named(body, call), majorCompaction: body.boolean("isClustering") };
  return async () => {
    const answer = await runHandler(admin.manualCompaction, milvus.ManualCompactionRequestCodec, request, call);
    return answer.ok ? done({ data: { compactionID: answer.value.compactionID ?? 0n } }) : answer;
  };
};

const compactionStates: readonly string[] = ["UndefiedState", "Executing", "Completed"];

const getCompactionState: Endpoint = (body, call) => {
  const compactionID = BigInt(body.integer("jobID"));
  return async () => {
    const answer = await runHandler(
      admin.getCompactionState,
      milvus.GetCompactionStateRequestCodec,
      { compactionID },
      call,
    );
    if (!answer.ok) return answer;
    const { state, executingPlanNo, timeoutPlanNo, completedPlanNo } = answer.value;
    return done({
      data: {
        compactionID,
        state: compactionStates[state ?? 0] ?? "",
        executingPlanNumber: executingPlanNo ?? 0n,
        timeoutPlanNumber: timeoutPlanNo ?? 0n,
        completedPlanNumber: completedPlanNo ?? 0n,
      },
    });
  };
};

const describe: Endpoint = (body, call) => {
  const request = named(body, call);
  return async () => {
    const answer = await runHandler(
      collection.describeCollection,
      milvus.DescribeCollectionRequestCodec,
      request,
      call,
    );
    if (!answer.ok) return answer;
    const state = await runHandler(load.getLoadState, milvus.GetLoadStateRequestCodec, request, call);
    const index = await runHandler(indexes.describeIndex, milvus.DescribeIndexRequestCodec, request, call);
    const shown = index.ok ? (index.value.indexDescriptions ?? []) : [];
    return done({ data: described(answer.value, shown, state.ok ? (state.value.state ?? 0) : 1) });
  };
};

function described(
  info: Init<milvus.DescribeCollectionResponse>,
  indexList: readonly Init<milvus.IndexDescription>[],
  loadState: number,
): Json {
  const own = info.schema;
  return {
    collectionName: info.collectionName,
    collectionID: info.collectionID ?? 0n,
    description: own?.description ?? "",
    autoId: own?.autoID ?? false,
    fields: (own?.fields ?? []).map(describedField),
    functions: [],
    aliases: info.aliases ?? [],
    indexes: indexList.map((i) => ({
      indexName: i.indexName,
      fieldName: i.fieldName,
      metricType: i.params?.find((p) => p.key === "metric_type")?.value ?? "",
    })),
    load: loadStateNames[loadState] ?? "LoadStateNotLoad",
    shardsNum: info.shardsNum,
    partitionsNum: info.numPartitions ?? 0n,
    consistencyLevel: levelName(info.consistencyLevel ?? 0),
    enableDynamicField: own?.enableDynamicField ?? false,
    properties: pairsOf(info.properties),
  };
}

type Pairs = readonly { readonly key?: string | undefined; readonly value?: string | undefined }[];

function pairsOf(pairs: Pairs | undefined): Json {
  return (pairs ?? []).map(({ key, value }) => ({ key: key ?? "", value: value ?? "" }));
}

function levelName(level: number): string {
  const name = levelOf(level) ?? "strong";
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

function describedField(field: Init<schema.FieldSchema>): Json {
  const value =
    field.defaultValue === undefined
      ? undefined
      : Object.entries(field.defaultValue).find(([, v]) => v !== undefined)?.[1];
  return {
    name: field.name,
    id: field.fieldID ?? 0n,
    type: typeName(field.dataType ?? 0),
    primaryKey: field.isPrimaryKey ?? false,
    partitionKey: field.isPartitionKey ?? false,
    clusteringKey: field.isClusteringKey ?? false,
    autoId: field.autoID ?? false,
    description: field.description ?? "",
    nullable: field.nullable ?? false,
    defaultValue: value as Json | undefined,
    params: (field.typeParams ?? []).length === 0 ? undefined : pairsOf(field.typeParams),
    elementType: (field.elementType ?? 0) === 0 ? undefined : typeName(field.elementType ?? 0),
  };
}

export const collectionEndpoints: Readonly<Record<string, Endpoint>> = {
  "collections/list": list,
  "collections/has": has,
  "collections/describe": describe,
  "collections/get_stats": getStats,
  "collections/get_load_state": getLoadState,
  "collections/create": createCollection,
  "collections/drop": drop,
  "collections/rename": rename,
  "collections/load": loadAll,
  "collections/refresh_load": loadAll,
  "collections/release": release,
  "collections/alter_properties": alterProperties,
  "collections/drop_properties": dropProperties,
  "collections/flush": flushOne,
  "collections/compact": compact,
  "collections/get_compaction_state": getCompactionState,
};
