/** Which fields a load is about (contract/grpc.md 9.1): a list that the client gives, or what the schema leaves out. */
import type { LoadFields } from "@elanus/model/contract/coordinator";
import type { FieldId } from "@elanus/model/id";
import { invalid } from "@elanus/model/error";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { isVector, type CollectionSchema, type FieldSchema } from "@elanus/model/schema";

const SKIP_LOAD_KEY = "field.skipLoad";

/** The fields to load, ascending; undefined: all. */
export function loadFields(schema: CollectionSchema, asked: LoadFields): Outcome<readonly FieldId[] | undefined> {
  const chosen = asked.names.length === 0 ? succeed(byDefault(schema)) : named(schema, asked.names);
  if (!chosen.ok) return chosen;
  const dynamic = schema.fields.filter((field) => field.dynamic && !asked.skipDynamic);
  const declared = chosen.value.filter((field) => !field.dynamic);
  const ids = new Set([...declared, ...dynamic].map((field) => field.id));
  return succeed(ids.size === schema.fields.length ? undefined : [...ids].sort((left, right) => left - right));
}

/** Keys are loaded whatever the schema says, as nothing can be read without them. */
function byDefault(schema: CollectionSchema): readonly FieldSchema[] {
  return schema.fields.filter(
    ({ typeParams, primaryKey, partitionKey }) => typeParams[SKIP_LOAD_KEY] !== "true" || primaryKey || partitionKey,
  );
}

function named(schema: CollectionSchema, names: readonly string[]): Outcome<readonly FieldSchema[]> {
  const fields: FieldSchema[] = [];
  for (const name of names) {
    const field = schema.fields.find((candidate) => candidate.name === name);
    if (field === undefined) {
      return fail(invalid(`failed to get field schema by name: fieldName(${name}) not found`));
    }
    fields.push(field);
  }
  const missing = missingFrom(schema, fields);
  return missing === undefined
    ? succeed(fields)
    : fail(invalid(`load field list [${names.join(" ")}] does not contain ${missing}`));
}

function missingFrom(schema: CollectionSchema, fields: readonly FieldSchema[]): string | undefined {
  const absent = (is: (field: FieldSchema) => boolean): FieldSchema | undefined =>
    schema.fields.find((field) => is(field) && !fields.includes(field));
  const primary = absent((field) => field.primaryKey);
  if (primary !== undefined) return `primary key field ${primary.name}`;
  if (!fields.some((field) => isVector(field.type))) return "vector field";
  const partition = absent((field) => field.partitionKey);
  if (partition !== undefined) return `partition key field ${partition.name}`;
  const clustering = absent((field) => field.clusteringKey);
  return clustering === undefined ? undefined : `clustering key field ${clustering.name}`;
}

export function sameFields(left: readonly FieldId[] | undefined, right: readonly FieldId[] | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return left.length === right.length && left.every((field, at) => field === right[at]);
}
