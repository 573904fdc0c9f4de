/** The schema of a collection, in Milvus's terms. Numbers of types are Milvus's wire numbers. */
import type { FieldId } from "./id.ts";

export const DataType = {
  bool: 1,
  int8: 2,
  int16: 3,
  int32: 4,
  int64: 5,
  float: 10,
  double: 11,
  varChar: 21,
  array: 22,
  json: 23,
  geometry: 24,
  binaryVector: 100,
  floatVector: 101,
  float16Vector: 102,
  bfloat16Vector: 103,
  sparseFloatVector: 104,
  int8Vector: 105,
} as const;
export type DataType = (typeof DataType)[keyof typeof DataType];

export type ScalarValue = boolean | bigint | number | string;

export interface FieldSchema {
  readonly id: FieldId;
  readonly name: string;
  readonly description: string;
  readonly type: DataType;
  /** Element type of an array field. */
  readonly elementType?: DataType;
  /** Dimension of dense and binary vectors (bits for binary). */
  readonly dim?: number;
  /** Bytes of UTF-8; for VarChar and arrays of it. */
  readonly lengthMax?: number;
  /** Elements of an array. */
  readonly capacityMax?: number;
  readonly primaryKey: boolean;
  readonly autoId: boolean;
  readonly partitionKey: boolean;
  readonly clusteringKey: boolean;
  readonly nullable: boolean;
  /** Already of the field's type: bigint for Int8..Int64, number for Float and Double, WKT for Geometry. */
  readonly defaultValue?: ScalarValue;
  /** The `$meta` JSON column of a dynamic collection. */
  readonly dynamic: boolean;
  /** Type params as the client sent them, echoed by DescribeCollection. */
  readonly typeParams: Readonly<Record<string, string>>;
}

export interface CollectionSchema {
  readonly name: string;
  readonly description: string;
  /** User fields in request order; `$meta` last when dynamic. */
  readonly fields: readonly FieldSchema[];
  readonly dynamicFieldEnabled: boolean;
  /** Grows with every schema change, from 0. */
  readonly version: number;
}

export const DYNAMIC_FIELD_NAME = "$meta";
export const FIRST_USER_FIELD_ID: FieldId = 100 as FieldId;

/** A field with every role and option off, but for what `own` says. */
export function plainField(own: Pick<FieldSchema, "id" | "name" | "type"> & Partial<FieldSchema>): FieldSchema {
  const { id, name, type, ...more } = own;
  return {
    id,
    name,
    description: "",
    type,
    primaryKey: false,
    autoId: false,
    partitionKey: false,
    clusteringKey: false,
    nullable: false,
    dynamic: false,
    typeParams: {},
    ...more,
  };
}

/** The hidden JSON column of a dynamic collection. */
export function dynamicField(id: FieldId): FieldSchema {
  const own = { id, name: DYNAMIC_FIELD_NAME, type: DataType.json, nullable: true, dynamic: true };
  return plainField({ ...own, description: "dynamic schema" });
}

export function primaryKeyOf(schema: CollectionSchema): FieldSchema {
  const field = schema.fields.find((f) => f.primaryKey);
  if (field === undefined) throw new Error("schema without a primary key");
  return field;
}

export function isVector(type: DataType): boolean {
  return type >= 100;
}

/**
 * The form native code compiles (`native/rows/src/schema.rs` reads it): one JSON object, field names in
 * camel case as above, 64-bit defaults as decimal text.
 */
export function encodeSchema(schema: CollectionSchema): string {
  return JSON.stringify(schema, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}
