import { describe, expect, it } from "vitest";
import type { FieldId } from "@elanus/model/id";
import { plainField, DataType, type CollectionSchema, type FieldSchema } from "@elanus/model/schema";
import { countColumn, resolveOutput } from "./output-fields.ts";

function field(id: number, name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  return plainField({ id: id as FieldId, name, type, ...more });
}
const fixed = [
  field(100, "id", DataType.int64, { primaryKey: true }),
  field(101, "v", DataType.floatVector),
  field(102, "t", DataType.varChar),
];
const plain: CollectionSchema = { name: "c", description: "", fields: fixed, dynamicFieldEnabled: false, version: 0 };
const dynamic: CollectionSchema = {
  ...plain,
  fields: [...fixed, field(103, "$meta", DataType.json, { dynamic: true })],
  dynamicFieldEnabled: true,
};

describe("output fields", () => {
  it.each<[string, CollectionSchema, string[], "first" | "ifAsked", number[], string[], string[]]>([
    ["search without any", plain, [], "ifAsked", [], [], []],
    ["query without any", plain, [], "first", [100], ["id"], []],
    ["search: the key comes last", plain, ["id", "t"], "ifAsked", [102, 100], ["id", "t"], []],
    ["query: the key comes first", plain, ["t"], "first", [100, 102], ["t", "id"], []],
    ["everything", dynamic, ["*"], "first", [100, 101, 102, 103], ["id", "v", "t", "$meta"], []],
    ["a dynamic key", dynamic, ["color"], "ifAsked", [103], ["color"], ["color"]],
    ["a dynamic path", dynamic, ['$meta["color"]'], "ifAsked", [103], ['$meta["color"]'], ["color"]],
    ["the whole object beats keys", dynamic, ["color", "$meta"], "ifAsked", [103], ["color", "$meta"], []],
    ["twice the same", plain, ["t", "t"], "ifAsked", [102], ["t"], []],
  ])("%s", (_what, schema, asked, key, fields, outputFields, dynamicKeys) => {
    expect(resolveOutput(schema, asked, key)).toEqual({ ok: true, value: { fields, outputFields, dynamicKeys } });
  });

  it.each([
    [plain, "color", "field color not exist"],
    [dynamic, 't["x"]', 'parse output field name failed: t["x"]'],
    [dynamic, "", "parse output field name failed: "],
  ])("refuses", (schema, name, message) => {
    expect(resolveOutput(schema, [name], "first")).toMatchObject({ ok: false, error: { message } });
  });

  it("counts alone, and names what it cannot aggregate", () => {
    expect(countColumn(["count(*)"])).toEqual({ ok: true, value: "count(*)" });
    expect(countColumn(["id"])).toEqual({ ok: true, value: undefined });
    expect(countColumn(["sum(x)"])).toMatchObject({ ok: false, error: { kind: "notImplemented" } });
  });
});
