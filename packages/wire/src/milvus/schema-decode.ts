/** The schema of a new collection, from Milvus's message to the model's. The coordinator checks it. */
import type { DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { type CollectionSchema, FIRST_USER_FIELD_ID, type FieldSchema } from "@elanus/model/schema";
import type * as schema from "../gen/schema.ts";
import { toFieldSchema } from "./schema-field.ts";

export function toCollectionSchema(message: schema.CollectionSchema, name: string): Outcome<CollectionSchema> {
  const problem = unsupported(message);
  if (problem !== undefined) return fail(problem);
  const fields: FieldSchema[] = [];
  for (const [at, field] of message.fields.entries()) {
    const converted = toFieldSchema(field, (FIRST_USER_FIELD_ID + at) as FieldId);
    if (!converted.ok) return converted;
    fields.push(converted.value);
  }
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
