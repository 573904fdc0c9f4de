import { describe, expect, it } from "vitest";
import type { FieldId } from "@elanus/model/id";
import { defaultLimits } from "@elanus/model/limits";
import { plainField, DataType, type CollectionSchema, type FieldSchema } from "@elanus/model/schema";
import { checkSchema } from "./schema-rules.ts";

function field(name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  return plainField({ id: 0 as FieldId, name, type, ...more });
}
const id = field("id", DataType.int64, { primaryKey: true });
const vector = field("v", DataType.floatVector, { dim: 4 });

function schema(fields: readonly FieldSchema[], dynamic = false): CollectionSchema {
  return { name: "c", description: "", fields, dynamicFieldEnabled: dynamic, version: 0 };
}

describe("schema rules", () => {
  it("numbers fields from 100 and puts $meta last", () => {
    const checked = checkSchema(schema([id, vector, field("n", DataType.int8)], true), defaultLimits);
    expect(checked.ok && checked.value.fields.map((one) => [one.id, one.name])).toEqual([
      [100, "id"],
      [101, "v"],
      [102, "n"],
      [103, "$meta"],
    ]);
  });

  it("gives the same answer for a schema that is numbered already", () => {
    const once = checkSchema(schema([id, vector], true), defaultLimits);
    expect(once.ok && checkSchema(once.value, defaultLimits)).toEqual(once);
  });

  it.each<[string, readonly FieldSchema[], string]>([
    ["no key", [vector], "primary key is not specified"],
    ["two keys", [id, { ...id, name: "k" }, vector], "there are more than one primary key, field name = id, k"],
    [
      "key type",
      [field("id", DataType.double, { primaryKey: true }), vector],
      "the data type of primary key should be Int64 or VarChar",
    ],
    ["null key", [{ ...id, nullable: true }, vector], "primary field not support null"],
    ["default of the key", [{ ...id, defaultValue: 1n }, vector], "primary field not support default_value"],
    [
      "key for partitions",
      [{ ...id, partitionKey: true }, vector],
      "the partition key field must not be primary field",
    ],
    [
      "clustering by JSON",
      [id, vector, field("j", DataType.json, { clusteringKey: true })],
      "data type JSON of field j can not be a clustering key",
    ],
    [
      "two clustering keys",
      [id, vector, ...["a", "b"].map((name) => field(name, DataType.int8, { clusteringKey: true }))],
      "there are more than one clustering key, field name = a, b",
    ],
    ["auto id elsewhere", [id, vector, field("n", DataType.int64, { autoId: true })], "field name = n"],
    ["no vector", [id], "schema does not contain vector field"],
    ["same name", [id, vector, field("v", DataType.int8)], "duplicated field name v"],
    ["dim 1", [id, { ...vector, dim: 1 }], "invalid dimension: 1. should be in range 2 ~ 32768"],
    ["dim too big", [id, { ...vector, dim: 32_769 }], "invalid dimension: 32769 of field v. float vector dimension"],
    ["dim missing", [id, field("v", DataType.floatVector)], "dimension is not defined in field type params"],
    [
      "dim of letters",
      [id, field("v", DataType.floatVector, { typeParams: { dim: "x" } })],
      "invalid dimension: x. should be an integer, field v",
    ],
    [
      "binary dim",
      [id, field("v", DataType.binaryVector, { dim: 12 })],
      "binary vector dimension should be multiple of 8",
    ],
    [
      "sparse dim",
      [id, field("v", DataType.sparseFloatVector, { dim: 12 })],
      "dim should not be specified for sparse vector field v",
    ],
    [
      "no length",
      [id, vector, field("t", DataType.varChar)],
      "type param(max_length) should be specified for the field(t) of collection c",
    ],
    [
      "length",
      [id, vector, field("t", DataType.varChar, { lengthMax: 65_536 })],
      "should be in (0, 65535], but got 65536 instead",
    ],
    [
      "capacity",
      [id, vector, field("a", DataType.array, { elementType: DataType.int8, capacityMax: 0 })],
      "the maximum capacity specified for a Array should be in (0, 4096], but got 0 instead",
    ],
    [
      "capacity of letters",
      [id, vector, field("a", DataType.array, { elementType: DataType.int8, typeParams: { max_capacity: "x" } })],
      "the value for max_capacity of field a must be an integer",
    ],
    [
      "element",
      [id, vector, field("a", DataType.array, { elementType: DataType.json, capacityMax: 1 })],
      "element type JSON is not supported",
    ],
    [
      "default",
      [id, vector, field("a", DataType.json, { defaultValue: "x" })],
      "type not support default_value, type:JSON",
    ],
    [
      "default type",
      [id, vector, field("n", DataType.int8, { defaultValue: "x" })],
      "type (Int8) of field (n) is not equal",
    ],
    [
      "default out of range",
      [id, vector, field("n", DataType.int8, { defaultValue: 128n })],
      "[-128, 127] is the range of field (n), but the default_value is 128",
    ],
    [
      "default too long",
      [id, vector, field("t", DataType.varChar, { lengthMax: 1, defaultValue: "ä" })],
      "the length (2) of string exceeds max length (1)",
    ],
    [
      "default that is no number",
      [id, vector, field("f", DataType.float, { defaultValue: Number.NaN })],
      "value 'NaN' is not a number or infinity",
    ],
    [
      "partition key null",
      [id, vector, field("p", DataType.int64, { partitionKey: true, nullable: true })],
      "partition key field not support nullable",
    ],
    ["keyword", [id, vector, field("like", DataType.int8)], "like is keyword in milvus"],
    [
      "too many",
      [id, vector, ...Array.from({ length: 63 }, (_, at) => field(`f${at}`, DataType.int8))],
      "maximum field's number should be limited to 64",
    ],
    [
      "vectors",
      [id, ...Array.from({ length: 11 }, (_, at) => ({ ...vector, name: `v${at}` }))],
      "maximum vector field's number should be limited to 10",
    ],
  ])("refuses %s", (_what, fields, text) => {
    const checked = checkSchema(schema(fields), defaultLimits);
    expect(checked).toMatchObject({ ok: false, error: { message: expect.stringContaining(text) } });
  });
});
