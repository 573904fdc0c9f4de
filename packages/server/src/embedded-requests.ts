/** What the calls of the embedded database are asked with, as in the RESTful API v2; vectors also as typed arrays. */
import type { Column } from "./columns.ts";

export type Row = Readonly<Record<string, unknown>>;
export type Vector =
  | readonly number[]
  | Float32Array
  | Int8Array
  | Uint8Array
  | Readonly<Record<string, number>>
  | string;

export interface CollectionName {
  readonly collectionName: string;
  readonly dbName?: string;
}
export interface CreateCollectionRequest extends CollectionName {
  /** Quick form: an Int64 `id` and a `vector` of this dimension, indexed and loaded. */
  readonly dimension?: number;
  readonly metricType?: string;
  readonly idType?: "Int64" | "VarChar";
  readonly autoID?: boolean;
  readonly primaryFieldName?: string;
  readonly vectorFieldName?: string;
  /** Full form, as in Milvus's REST API. */
  readonly schema?: Row;
  readonly indexParams?: readonly Row[];
  readonly params?: Row;
}
export interface WriteRequest extends CollectionName {
  readonly data: readonly Row[];
  readonly partitionName?: string;
}
/** A write by columns: a value of each row for each field, vectors behind one another. */
export interface ColumnsRequest extends CollectionName {
  readonly columns: Readonly<Record<string, Column>>;
  readonly partitionName?: string;
}
export interface FilterRequest extends CollectionName {
  readonly filter: string;
  readonly exprParams?: Row;
  readonly partitionName?: string;
}
export interface SearchRequest extends CollectionName {
  readonly data: readonly Vector[];
  readonly annsField?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly filter?: string;
  readonly outputFields?: readonly string[];
  readonly partitionNames?: readonly string[];
  readonly searchParams?: Row;
  readonly consistencyLevel?: string;
}
export interface QueryRequest extends CollectionName {
  readonly filter?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly outputFields?: readonly string[];
  readonly partitionNames?: readonly string[];
  readonly consistencyLevel?: string;
}
export interface GetRequest extends CollectionName {
  readonly id: readonly (number | string | bigint)[];
  readonly outputFields?: readonly string[];
}
