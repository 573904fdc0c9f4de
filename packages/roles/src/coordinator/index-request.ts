/** Turns an index request as the client sent it into the index that will be built. */
import type { Metric } from "@elanus/model/catalog";
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { succeed, type Outcome } from "@elanus/model/outcome";
import { DataType, type CollectionSchema, type FieldSchema } from "@elanus/model/schema";

export function resolveIndex(schema: CollectionSchema, request: CreateIndex): Outcome<CreateIndex> {
  const field = schema.fields.find((candidate) => candidate.name === request.field);
  if (field === undefined || (request.type !== "" && request.type !== "AUTOINDEX")) return succeed(request);
  const automatic = automaticIndex(field);
  return succeed({
    ...request, ...automatic,
    ...(request.metric === undefined ? {} : { metric: request.metric }),
  });
}

function automaticIndex(field: FieldSchema): { type: string; metric?: Metric; params: CreateIndex["params"] } {
  if (field.type === DataType.sparseFloatVector) return { type: "SPARSE_INVERTED_INDEX", metric: "IP", params: {} };
  if (field.type === DataType.binaryVector) return { type: "BIN_FLAT", metric: "HAMMING", params: {} };
  if (field.type >= DataType.binaryVector) return { type: "HNSW", metric: "COSINE", params: { M: 18, efConstruction: 240 } };
  return { type: "INVERTED", params: {} };
}
