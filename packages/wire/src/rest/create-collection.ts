/** REST: `collections/create`, quick (a key and a vector) or with a whole schema. */
import { createCollection as create } from "../milvus/collection.ts";
import { createIndex } from "../milvus/index.ts";
import { loadCollection } from "../milvus/load.ts";
import { typeNumber } from "../milvus/type-names.ts";
import { ConsistencyLevel } from "../gen/common.ts";
import * as milvus from "../gen/milvus.ts";
import * as schema from "../gen/schema.ts";
import { encode, type Init } from "../protobuf/runtime.ts";
import type { Body } from "./body.ts";
import { type Endpoint, nothing, type RestCall, runVoid } from "./endpoint.ts";
import { done, invalid, type RestOutcome, refuse } from "./failure.ts";
import { type IndexParam, readIndexParams, runIndexes } from "./index-params.ts";
import { type Json, textOf } from "./json.ts";

type Fields = { readonly [key: string]: Json | undefined };

interface CreateBody {
  readonly collectionName: string;
  readonly description: string;
  readonly schema: Fields;
  readonly params: Fields;
  readonly properties: Fields;
  readonly consistencyLevel: string;
  readonly indexParams: readonly Json[];
  readonly quick: QuickBody;
}

interface QuickBody {
  readonly dimension: number;
  readonly metricType: string;
  readonly vectorFieldType: string;
  readonly idType: string;
  readonly autoId: boolean;
  readonly primaryField: string;
  readonly vectorField: string;
}

export const createCollection: Endpoint = (body, call) => {
  const read = readBody(body);
  return async () => {
    const fields = read.schema["fields"];
    const full = Array.isArray(fields) && fields.length > 0;
    const message = full ? fullSchema(read) : quickSchema(read);
    if (!message.ok) return message;
    const request = createRequest(read, message.value, call);
    if (!request.ok) return request;
    const indexes = full ? readIndexParams(read.indexParams) : quickIndex(read.quick);
    if (!indexes.ok) return indexes;
    const created = await runVoid(create, milvus.CreateCollectionRequestCodec, request.value, call);
    return created.ok ? indexAndLoad(read, indexes.value, message.value, call) : created;
  };
};

function readBody(body: Body): CreateBody {
  return {
    collectionName: body.required("collectionName"),
    description: body.text("description"),
    schema: body.object("schema"),
    params: body.object("params"),
    properties: body.object("properties"),
    consistencyLevel: body.text("consistencyLevel"),
    indexParams: body.list("indexParams"),
    quick: {
      dimension: body.integer("dimension"),
      metricType: body.text("metricType"),
      vectorFieldType: body.text("vectorFieldType", "FloatVector"),
      idType: body.text("idType", "Int64"),
      autoId: body.boolean("autoID", body.boolean("autoId")),
      primaryField: body.text("primaryFieldName", "id"),
      vectorField: body.text("vectorFieldName", "vector"),
    },
  };
}

async function indexAndLoad(
  read: CreateBody,
  indexes: readonly IndexParam[],
  message: Init<schema.CollectionSchema>,
  call: RestCall,
): Promise<RestOutcome<typeof nothing>> {
  if (indexes.length === 0) return done(nothing);
  const unknown = indexes.find((i) => !(message.fields ?? []).some((f) => f.name === i.fieldName));
  if (unknown !== undefined) {
    return refuse(1_802, `missing required parameters, error: \`${unknown.fieldName}\` hasn't defined in schema`);
  }
  const built = await runIndexes(indexes, call.database, read.collectionName, createIndex, call);
  if (!built.ok) return built;
  const request = { dbName: call.database, collectionName: read.collectionName };
  const loaded = await runVoid(loadCollection, milvus.LoadCollectionRequestCodec, request, call);
  return loaded.ok ? done(nothing) : loaded;
}

function createRequest(
  read: CreateBody,
  message: Init<schema.CollectionSchema>,
  call: RestCall,
): RestOutcome<Init<milvus.CreateCollectionRequest>> {
  const level = consistencyOf(read);
  if (!level.ok) return level;
  const keyed = (message.fields ?? []).some((f) => f.isPartitionKey === true);
  const properties = propertiesOf(read);
  if (!properties.ok) return properties;
  return done({
    dbName: call.database,
    collectionName: read.collectionName,
    schema: encode(schema.CollectionSchemaCodec, message),
    shardsNum: integerIn(read.params, "shardsNum") ?? 1,
    consistencyLevel: level.value,
    properties: properties.value,
    numPartitions: keyed ? BigInt(integerIn(read.params, "partitionsNum") ?? 0) : 0n,
  });
}

function integerIn(fields: Fields, key: string): number | undefined {
  const value = Number(fields[key] ?? Number.NaN);
  return Number.isInteger(value) ? value : undefined;
}

function consistencyOf(read: CreateBody): RestOutcome<number> {
  const inner = read.params["consistencyLevel"];
  const named = read.consistencyLevel;
  if (typeof inner === "string" && named !== "" && inner !== named) {
    return invalid("top-level consistencyLevel conflicts with params.consistencyLevel");
  }
  return consistencyNumber(named === "" && typeof inner === "string" ? inner : named);
}

export function consistencyNumber(name: string): RestOutcome<number> {
  const wanted = name === "" ? "Bounded" : name;
  if (Object.hasOwn(ConsistencyLevel, wanted)) return done(ConsistencyLevel[wanted as keyof typeof ConsistencyLevel]);
  return invalid(`consistencyLevel can only be [Strong, Session, Bounded, Eventually, Customized], default: Bounded`);
}

const ttlKeys = ["collection.ttl.seconds", "ttl.seconds"];

function propertiesOf(read: CreateBody): RestOutcome<{ key: string; value: string }[]> {
  const properties = new Map<string, string>();
  const ttls = ttlKeys.flatMap((key) => read.properties[key] ?? []).concat(read.params["ttlSeconds"] ?? []);
  if (ttls.length > 1) return invalid("collection TTL is specified multiple times");
  const [ttl] = ttls;
  if (ttl !== undefined) properties.set("collection.ttl.seconds", textOf(ttl));
  const copied: readonly (readonly [string, string])[] = [
    ["partitionKeyIsolation", "partitionkey.isolation"],
    ["mmap.enabled", "mmap.enabled"],
  ];
  for (const [from, to] of copied) {
    const value = read.params[from];
    if (value !== undefined) properties.set(to, textOf(value));
  }
  return done([...properties].map(([key, value]) => ({ key, value })));
}

const quickMetrics: Readonly<Record<string, readonly string[]>> = {
  FloatVector: ["COSINE", "L2", "IP"],
  Float16Vector: ["COSINE", "L2", "IP"],
  BFloat16Vector: ["COSINE", "L2", "IP"],
  BinaryVector: ["HAMMING", "JACCARD"],
  SparseFloatVector: ["IP", "BM25"],
};

function quickSchema(read: CreateBody): RestOutcome<Init<schema.CollectionSchema>> {
  const { quick } = read;
  const functions = read.schema["functions"];
  if (Array.isArray(functions) && functions.length > 0)
    return invalid("functions are not supported for quickly create collection");
  const metrics = quickMetrics[quick.vectorFieldType];
  if (metrics === undefined)
    return invalid(`vectorFieldType can only be [${Object.keys(quickMetrics).join(", ")}], default: FloatVector`);
  const sparse = quick.vectorFieldType === "SparseFloatVector";
  if (sparse && quick.dimension !== 0)
    return invalid("dimension should not be specified for SparseFloatVector quick create");
  if (!sparse && quick.dimension === 0)
    return invalid("dimension is required for quickly create collection(default metric type: COSINE)");
  const metric = (quick.metricType === "" ? (metrics[0] ?? "") : quick.metricType).toUpperCase();
  if (!metrics.includes(metric)) {
    return invalid(
      sparse
        ? "only IP&BM25 is the supported metric type for sparse index"
        : `${quick.vectorFieldType} index does not support metric type: ${metric}`,
    );
  }
  const key = quickKey(quick, read.params["max_length"]);
  if (!key.ok) return key;
  const dim = sparse ? [] : [{ key: "dim", value: String(quick.dimension) }];
  const vector = { name: quick.vectorField, dataType: typeNumber(quick.vectorFieldType) ?? 0, typeParams: dim };
  const dynamic = read.params["enableDynamicField"];
  return done({
    name: read.collectionName,
    description: read.description,
    fields: [key.value, vector],
    enableDynamicField: dynamic === undefined || textOf(dynamic).toLowerCase() !== "false",
  });
}

function quickKey(quick: QuickBody, maxLength: Json | undefined): RestOutcome<Init<schema.FieldSchema>> {
  const name = { name: quick.primaryField, isPrimaryKey: true, autoID: quick.autoId };
  if (/^int64$/i.test(quick.idType)) return done({ ...name, dataType: schema.DataType.Int64 });
  if (!/^varchar$/i.test(quick.idType)) return invalid("idType can only be [Int64, VarChar], default: Int64");
  const typeParams = maxLength === undefined ? [] : [{ key: "max_length", value: textOf(maxLength) }];
  return done({ ...name, dataType: schema.DataType.VarChar, typeParams });
}

function quickIndex(quick: QuickBody): RestOutcome<readonly IndexParam[]> {
  const metric =
    quick.metricType === "" ? (quickMetrics[quick.vectorFieldType]?.[0] ?? "COSINE") : quick.metricType.toUpperCase();
  const params = [
    { key: "index_type", value: "AUTOINDEX" },
    { key: "metric_type", value: metric },
  ];
  return done([{ fieldName: quick.vectorField, indexName: quick.vectorField, params }]);
}

function fullSchema(read: CreateBody): RestOutcome<Init<schema.CollectionSchema>> {
  const given = read.schema;
  const autoId = given["autoID"] === true || given["autoId"] === true;
  const fields: Init<schema.FieldSchema>[] = [];
  for (const one of given["fields"] as readonly Json[]) {
    const field = toField(one, autoId);
    if (!field.ok) return field;
    fields.push(field.value);
  }
  // Only counted: the handler refuses both by name.
  const functions = Array.isArray(given["functions"]) ? given["functions"].map(() => ({})) : [];
  const structArrayFields = Array.isArray(given["structFields"]) ? given["structFields"].map(() => ({})) : [];
  return done({
    name: read.collectionName,
    description: read.description,
    fields,
    functions,
    structArrayFields,
    enableDynamicField: given["enableDynamicField"] === true,
    externalSource: typeof given["externalSource"] === "string" ? given["externalSource"] : "",
  });
}

function toField(given: Json, autoId: boolean): RestOutcome<Init<schema.FieldSchema>> {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    return refuse(1_801, "can only accept json format request, error: a field is not an object");
  const field = given as Fields;
  const name = field["fieldName"];
  const type = field["dataType"];
  if (typeof name !== "string" || name === "") return missingField("FieldName");
  if (typeof type !== "string" || type === "") return missingField("DataType");
  const dataType = typeNumber(type);
  if (dataType === undefined) return invalid(`data type ${type} is invalid(case sensitive).`);
  const element = field["elementDataType"];
  const elementType = typeof element === "string" ? typeNumber(element) : 0;
  if (elementType === undefined || (dataType === schema.DataType.Array && elementType === 0)) {
    return invalid(`element data type ${typeof element === "string" ? element : ""} is invalid(case sensitive).`);
  }
  const value = defaultValue(field["defaultValue"], dataType);
  if (!value.ok) return value;
  const primary = field["isPrimary"] === true;
  return done({
    name,
    dataType,
    elementType,
    isPrimaryKey: primary,
    autoID: primary && (autoId || field["autoID"] === true),
    description: typeof field["description"] === "string" ? field["description"] : "",
    isPartitionKey: field["isPartitionKey"] === true,
    isClusteringKey: field["isClusteringKey"] === true,
    nullable: field["nullable"] === true,
    defaultValue: value.value,
    typeParams: typeParams(field["elementTypeParams"] ?? field["typeParams"]),
  });
}

function missingField(field: string): RestOutcome<never> {
  const why = `Key: 'FieldSchema.${field}' Error:Field validation for '${field}' failed on the 'required' tag`;
  return refuse(1_802, `missing required parameters, error: ${why}`);
}

function typeParams(given: Json | undefined): { key: string; value: string }[] {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return [];
  return Object.entries(given as Fields).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: textOf(value) }],
  );
}

function defaultValue(given: Json | undefined, type: number): RestOutcome<Init<schema.ValueField> | undefined> {
  if (given === undefined || given === null) return done(undefined);
  const bad = invalid(`convert defaultValue fail, err: ${textOf(given)}`);
  const { DataType } = schema;
  if (type === DataType.Bool) return typeof given === "boolean" ? done({ boolData: given }) : bad;
  if (type === DataType.VarChar || type === DataType.Geometry)
    return typeof given === "string" ? done({ stringData: given }) : bad;
  if (type === DataType.JSON || type === DataType.Array || type >= 100) return done({ bytesData: new Uint8Array(0) });
  const text = textOf(given);
  if (type === DataType.Int64) return /^-?\d+$/.test(text) ? done({ longData: BigInt.asIntN(64, BigInt(text)) }) : bad;
  const number = Number(text);
  if (text.trim() === "" || Number.isNaN(number)) return bad;
  if (type === DataType.Float) return done({ floatData: number });
  if (type === DataType.Double) return done({ doubleData: number });
  return Number.isInteger(number) && Math.abs(number) <= 2_147_483_648 ? done({ intData: number }) : bad;
}
