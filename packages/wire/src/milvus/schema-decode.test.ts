/** Which schemas are refused, and in which words. */
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
  return toCollectionSchema(message, "c");
}

function params(entries: Readonly<Record<string, string>>): { key: string; value: string }[] {
  return Object.entries(entries).map(([name, value]) => ({ key: name, value }));
}

function textOf(name: string, max_length: string): Field {
  return { name, dataType: 21, typeParams: params({ max_length }) };
}

const refused: readonly (readonly [string, Field])[] = [
  ["data type None is not valid", { name: "a" }],
  ["string data type not supported yet, please use VarChar type instead", { name: "a", dataType: 20 }],
  ["cannot explicitly set a field as a dynamic field", { name: "a", dataType: DataType.JSON, isDynamic: true }],
  ["element type Geometry is not supported", { name: "a", dataType: 22, elementType: DataType.Geometry }],
  ["type not support default_value, type:JSON", { name: "j", dataType: 23, defaultValue: { stringData: "{}" } }],
  [
    "type (Int32) of field (n) is not equal to the type(VarChar) of default_value",
    { name: "n", dataType: DataType.Int32, defaultValue: { stringData: "x" } },
  ],
  ["a field of type Timestamptz is not implemented yet", { name: "t", dataType: DataType.Timestamptz }],
];

describe("refused schemas", () => {
  test.each(refused)("%s", (text, field) => {
    const answer = read([key, vector, field]);
    expect(answer.ok ? "accepted" : reasonOf(answer.error)).toContain(text);
  });

  test.each(["functions", "structArrayFields"])("%s are not implemented yet", (part) => {
    const answer = read([key, vector], { [part]: [{ name: "x" }] });
    expect(answer).toMatchObject({ ok: false, error: { kind: "notImplemented" } });
  });
});

test("fields get ids in order; sizes are numbers, or stay texts where they are none", () => {
  const answer = read([key, vector, { ...textOf("s", "10"), nullable: true }, textOf("t", "x")], {
    enableDynamicField: true,
  });
  if (!answer.ok) throw new Error(reasonOf(answer.error));
  const { fields, dynamicFieldEnabled } = answer.value;
  expect(fields.map((f) => [f.id, f.name])).toEqual([
    [100, "id"],
    [101, "v"],
    [102, "s"],
    [103, "t"],
  ]);
  expect(dynamicFieldEnabled).toBe(true);
  expect(fields[1]).toMatchObject({ type: 101, dim: 8, typeParams: { dim: "8" } });
  expect(fields[2]).toMatchObject({ lengthMax: 10, nullable: true });
  expect(fields[3]?.lengthMax).toBeUndefined();
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
