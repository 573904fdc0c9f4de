/** Which vector field a search goes to, and with which metric. */
import type { CollectionInfo, IndexInfo, Metric } from "@elanus/model/catalog";
import type { SearchParams } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { isVector, type FieldSchema } from "@elanus/model/schema";
import { refuse, textParam } from "./flat-params.ts";

export interface SearchTarget {
  readonly field: FieldSchema;
  readonly index: IndexInfo;
  readonly metric: Metric;
}

export function searchTarget(info: CollectionInfo, params: SearchParams): Outcome<SearchTarget> {
  const named = textParam(params, "anns_field");
  const vectors = info.schema.fields.filter((field) => isVector(field.type));
  if (named === undefined && vectors.length > 1) {
    return refuse("multiple anns_fields exist, please specify a anns_field in search_params");
  }
  const field = named === undefined ? vectors[0] : info.schema.fields.find((candidate) => candidate.name === named);
  if (field === undefined) {
    return refuse(`failed to create query plan: failed to get field schema by name: fieldName(${named}) not found`);
  }
  if (!isVector(field.type)) {
    return refuse(`failed to create query plan: field (${field.name}) to search is not of vector data type`);
  }
  const index = info.indexes.find((candidate) => candidate.field === field.id);
  if (index?.metric === undefined) {
    return refuse(`field index of the field: ${field.name} is not loaded, please reload the collection`);
  }
  const asked = textParam(params, "metric_type");
  if (asked !== undefined && asked.toUpperCase() !== index.metric) {
    return fail({ kind: "invalidParameter", message: "metric type not match", expected: index.metric, actual: asked });
  }
  return succeed({ field, index, metric: index.metric });
}
