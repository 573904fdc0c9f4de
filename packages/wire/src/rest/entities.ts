/** REST: rows. Their JSON goes to native code as it came and comes back as it will be sent. */
import type { Consistency, FilterInput, TemplateValue } from "@elanus/model/contract/proxy";
import type { QueryReport, SearchReport } from "@elanus/model/explain";
import { DataType, primaryKeyOf } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { IDsCodec } from "../gen/schema.ts";
import { refOf } from "../milvus/call.ts";
import { levelOf } from "../milvus/consistency.ts";
import { templateOf } from "../milvus/templates.ts";
import { decode } from "../protobuf/runtime.ts";
import type { Body } from "./body.ts";
import { consistencyNumber } from "./create-collection.ts";
import type { Endpoint, RestCall } from "./endpoint.ts";
import type { RestReply } from "./envelope.ts";
import { done, failed, invalid, refuse, type RestOutcome } from "./failure.ts";
import { type Json, textOf } from "./json.ts";
import { looksLikeArray } from "./scan.ts";

const LIMIT_DEFAULT = 100;
/** Metering does not exist here; clients expect the key. */
const costless = { cost: 0 } as const;

/** What an answer says beside its rows: the account of the read when it was asked for. */
export function besideRows(report: QueryReport | SearchReport | undefined): { readonly [key: string]: Json } {
  // Reports hold only what JSON can say.
  return report === undefined ? costless : { ...costless, explain: report as unknown as Json };
}

/** The collection's own level when none is named. */
export function consistencyIn(body: Body): RestOutcome<Consistency> {
  return consistencyNamed(body.text("consistencyLevel"));
}

export function consistencyNamed(name: string): RestOutcome<Consistency> {
  const guarantee = 0n as Timestamp;
  if (name === "") return done({ level: undefined, guarantee });
  const number = consistencyNumber(name);
  return number.ok ? done({ level: levelOf(number.value), guarantee }) : number;
}

export function filterIn(text: string, params: { readonly [key: string]: Json | undefined }): RestOutcome<FilterInput> {
  const templates = new Map<string, TemplateValue>();
  for (const [name, given] of Object.entries(params)) {
    const value = given === undefined ? undefined : templateOf(given);
    if (value === undefined) return invalid(`unsupported value of the expression parameter ${name}`);
    templates.set(name, value);
  }
  return done({ text, templates });
}

type Write = "insert" | "upsert";

function write(kind: Write): Endpoint {
  return (body, call) => {
    const collection = body.required("collectionName");
    const partition = body.text("partitionName");
    const rows = body.raw("data");
    if (rows === undefined) body.missing("data");
    const partial = body.boolean("partialUpdate") || body.list("fieldOps").length > 0;
    return async () => {
      const ref = refOf(call, call.database, collection);
      if (!ref.ok) return failed(ref.error);
      if (partial) return failed({ kind: "notImplemented", call: "entities/upsert with partialUpdate" });
      if (rows === undefined || !looksLikeArray(rows)) {
        return refuse(1_801, "can only accept json format request, error: data must be an array of objects");
      }
      const request = {
        ...ref.value,
        partition,
        rows: { kind: "json", rows },
        schemaTimestamp: 0n as Timestamp,
      } as const;
      const answer = await call.env.proxy[kind](request, call.deadlineMs);
      if (!answer.ok) return dataFailure(answer.error);
      const ids = idsIn(answer.value.ids, call.int64AsText);
      const data =
        kind === "insert"
          ? { insertCount: answer.value.count, insertIds: ids }
          : { upsertCount: answer.value.count, upsertIds: ids };
      return done({ data, extra: costless });
    };
  };
}

/** What is wrong with the rows themselves has a code of its own. */
export function dataFailure(error: Parameters<typeof failed>[0]): RestOutcome<never> {
  const failure = failed(error);
  if (error.kind !== "invalidParameter" && error.kind !== "missingParameter") return failure;
  return refuse(1_804, `fail to deal the insert data, error: ${failure.failure.message}`);
}

function idsIn(message: Uint8Array, asText: boolean): Json {
  const ids = decode(IDsCodec, message);
  if (ids.strId !== undefined) return ids.strId.data;
  const numbers = ids.intId?.data ?? [];
  return asText ? numbers.map(String) : numbers;
}

const remove: Endpoint = (body, call) => {
  const collection = body.required("collectionName");
  const partition = body.text("partitionName");
  const text = body.required("filter");
  const params = body.object("exprParams");
  return async () => {
    const ref = refOf(call, call.database, collection);
    if (!ref.ok) return failed(ref.error);
    const filter = filterIn(text, params);
    if (!filter.ok) return filter;
    const consistency = { level: "strong", guarantee: 0n as Timestamp } as const;
    const answer = await call.env.proxy.delete(
      { ...ref.value, partition, filter: filter.value, consistency },
      call.deadlineMs,
    );
    return answer.ok ? done({ data: { deleteCount: answer.value.count }, extra: costless }) : failed(answer.error);
  };
};

interface Read {
  readonly collection: string;
  readonly partitions: readonly string[];
  readonly outputFields: readonly string[];
  readonly consistency: Consistency;
}

async function runQuery(
  read: Read,
  filter: FilterInput,
  params: ReadonlyMap<string, string>,
  call: RestCall,
): Promise<RestOutcome<RestReply>> {
  const ref = refOf(call, call.database, read.collection);
  if (!ref.ok) return failed(ref.error);
  const { partitions, outputFields, consistency } = read;
  const request = { ...ref.value, partitions, filter, outputFields, params, consistency };
  const answer = await call.env.proxy.query(request, call.int64AsText ? "jsonText" : "json", call.deadlineMs);
  if (!answer.ok) return failed(answer.error);
  const { columns, report } = answer.value;
  return done({
    data: { raw: columns.length === 0 ? [new TextEncoder().encode("[]")] : columns },
    extra: besideRows(report),
  });
}

const query: Endpoint = (body, call) => {
  const read = readRead(body);
  const text = body.text("filter");
  const exprParams = body.object("exprParams");
  const limit = body.integer("limit", LIMIT_DEFAULT);
  const offset = body.integer("offset");
  const consistency = consistencyIn(body);
  const explain = body.boolean("explain");
  const grouped = body.list("orderByFields").length + body.list("groupByFields").length > 0;
  return async () => {
    if (!consistency.ok) return consistency;
    if (grouped) return failed({ kind: "notImplemented", call: "entities/query with orderByFields or groupByFields" });
    const filter = filterIn(text, exprParams);
    if (!filter.ok) return filter;
    const counting = read.outputFields.length === 1 && read.outputFields[0] === "count(*)";
    const params = new Map(explain ? [["explain", "true"]] : []);
    if (!counting) params.set("limit", String(limit)).set("offset", String(offset));
    return runQuery({ ...read, consistency: consistency.value }, filter.value, params, call);
  };
};

function readRead(body: Body): Omit<Read, "consistency"> {
  const outputFields = body.texts("outputFields");
  return {
    collection: body.required("collectionName"),
    partitions: body.texts("partitionNames"),
    outputFields: outputFields.length === 0 ? ["*"] : outputFields,
  };
}

/** By key: the filter is `KEY in {ids}` with the values as a template, so no value is ever quoted into text. */
const get: Endpoint = (body, call) => {
  const read = readRead(body);
  const single = body.text("partitionName");
  const id = body.value("id");
  if (id === undefined) body.missing("id");
  const consistency = consistencyIn(body);
  return async () => {
    if (!consistency.ok) return consistency;
    const ref = refOf(call, call.database, read.collection);
    if (!ref.ok) return failed(ref.error);
    const info = await call.env.proxy.catalog.describeCollection(ref.value);
    if (!info.ok) return failed(info.error);
    const key = primaryKeyOf(info.value.schema);
    const keys = keysOf(id ?? [], key.type === DataType.int64);
    if (!keys.ok) return keys;
    const filter: FilterInput = {
      text: `${key.name} in {ids}`,
      templates: new Map([["ids", { kind: "array", value: keys.value }]]),
    };
    const partitions = single === "" ? read.partitions : [...read.partitions, single];
    return runQuery({ ...read, partitions, consistency: consistency.value }, filter, new Map(), call);
  };
};

function keysOf(id: Json, integers: boolean): RestOutcome<readonly TemplateValue[]> {
  const keys: TemplateValue[] = [];
  for (const one of Array.isArray(id) ? (id as readonly Json[]) : [id]) {
    const text = typeof one === "object" || typeof one === "boolean" ? "" : textOf(one);
    if (integers && !/^-?\d{1,19}$/.test(text)) {
      return refuse(
        1_806,
        `please check the primary key and its' type can only in [int, string], error: ${textOf(one)}`,
      );
    }
    if (!integers && typeof one !== "string") {
      return refuse(
        1_806,
        `please check the primary key and its' type can only in [int, string], error: ${textOf(one)}`,
      );
    }
    keys.push(integers ? { kind: "int", value: BigInt(text) } : { kind: "string", value: text });
  }
  return done(keys);
}

export const entityEndpoints: Readonly<Record<string, Endpoint>> = {
  "entities/insert": write("insert"),
  "entities/upsert": write("upsert"),
  "entities/delete": remove,
  "entities/query": query,
  "entities/get": get,
};
