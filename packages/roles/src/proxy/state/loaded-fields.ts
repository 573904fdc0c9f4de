/** Fields that a read may name: those that the collection was loaded with. */
import type { LoadState } from "@elanus/model/catalog";
import type { FieldId } from "@elanus/model/id";
import { succeed, type Outcome } from "@elanus/model/outcome";
import type { FieldSchema } from "@elanus/model/schema";
import { refuse } from "./flat-params.ts";

/** Undefined: all of them. */
export type LoadedFields = ReadonlySet<FieldId> | undefined;

export function loadedFields(load: LoadState): LoadedFields {
  return load.kind === "released" || load.fields === undefined ? undefined : new Set(load.fields);
}

export function isFieldLoaded(field: Pick<FieldSchema, "id">, loaded: LoadedFields): boolean {
  return loaded === undefined || loaded.has(field.id);
}

export function requireLoaded(field: Pick<FieldSchema, "id" | "name">, loaded: LoadedFields): Outcome<void> {
  return isFieldLoaded(field, loaded) ? succeed(undefined) : refuse(`field ${field.name} is not loaded`);
}
