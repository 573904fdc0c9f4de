/** The schema of a new collection, from Milvus's message to the model's, checked by contract section 4. */
import type { DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import type { Limits } from "@elanus/model/limits";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import {
  type CollectionSchema,
  dynamicField,
  FIRST_USER_FIELD_ID,
  type FieldSchema,
  isVector,
} from "@elanus/model/schema";
import type * as schema from "../gen/schema.ts";
import { toFieldSchema } from "./schema-field.ts";

export function toCollectionSchema(
  message: schema.CollectionSchema,
  name: string,
  limits: Limits,
): Outcome<CollectionSchema> {
  const problem = unsupported(message) ?? countProblem(message, limits);
  if (problem !== undefined) return fail(problem);
  const fields: FieldSchema[] = [];
  const names = new Set<string>();
  for (const [at, field] of message.fields.entries()) {
    const converted = toFieldSchema(field, (FIRST_USER_FIELD_ID + at) as FieldId, name);
    if (!converted.ok) return converted;
    if (names.has(field.name)) return fail(invalid(`duplicated field name ${field.name}`));
    names.add(field.name);
    fields.push(converted.value);
  }
  const together = keyProblem(fields) ?? vectorProblem(fields, limits);
  if (together !== undefined) return fail(together);
  if (message.enableDynamicField) fields.push(dynamicField((FIRST_USER_FIELD_ID + fields.length) as FieldId));
  const { description, enableDynamicField: dynamicFieldEnabled } = message;
  return succeed({ name, description, fields, dynamicFieldEnabled, version: 0 });
}

function unsupported(message: schema.CollectionSchema): DbError | undefined {
  if (message.functions.length > 0) return { kind: "notImplemented", call: "CreateCollection with functions" };
  if (message.structArrayFields.length > 0)
    return { kind: "notImplemented", call: "CreateCollection with struct array fields" };
  if (message.enableNamespace) return { kind: "notImplemented", call: "CreateCollection with namespaces" };
  if (message.externalSource !== "")
    return { kind: "notImplemented", call: "CreateCollection of an external collection" };
  return undefined;
}

function countProblem(message: schema.CollectionSchema, limits: Limits): DbError | undefined {
  if (message.fields.length > limits.fieldsMax)
    return invalid(`maximum field's number should be limited to ${limits.fieldsMax}`);
  return undefined;
}

function keyProblem(fields: readonly FieldSchema[]): DbError | undefined {
  const primary = fields.filter((f) => f.primaryKey);
  if (primary.length === 0) return invalid("primary key is not specified");
  if (primary.length > 1) return invalid(`there are more than one primary key, field name = ${firstTwo(primary)}`);
  const partition = fields.filter((f) => f.partitionKey);
  if (partition.length > 1)
    return invalid(`there are more than one partition key, field name = ${firstTwo(partition)}`);
  const clustering = fields.filter((f) => f.clusteringKey);
  if (clustering.length > 1)
    return invalid(`there are more than one clustering key, field name = ${firstTwo(clustering)}`);
  return undefined;
}

function vectorProblem(fields: readonly FieldSchema[], limits: Limits): DbError | undefined {
  const count = fields.filter((f) => isVector(f.type)).length;
  if (count === 0) return invalid("schema does not contain vector field");
  if (count <= limits.vectorFieldsMax) return undefined;
  return invalid(`maximum vector field's number should be limited to ${limits.vectorFieldsMax}`);
}

function firstTwo(fields: readonly FieldSchema[]): string {
  return fields
    .slice(0, 2)
    .map((f) => f.name)
    .join(", ");
}

function invalid(message: string): DbError {
  return { kind: "invalidParameter", message };
}
