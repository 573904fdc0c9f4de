/** Decisions on loading and releasing. */
import type { CollectionRef, LoadFields, LoadProgress } from "@elanus/model/contract/coordinator";
import type { FieldId, PartitionId } from "@elanus/model/id";
import { invalid } from "@elanus/model/error";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { isVector } from "@elanus/model/schema";
import {
  isLoaded,
  NO_CHANGE,
  partitionNamed,
  usesPartitionKey,
  type Catalog,
  type Change,
  type CollectionRecord,
  type LoadWish,
} from "./catalog.ts";
import { loadFields, sameFields } from "./load-fields.ts";

const EVERY_FIELD: LoadFields = { names: [], skipDynamic: false };

export function load(
  catalog: Catalog,
  ref: CollectionRef,
  names: "all" | readonly string[],
  fields: LoadFields = EVERY_FIELD,
): Outcome<Change> {
  const found = catalog.resolve(ref);
  if (!found.ok) return found;
  const record = found.value;
  const chosen = choosePartitions(record, names, "load");
  if (!chosen.ok) return chosen;
  const wanted = loadFields(record.schema, fields);
  if (!wanted.ok) return wanted;
  const ready = checkIndexed(record, wanted.value);
  if (!ready.ok) return ready;
  if (record.load.kind === "wanted" && !sameFields(record.load.fields, wanted.value)) {
    return fail({
      kind: "invalidParameter",
      message: "can't change the load field list for loaded collection",
      expected: listed(record.load.fields),
      actual: listed(wanted.value),
    });
  }
  const wish = widened(record.load, chosen.value, wanted.value);
  return succeed(sameWish(wish, record.load) ? NO_CHANGE : { putCollections: [{ ...record, load: wish }] });
}

export function release(catalog: Catalog, ref: CollectionRef, names: "all" | readonly string[]): Outcome<Change> {
  const found = catalog.resolve(ref);
  if (!found.ok) return found;
  const record = found.value;
  const chosen = choosePartitions(record, names, "release");
  if (!chosen.ok) return chosen;
  if (record.load.kind === "released") return succeed(NO_CHANGE);
  const wish = narrowed(record, record.load, chosen.value);
  return succeed(sameWish(wish, record.load) ? NO_CHANGE : { putCollections: [{ ...record, load: wish }] });
}

function choosePartitions(
  record: CollectionRecord,
  names: "all" | readonly string[],
  verb: "load" | "release",
): Outcome<"all" | readonly PartitionId[]> {
  if (names === "all") return succeed("all");
  if (names.length === 0) return fail(invalid(`due to no partition specified, can not ${verb} partitions`));
  if (usesPartitionKey(record)) return fail(invalid(`disable ${verb} partitions if partition key mode is used`));
  const chosen: PartitionId[] = [];
  for (const name of names) {
    const partition = partitionNamed(record, name);
    if (partition === undefined) return fail({ kind: "partitionNotFound", partition: name });
    chosen.push(partition.id);
  }
  return succeed(chosen);
}

function listed(fields: readonly FieldId[] | undefined): string {
  return fields === undefined ? "all" : `[${fields.join(" ")}]`;
}

/** Every vector field that is loaded needs an index before the collection can be searched. */
function checkIndexed(record: CollectionRecord, fields: readonly FieldId[] | undefined): Outcome<void> {
  if (record.indexes.length === 0) return fail({ kind: "indexNotFound", collection: record.schema.name });
  const lacking = record.schema.fields
    .filter((field) => isVector(field.type) && (fields === undefined || fields.includes(field.id)))
    .filter((field) => !record.indexes.some((index) => index.field === field.id))
    .map((field) => field.name);
  if (lacking.length === 0) return succeed(undefined);
  return fail(invalid(`there is no vector index on field: [${lacking.join(" ")}], please create index firstly`));
}

function widened(
  wish: LoadWish,
  add: "all" | readonly PartitionId[],
  fields: readonly FieldId[] | undefined,
): LoadWish {
  const kept = fields === undefined ? {} : { fields };
  if (add === "all" || (wish.kind === "wanted" && wish.partitions === "all"))
    return { kind: "wanted", partitions: "all", ...kept };
  const present = wish.kind === "wanted" && wish.partitions !== "all" ? wish.partitions : [];
  return { kind: "wanted", partitions: [...new Set([...present, ...add])], ...kept };
}

function narrowed(
  record: CollectionRecord,
  wish: LoadWish & { kind: "wanted" },
  drop: "all" | readonly PartitionId[],
): LoadWish {
  if (drop === "all") return { kind: "released" };
  const present = wish.partitions === "all" ? record.partitions.map((partition) => partition.id) : wish.partitions;
  const left = present.filter((partition) => !drop.includes(partition));
  if (left.length === present.length) return wish;
  return left.length === 0 ? { kind: "released" } : { ...wish, partitions: left };
}

function sameWish(left: LoadWish, right: LoadWish): boolean {
  if (left.kind === "released" || right.kind === "released") return left.kind === right.kind;
  if (left.partitions === "all" || right.partitions === "all") return left.partitions === right.partitions;
  const others = right.partitions;
  return left.partitions.length === others.length && left.partitions.every((partition) => others.includes(partition));
}

/** `percent` is what the streaming nodes have open of the wish. */
export function loadProgress(
  catalog: Catalog,
  ref: CollectionRef,
  names: readonly string[],
  percent: number,
): Outcome<LoadProgress> {
  const found = catalog.resolve(ref);
  if (!found.ok) {
    return found.error.kind === "collectionNotFound" ? succeed({ state: "notExist", percent: 0 }) : found;
  }
  const record = found.value;
  for (const name of names) {
    const partition = partitionNamed(record, name);
    if (partition === undefined) return fail({ kind: "partitionNotFound", partition: name });
    if (!isLoaded(record, partition.id)) return succeed({ state: "notLoaded", percent: 0 });
  }
  if (record.load.kind === "released") return succeed({ state: "notLoaded", percent: 0 });
  return succeed(
    percent >= 100 ? { state: "loaded", percent: 100 } : { state: "loading", percent: Math.floor(percent) },
  );
}
