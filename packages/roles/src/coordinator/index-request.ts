/** Turns an index request as the client sent it into the index that will be built. */
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { succeed, type Outcome } from "@elanus/model/outcome";
import type { CollectionSchema } from "@elanus/model/schema";

export function resolveIndex(_schema: CollectionSchema, request: CreateIndex): Outcome<CreateIndex> {
  return succeed(request);
}
