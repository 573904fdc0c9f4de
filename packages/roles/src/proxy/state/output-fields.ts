/** Which columns an answer carries (contract/grpc.md 6.6). */
import type { DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { DYNAMIC_FIELD_NAME, primaryKeyOf, type CollectionSchema, type FieldSchema } from "@elanus/model/schema";
import { isFieldLoaded, requireLoaded, type LoadedFields } from "./loaded-fields.ts";

export interface OutputColumns {
  /** Columns to fetch and encode, in this order. */
  readonly fields: readonly FieldId[];
  /** The names to echo: dynamic names stay as the client wrote them. */
  readonly outputFields: readonly string[];
  /** Keys of `$meta` to keep; empty: the whole object, when `$meta` is among the fields. */
  readonly dynamicKeys: readonly string[];
}

export type KeyPlace = "first" | "ifAsked";

export function resolveOutput(
  schema: CollectionSchema,
  asked: readonly string[],
  key: KeyPlace,
  loaded?: LoadedFields,
): Outcome<OutputColumns> {
  const columns = new Map<FieldId, FieldSchema>();
  const echoed = new Set<string>();
  const dynamicKeys = new Set<string>();
  let wholeDynamic = false;
  const dynamic = schema.fields.find((field) => field.dynamic);
  const primary = primaryKeyOf(schema);
  if (key === "first") {
    columns.set(primary.id, primary);
  }
  for (const name of asked) {
    if (name === "*") {
      const present = schema.fields.filter((field) => isFieldLoaded(field, loaded));
      for (const field of present) columns.set(field.id, field);
      for (const field of present) if (!field.dynamic) echoed.add(field.name);
      if (dynamic !== undefined && isFieldLoaded(dynamic, loaded)) {
        wholeDynamic = true;
        echoed.add(DYNAMIC_FIELD_NAME);
      }
      continue;
    }
    const field = schema.fields.find((candidate) => candidate.name === name);
    echoed.add(name);
    if (field !== undefined) {
      const there = requireLoaded(field, loaded);
      if (!there.ok) return there;
      columns.set(field.id, field);
      wholeDynamic ||= field.dynamic;
      continue;
    }
    const path = dynamicKeyOf(schema, name, dynamic !== undefined);
    if (!path.ok) return path;
    if (dynamic !== undefined && !isFieldLoaded(dynamic, loaded)) {
      return fail(invalid(`field ${name} cannot be returned since dynamic field not loaded`));
    }
    if (dynamic !== undefined) columns.set(dynamic.id, dynamic);
    dynamicKeys.add(path.value);
  }
  if (key === "first") echoed.add(primary.name);
  return succeed({
    fields: ordered([...columns.values()], primary, key).map((field) => field.id),
    outputFields: [...echoed],
    dynamicKeys: wholeDynamic ? [] : [...dynamicKeys],
  });
}

/** A key of the dynamic object, plain or as `$meta["key"]`. */
function dynamicKeyOf(schema: CollectionSchema, name: string, hasDynamic: boolean): Outcome<string> {
  const bracket = /^([A-Za-z_$][A-Za-z0-9_]*)\[["'](.*)["']\]$/.exec(name);
  if (bracket !== null) {
    const [, base, path] = bracket;
    if (base === DYNAMIC_FIELD_NAME && hasDynamic && path !== undefined && path !== "") return succeed(path);
    return fail(invalid(`parse output field name failed: ${name}`));
  }
  if (!hasDynamic) return fail(invalid(`field ${name} not exist`));
  if (/[[\]"']/.test(name) || name === "") return fail(invalid(`parse output field name failed: ${name}`));
  if (schema.fields.some((field) => field.name === name)) return fail(invalid(`field ${name} not exist`));
  return succeed(name);
}

/** Schema order; a search puts the key last, a query first (its clients count rows by the first column). */
function ordered(fields: readonly FieldSchema[], primary: FieldSchema, key: KeyPlace): FieldSchema[] {
  const others = fields.filter((field) => field.id !== primary.id).sort((left, right) => left.id - right.id);
  const found = fields.filter((field) => field.id === primary.id);
  return key === "first" ? [...found, ...others] : [...others, ...found];
}

/** The text of `count(*)` when that is all that is asked for. */
export function countColumn(asked: readonly string[]): Outcome<string | undefined> {
  const aggregates = asked.filter((name) => /^\s*(count|sum|avg|min|max)\s*\(.*\)\s*$/i.test(name));
  if (aggregates.length === 0) return succeed(undefined);
  const [only] = aggregates;
  if (asked.length === 1 && only !== undefined && /^\s*count\s*\(\s*\*\s*\)\s*$/i.test(only)) return succeed(only);
  return fail({ kind: "notImplemented", call: `query aggregate ${aggregates.join(", ")}` });
}

function invalid(message: string): DbError {
  return { kind: "invalidParameter", message };
}
