/** Decisions on index definitions, and what DescribeIndex says of their building. */
import type { IndexInfo, Properties, ShardManifest } from "@elanus/model/catalog";
import type { CollectionRef, CreateIndex, IndexProgress } from "@elanus/model/contract/coordinator";
import type { IndexId } from "@elanus/model/id";
import { invalid } from "@elanus/model/error";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { isVector } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { NOT_MAPPED } from "@elanus/query/index-params";
import { indexNamed, NO_CHANGE, type Catalog, type Change, type CollectionRecord } from "./catalog.ts";
import { indexStateOf, type Attempts } from "./index-jobs.ts";

/** Settings of how an index is held; two indexes that differ only here are the same. */
const HOLDING_KEYS: ReadonlySet<string> = new Set([
  "mmap.enabled",
  "mmap_enabled",
  "indexoffsetcache.enabled",
  "warmup",
  "index_type",
  "metric_type",
]);

export function createIndex(catalog: Catalog, request: CreateIndex, id: IndexId, at: Timestamp): Outcome<Change> {
  const found = catalog.resolve(request);
  if (!found.ok) return found;
  const record = found.value;
  const field = record.schema.fields.find((candidate) => candidate.name === request.field);
  if (field === undefined) return fail(invalid(`cannot create index on non-exist field: ${request.field}`));
  const index: IndexInfo = {
    id,
    field: field.id,
    type: request.type,
    params: request.params,
    userParams: request.userParams,
    createdAt: at,
    name: request.index === "" ? field.name : request.index,
    ...(request.metric === undefined ? {} : { metric: request.metric }),
  };
  const twin = indexNamed(record, index.name);
  if (twin !== undefined) {
    if (twin.field === index.field && sameIndex(twin, index)) return succeed(NO_CHANGE);
    return fail(invalid("at most one distinct index is allowed per field"));
  }
  const rival = record.indexes.find((other) => other.field === field.id && samePath(other, index));
  if (rival !== undefined) {
    return fail(invalid("CreateIndex failed: creating multiple indexes on same field is not supported"));
  }
  return succeed({ putCollections: [{ ...record, indexes: [...record.indexes, index] }] });
}

/** JSON fields may have an index per path. */
function samePath(left: IndexInfo, right: IndexInfo): boolean {
  return left.params["json_path"] === right.params["json_path"];
}

function sameIndex(left: IndexInfo, right: IndexInfo): boolean {
  if (left.type !== right.type || !sameMetric(left, right)) return false;
  return buildText(left) === buildText(right);
}

/** What makes the built index what it is. */
function buildText(index: IndexInfo): string {
  const params = Object.entries(index.params).filter(([key]) => !HOLDING_KEYS.has(key));
  return JSON.stringify(params.sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** AUTOINDEX without a metric takes whatever metric is there. */
function sameMetric(left: IndexInfo, right: IndexInfo): boolean {
  return left.metric === right.metric || !right.userParams.some((param) => param.key === "metric_type");
}

export function dropIndex(catalog: Catalog, ref: CollectionRef, name: string): Outcome<Change> {
  const found = catalog.resolve(ref);
  if (!found.ok) return found;
  const record = found.value;
  const matches = name === "" ? record.indexes : record.indexes.filter((index) => index.name === name);
  const [index] = matches;
  if (index === undefined) return succeed(NO_CHANGE);
  if (matches.length > 1) {
    return fail({ kind: "indexDuplicate", message: "there are multiple indexes, please specify the index name" });
  }
  const field = record.schema.fields.find((candidate) => candidate.id === index.field);
  if (field !== undefined && isVector(field.type) && record.load.kind !== "released") {
    return fail(invalid(`vector index cannot be dropped on loaded collection: ${record.id}`));
  }
  return succeed({ putCollections: [{ ...record, indexes: record.indexes.filter((other) => other.id !== index.id) }] });
}

/** Properties that may change after an index is made. */
const ALTERABLE_KEYS: readonly string[] = ["mmap.enabled", "indexoffsetcache.enabled", "warmup"];

export interface IndexAlteration {
  readonly set: Properties;
  readonly remove: readonly string[];
}

export function alterIndex(
  catalog: Catalog,
  ref: CollectionRef,
  name: string,
  { set, remove }: IndexAlteration,
): Outcome<Change> {
  const found = catalog.resolve(ref);
  if (!found.ok) return found;
  const record = found.value;
  const index = indexNamed(record, name);
  if (index === undefined) return fail({ kind: "indexNotFound", collection: record.schema.name, index: name });
  const problem = alterationProblem(index, set, remove);
  if (problem !== undefined) return fail(invalid(problem));
  if (record.load.kind !== "released") {
    const message = "can't alter index on loaded collection, please release the collection first";
    return fail({ kind: "indexOnLoadedCollection", collection: record.schema.name, message });
  }
  const changed = new Set([...remove, ...Object.keys(set)]);
  const kept = index.userParams.filter((param) => !changed.has(param.key));
  const added = Object.entries(set).map(([key, value]) => ({ key, value }));
  const altered = { ...index, userParams: [...kept, ...added] };
  const indexes = record.indexes.map((other) => (other.id === index.id ? altered : other));
  return succeed({ putCollections: [{ ...record, indexes }] });
}

function alterationProblem(index: IndexInfo, set: Properties, remove: readonly string[]): string | undefined {
  const unknown = [...Object.keys(set), ...remove].find((key) => !ALTERABLE_KEYS.includes(key));
  if (unknown !== undefined) return `${unknown} is not a configable index property`;
  for (const key of ["mmap.enabled", "indexoffsetcache.enabled"]) {
    const value = set[key];
    if (value === undefined) continue;
    if (!/^(true|false)$/i.test(value)) return `invalid ${key} value: ${value}, expected: true, false`;
  }
  if (set["mmap.enabled"] !== undefined && NOT_MAPPED.includes(index.type)) {
    return `index type ${index.type} does not support mmap`;
  }
  return set["indexoffsetcache.enabled"] !== undefined && index.type !== "BITMAP"
    ? "only bitmap index support indexoffsetcache.enabled now"
    : undefined;
}

export interface ProgressInput {
  readonly record: CollectionRecord;
  readonly name: string;
  /** Only segments up to it decide the state; 0n: the index' creation. */
  readonly at: Timestamp;
  readonly manifests: readonly ShardManifest[];
  readonly attempts: Attempts;
  readonly indexRowsMin: number;
}

export function describeIndexes(input: ProgressInput): Outcome<readonly IndexProgress[]> {
  const { record, name } = input;
  const chosen = name === "" ? record.indexes : record.indexes.filter((index) => index.name === name);
  if (chosen.length === 0) {
    const index = name === "" ? {} : { index: name };
    return fail({ kind: "indexNotFound", collection: record.schema.name, ...index });
  }
  return succeed(chosen.map((index) => progressOf(index, input)));
}

function progressOf(index: IndexInfo, input: ProgressInput): IndexProgress {
  const until = input.at === 0n ? index.createdAt : input.at;
  let totalRows = 0;
  let indexedRows = 0;
  let state: IndexProgress["state"] = "finished";
  let failReason = "";
  for (const segment of input.manifests.flatMap((manifest) => manifest.segments)) {
    totalRows += segment.rowCount;
    const built = indexStateOf(segment, index.id, input.attempts, input.indexRowsMin);
    if (built.kind === "finished" || built.kind === "notNeeded") {
      indexedRows += segment.rowCount;
    } else if (built.kind === "failed") {
      state = "failed";
      failReason = built.reason;
    } else if (state !== "failed" && segment.timestampMin <= until) {
      state = "inProgress";
    }
  }
  return { index, totalRows, indexedRows, pendingRows: totalRows - indexedRows, state, failReason };
}
