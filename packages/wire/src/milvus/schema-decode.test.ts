/** Which schemas are refused, and in which words. */
import { defaultLimits } from "@elanus/model/limits";
import { describe, expect, test } from "vitest";
import { CollectionSchemaCodec, DataType, type FieldSchema } from "../gen/schema.ts";
import { decode, encode, type Init } from "../protobuf/runtime.ts";
import { toCollectionSchema } from "./schema-decode.ts";
import { reasonOf } from "./status.ts";

type Field = Init<FieldSchema>;

const key: Field = { name: "id", isPrimaryKey: true, dataType: DataType.Int64 };
const vector: Field = { name: "v", dataType: DataType.FloatVector, typeParams: [{ key: "dim", value: "8" }] };

function read(fields: readonly Field[], more: object = {}): ReturnType<typeof toCollectionSchema> {
  const message = decode(CollectionSchemaCodec, encode(CollectionSchemaCodec, { fields, ...more }));
  return toCollectionSchema(message, "c", defaultLimits);
}

function params(entries: Readonly<Record<string, string>>): { key: string; value: string }[] {
  return Object.entries(entries).map(([name, value]) => ({ key: name, value }));
}

function vectorOf(dataType: number, dim?: string): Field {
  return { name: "v", dataType, typeParams: dim === undefined ? [] : params({ dim }) };
}

const refused: readonly (readonly [string, readonly Field[]])[] = [
  ["primary key is not specified", [vector]],
  ["schema does not contain vector field", [key]],
  ["there are more than one primary key, field name = id, id2", [key, { ...key, name: "id2" }, vector]],
  ["duplicated field name v", [key, vector, vector]],
  ["the data type of primary key should be Int64 or VarChar", [{ ...key, dataType: DataType.Float }, vector]],
  ["primary field not support null", [{ ...key, nullable: true }, vector]],
  ["primary field not support default_value", [{ ...key, defaultValue: { longData: 1n } }, vector]],
  [
    "only primary field can speficy AutoID with true, field name = a",
    [key, vector, { name: "a", dataType: 5, autoID: true }],
  ],
  ["data type None is not valid", [key, vector, { name: "a" }]],
  ["string data type not supported yet, please use VarChar type instead", [key, vector, { name: "a", dataType: 20 }]],
  [
    "cannot explicitly set a field as a dynamic field",
    [key, vector, { name: "a", dataType: DataType.JSON, isDynamic: true }],
  ],
  ["invalid dimension: 1. should be in range 2 ~ 32768", [key, vectorOf(DataType.FloatVector, "1")]],
  [
    "invalid dimension: 32769 of field v. float vector dimension should be in range 2 ~ 32768",
    [key, vectorOf(101, "32769")],
  ],
  [
    "invalid dimension: 12 of field v. binary vector dimension should be multiple of 8.",
    [key, vectorOf(DataType.BinaryVector, "12")],
  ],
  ["dimension is not defined in field type params", [key, vectorOf(DataType.FloatVector)]],
  ["dim should not be specified for sparse vector field v", [key, vectorOf(DataType.SparseFloatVector, "8")]],
  [
    "type param(max_length) should be specified for the field(s) of collection c",
    [key, vector, { name: "s", dataType: 21 }],
  ],
  [
    "the maximum length specified for the field(s) should be in (0, 65535], but got 65536 instead",
    [key, vector, { name: "s", dataType: 21, typeParams: params({ max_length: "65536" }) }],
  ],
  [
    "the maximum capacity specified for a Array should be in (0, 4096]",
    [key, vector, { name: "a", dataType: 22, elementType: 5, typeParams: params({ max_capacity: "0" }) }],
  ],
  [
    "the value for max_capacity of field a must be an integer",
    [key, vector, { name: "a", dataType: 22, elementType: 5, typeParams: params({ max_capacity: "x" }) }],
  ],
  ["element type JSON is not supported", [key, vector, { name: "a", dataType: 22, elementType: DataType.JSON }]],
  [
    "partition key field not support nullable",
    [key, vector, { name: "p", dataType: 5, isPartitionKey: true, nullable: true }],
  ],
  [
    "type not support default_value, type:JSON",
    [key, vector, { name: "j", dataType: 23, defaultValue: { stringData: "{}" } }],
  ],
  [
    "type (Int32) of field (n) is not equal to the type(VarChar) of default_value",
    [key, vector, { name: "n", dataType: DataType.Int32, defaultValue: { stringData: "x" } }],
  ],
  [
    "Invalid field name: 1a. The first character of a field name must be an underscore or letter.",
    [key, { ...vector, name: "1a" }],
  ],
  ["Invalid field name: like. like is keyword in milvus.", [key, { ...vector, name: "like" }]],
  ["is a reserved field name", [key, { ...vector, name: "RowID" }]],
  [
    "maximum field's number should be limited to 64",
    [key, vector, ...Array.from({ length: 63 }, (_, at) => ({ name: `f${at}`, dataType: 5 }))],
  ],
  [
    "maximum vector field's number should be limited to 10",
    [key, ...Array.from({ length: 11 }, (_, at) => ({ ...vector, name: `v${at}` }))],
  ],
  ["a field of type Geometry is not implemented yet", [key, vector, { name: "g", dataType: DataType.Geometry }]],
];

describe("refused schemas", () => {
  test.each(refused)("%s", (text, fields) => {
    const answer = read(fields);
    expect(answer.ok ? "accepted" : reasonOf(answer.error)).toContain(text);
  });

  test.each(["functions", "structArrayFields"])("%s are not implemented yet", (part) => {
    const answer = read([key, vector], { [part]: [{ name: "x" }] });
    expect(answer).toMatchObject({ ok: false, error: { kind: "notImplemented" } });
  });
});

test("fields get ids in order, the dynamic one last", () => {
  const answer = read(
    [key, vector, { name: "s", dataType: 21, nullable: true, typeParams: params({ max_length: "10" }) }],
    { enableDynamicField: true },
  );
  if (!answer.ok) throw new Error(reasonOf(answer.error));
  expect(answer.value.fields.map((f) => [f.id, f.name])).toEqual([
    [100, "id"],
    [101, "v"],
    [102, "s"],
    [103, "$meta"],
  ]);
  expect(answer.value.fields[1]).toMatchObject({ type: 101, dim: 8, typeParams: { dim: "8" } });
  expect(answer.value.fields[2]).toMatchObject({ lengthMax: 10, nullable: true });
  expect(answer.value.fields[3]).toMatchObject({ dynamic: true, nullable: true, type: 23 });
});

test("defaults take the field's own type", () => {
  const fields: Field[] = [
    key,
    vector,
    { name: "a", dataType: DataType.Int8, defaultValue: { intData: -5 } },
    { name: "b", dataType: DataType.Int64, defaultValue: { longData: 2n ** 60n } },
    { name: "c", dataType: DataType.Bool, defaultValue: { boolData: false } },
    { name: "d", dataType: DataType.Double, defaultValue: { doubleData: 1.5 } },
    {
      name: "e",
      dataType: DataType.VarChar,
      defaultValue: { stringData: "x" },
      typeParams: params({ max_length: "4" }),
    },
  ];
  const answer = read(fields);
  if (!answer.ok) throw new Error(reasonOf(answer.error));
  expect(answer.value.fields.slice(2).map((f) => f.defaultValue)).toEqual([-5n, 2n ** 60n, false, 1.5, "x"]);
});
