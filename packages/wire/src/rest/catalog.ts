/** REST: partitions, indexes, aliases and databases. */
import { IndexState } from "../gen/common.ts";
import * as milvus from "../gen/milvus.ts";
import * as alias from "../milvus/alias.ts";
import * as database from "../milvus/database.ts";
import * as indexes from "../milvus/index.ts";
import * as load from "../milvus/load.ts";
import * as partition from "../milvus/partition.ts";
import type { Init } from "../protobuf/runtime.ts";
import type { Body } from "./body.ts";
import { named, rowCountIn } from "./collections.ts";
import { type Endpoint, type RestCall, runHandler, runVoid } from "./endpoint.ts";
import { done } from "./failure.ts";
import { readIndexParams, runIndexes } from "./index-params.ts";
import { type Json, textOf } from "./json.ts";

function partitionOf(body: Body, call: RestCall): { dbName: string; collectionName: string; partitionName: string } {
  return { ...named(body, call), partitionName: body.required("partitionName") };
}

const listPartitions: Endpoint = (body, call) => {
  const request = named(body, call);
  return async () => {
    const answer = await runHandler(partition.showPartitions, milvus.ShowPartitionsRequestCodec, request, call);
    return answer.ok ? done({ data: answer.value.partitionNames ?? [] }) : answer;
  };
};

const hasPartition: Endpoint = (body, call) => {
  const request = partitionOf(body, call);
  return async () => {
    const answer = await runHandler(partition.hasPartition, milvus.HasPartitionRequestCodec, request, call);
    return answer.ok ? done({ data: { has: answer.value.value ?? false } }) : answer;
  };
};

const partitionStats: Endpoint = (body, call) => {
  const request = partitionOf(body, call);
  return async () => {
    const answer = await runHandler(
      partition.getPartitionStatistics,
      milvus.GetPartitionStatisticsRequestCodec,
      request,
      call,
    );
    return answer.ok ? done({ data: { rowCount: rowCountIn(answer.value.stats ?? []) } }) : answer;
  };
};

const createPartition: Endpoint = (body, call) => {
  const request = partitionOf(body, call);
  return () => runVoid(partition.createPartition, milvus.CreatePartitionRequestCodec, request, call);
};

const dropPartition: Endpoint = (body, call) => {
  const request = partitionOf(body, call);
  return () => runVoid(partition.dropPartition, milvus.DropPartitionRequestCodec, request, call);
};

const loadPartitions: Endpoint = (body, call) => {
  const request = { ...named(body, call), partitionNames: body.requiredTexts("partitionNames") };
  return () => runVoid(load.loadPartitions, milvus.LoadPartitionsRequestCodec, request, call);
};

const releasePartitions: Endpoint = (body, call) => {
  const request = { ...named(body, call), partitionNames: body.requiredTexts("partitionNames") };
  return () => runVoid(load.releasePartitions, milvus.ReleasePartitionsRequestCodec, request, call);
};

const INDEX_NOT_FOUND = 700;

const listIndexes: Endpoint = (body, call) => {
  const request = named(body, call);
  return async () => {
    const answer = await runHandler(indexes.describeIndex, milvus.DescribeIndexRequestCodec, request, call);
    if (answer.ok) return done({ data: (answer.value.indexDescriptions ?? []).map((i) => i.indexName ?? "") });
    return answer.failure.code === INDEX_NOT_FOUND ? done({ data: [] }) : answer;
  };
};

const describeIndex: Endpoint = (body, call) => {
  const request = { ...named(body, call), indexName: body.required("indexName") };
  return async () => {
    const answer = await runHandler(indexes.describeIndex, milvus.DescribeIndexRequestCodec, request, call);
    return answer.ok ? done({ data: (answer.value.indexDescriptions ?? []).map(describedIndex) }) : answer;
  };
};

const indexStateNames = new Map<number, string>(Object.entries(IndexState).map(([name, number]) => [number, name]));

function describedIndex(index: Init<milvus.IndexDescription>): Json {
  const params = new Map((index.params ?? []).map((p) => [p.key ?? "", p.value ?? ""]));
  return {
    indexName: index.indexName,
    fieldName: index.fieldName,
    indexType: params.get("index_type") ?? "",
    metricType: params.get("metric_type") ?? "",
    totalRows: index.totalRows ?? 0n,
    indexedRows: index.indexedRows ?? 0n,
    pendingRows: index.pendingIndexRows ?? 0n,
    indexState: indexStateNames.get(index.state ?? 0) ?? "",
    failReason: index.indexStateFailReason ?? "",
    minIndexVersion: index.minIndexVersion ?? 0,
    maxIndexVersion: index.maxIndexVersion ?? 0,
    indexParams: [...params].map(([key, value]) => ({ key, value })),
  };
}

const createIndexes: Endpoint = (body, call) => {
  const { dbName, collectionName } = named(body, call);
  const list = body.list("indexParams");
  if (list.length === 0) body.missing("indexParams");
  return async () => {
    const params = readIndexParams(list);
    return params.ok ? runIndexes(params.value, dbName, collectionName, indexes.createIndex, call) : params;
  };
};

const dropIndex: Endpoint = (body, call) => {
  const request = { ...named(body, call), indexName: body.required("indexName") };
  return () => runVoid(indexes.dropIndex, milvus.DropIndexRequestCodec, request, call);
};

const alterIndex: Endpoint = (body, call) => {
  const request = { ...named(body, call), indexName: body.required("indexName"), extraParams: propertiesIn(body) };
  return () => runVoid(indexes.alterIndex, milvus.AlterIndexRequestCodec, request, call);
};

const dropIndexProperties: Endpoint = (body, call) => {
  const deleteKeys = body.texts("propertyKeys");
  const request = { ...named(body, call), indexName: body.required("indexName"), deleteKeys };
  return () => runVoid(indexes.alterIndex, milvus.AlterIndexRequestCodec, request, call);
};

const listAliases: Endpoint = (body, call) => {
  const request = { dbName: call.database, collectionName: body.text("collectionName") };
  return async () => {
    const answer = await runHandler(alias.listAliases, milvus.ListAliasesRequestCodec, request, call);
    return answer.ok ? done({ data: answer.value.aliases ?? [] }) : answer;
  };
};

const describeAlias: Endpoint = (body, call) => {
  const request = { dbName: call.database, alias: body.required("aliasName") };
  return async () => {
    const answer = await runHandler(alias.describeAlias, milvus.DescribeAliasRequestCodec, request, call);
    if (!answer.ok) return answer;
    return done({
      data: { dbName: answer.value.dbName, collectionName: answer.value.collection, aliasName: answer.value.alias },
    });
  };
};

const createAlias: Endpoint = (body, call) => {
  const request = { ...named(body, call), alias: body.required("aliasName") };
  return () => runVoid(alias.createAlias, milvus.CreateAliasRequestCodec, request, call);
};

const alterAlias: Endpoint = (body, call) => {
  const request = { ...named(body, call), alias: body.required("aliasName") };
  return () => runVoid(alias.alterAlias, milvus.AlterAliasRequestCodec, request, call);
};

const dropAlias: Endpoint = (body, call) => {
  const request = { dbName: call.database, alias: body.required("aliasName") };
  return () => runVoid(alias.dropAlias, milvus.DropAliasRequestCodec, request, call);
};

const listDatabases: Endpoint = (_body, call) => async () => {
  const answer = await runHandler(database.listDatabases, milvus.ListDatabasesRequestCodec, {}, call);
  return answer.ok ? done({ data: answer.value.dbNames ?? [] }) : answer;
};

const describeDatabase: Endpoint = (body, call) => {
  const dbName = body.required("dbName");
  return async () => {
    const answer = await runHandler(database.describeDatabase, milvus.DescribeDatabaseRequestCodec, { dbName }, call);
    if (!answer.ok) return answer;
    const properties = (answer.value.properties ?? []).map((p) => ({ key: p.key ?? "", value: p.value ?? "" }));
    return done({ data: { dbName: answer.value.dbName, dbID: answer.value.dbID ?? 0n, properties } });
  };
};

function propertiesIn(body: Body): { key: string; value: string }[] {
  return Object.entries(body.object("properties")).map(([key, value]) => ({ key, value: textOf(value ?? null) }));
}

const createDatabase: Endpoint = (body, call) => {
  const request = { dbName: body.required("dbName"), properties: propertiesIn(body) };
  return () => runVoid(database.createDatabase, milvus.CreateDatabaseRequestCodec, request, call);
};

const dropDatabase: Endpoint = (body, call) => {
  const request = { dbName: body.required("dbName") };
  return () => runVoid(database.dropDatabase, milvus.DropDatabaseRequestCodec, request, call);
};

const alterDatabase: Endpoint = (body, call) => {
  const request = { dbName: body.required("dbName"), properties: propertiesIn(body) };
  return () => runVoid(database.alterDatabase, milvus.AlterDatabaseRequestCodec, request, call);
};

const dropDatabaseProperties: Endpoint = (body, call) => {
  const request = { dbName: body.required("dbName"), deleteKeys: body.requiredTexts("propertyKeys") };
  return () => runVoid(database.alterDatabase, milvus.AlterDatabaseRequestCodec, request, call);
};

export const catalogEndpoints: Readonly<Record<string, Endpoint>> = {
  "partitions/list": listPartitions,
  "partitions/has": hasPartition,
  "partitions/get_stats": partitionStats,
  "partitions/create": createPartition,
  "partitions/drop": dropPartition,
  "partitions/load": loadPartitions,
  "partitions/release": releasePartitions,
  "indexes/list": listIndexes,
  "indexes/describe": describeIndex,
  "indexes/create": createIndexes,
  "indexes/drop": dropIndex,
  "indexes/alter_properties": alterIndex,
  "indexes/drop_properties": dropIndexProperties,
  "aliases/list": listAliases,
  "aliases/describe": describeAlias,
  "aliases/create": createAlias,
  "aliases/alter": alterAlias,
  "aliases/drop": dropAlias,
  "databases/list": listDatabases,
  "databases/describe": describeDatabase,
  "databases/create": createDatabase,
  "databases/drop": dropDatabase,
  "databases/alter": alterDatabase,
  "databases/alter_properties": alterDatabase,
  "databases/drop_properties": dropDatabaseProperties,
};
