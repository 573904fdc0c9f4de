/** A collection as DescribeCollection shows it. */
import type { CollectionInfo } from "@elanus/model/catalog";
import { DataType, type FieldSchema, primaryKeyOf, type ScalarValue } from "@elanus/model/schema";
import { physicalMsOf, type Timestamp } from "@elanus/model/time";
import type * as milvus from "../gen/milvus.ts";
import type * as schema from "../gen/schema.ts";
import type { Init } from "../protobuf/runtime.ts";
import { numberOfLevel } from "./consistency.ts";
import { toPairs } from "./key-values.ts";

export function physicalChannelOf(shard: string): string {
  return shard.replace(/_\d+v\d+$/, "");
}

/** Properties with those that Milvus always shows. */
export function shownProperties(info: CollectionInfo): Readonly<Record<string, string>> {
  return { timezone: "UTC", ...info.properties };
}

export function describedCollection(
  info: CollectionInfo,
  askedName: string,
  requestTime: Timestamp,
): Init<milvus.DescribeCollectionResponse> {
  return {
    schema: encodeSchemaMessage(info),
    collectionID: info.id,
    virtualChannelNames: info.shards,
    physicalChannelNames: info.shards.map(physicalChannelOf),
    createdTimestamp: info.createdAt,
    createdUtcTimestamp: BigInt(physicalMsOf(info.createdAt)),
    shardsNum: info.shards.length,
    aliases: info.aliases,
    consistencyLevel: numberOfLevel(info.consistency),
    collectionName: askedName === "" ? info.schema.name : askedName,
    properties: toPairs(shownProperties(info)),
    dbName: info.database,
    numPartitions: BigInt(info.partitions.length),
    dbId: info.databaseId,
    requestTime,
    updateTimestamp: info.updatedAt,
    updateTimestampStr: info.updatedAt.toString(),
  };
}

function encodeSchemaMessage(info: CollectionInfo): Init<schema.CollectionSchema> {
  const { schema: own } = info;
  return {
    name: own.name,
    description: own.description,
    autoID: primaryKeyOf(own).autoId,
    fields: own.fields.filter((f) => !f.dynamic).map(encodeField),
    enableDynamicField: own.dynamicFieldEnabled,
    properties: toPairs(shownProperties(info)),
    version: own.version,
  };
}

function encodeField(field: FieldSchema): Init<schema.FieldSchema> {
  return {
    fieldID: BigInt(field.id),
    name: field.name,
    isPrimaryKey: field.primaryKey,
    description: field.description,
    dataType: field.type,
    typeParams: toPairs(field.typeParams),
    autoID: field.autoId,
    elementType: field.elementType ?? 0,
    defaultValue: field.defaultValue === undefined ? undefined : encodeDefault(field.type, field.defaultValue),
    isPartitionKey: field.partitionKey,
    isClusteringKey: field.clusteringKey,
    nullable: field.nullable,
  };
}

function encodeDefault(type: DataType, value: ScalarValue): Init<schema.ValueField> {
  switch (typeof value) {
    case "boolean":
      return { boolData: value };
    case "string":
      return { stringData: value };
    case "bigint":
      return type === DataType.int64 ? { longData: value } : { intData: Number(value) };
    default:
      return type === DataType.float ? { floatData: value } : { doubleData: value };
  }
}
