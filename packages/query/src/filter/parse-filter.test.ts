/** The acceptance table of contract/expressions.md 31, row by row, and the texts of its error catalogue. */
import type { TemplateValue } from "@elanus/model/contract/proxy";
import { plainField, DataType } from "@elanus/model/schema";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import type { FieldId } from "@elanus/model/id";
import { describe, expect, test } from "vitest";
import { parseFilter } from "./parse-filter.ts";
import type { CheckedFilter } from "./parse-filter.ts";

function field(id: number, name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  return plainField({ id: id as FieldId, name, type, ...more });
}

const schema: CollectionSchema = {
  name: "c",
  description: "",
  dynamicFieldEnabled: true,
  version: 0,
  fields: [
    field(100, "id", DataType.int64, { primaryKey: true }),
    field(101, "i8", DataType.int8),
    field(102, "f", DataType.float),
    field(103, "b", DataType.bool),
    field(104, "s", DataType.varChar, {
      typeParams: { enable_match: "true", enable_analyzer: "true" },
      partitionKey: true,
    }),
    field(105, "n", DataType.int64, { nullable: true }),
    field(106, "a", DataType.array, { elementType: DataType.int64 }),
    field(107, "av", DataType.array, { elementType: DataType.varChar }),
    field(108, "j", DataType.json, { nullable: true }),
    field(109, "v", DataType.floatVector, { dim: 4 }),
    field(110, "s2", DataType.varChar),
    field(111, "d", DataType.double),
    field(113, "g", DataType.geometry, { nullable: true }),
    field(112, "$meta", DataType.json, { dynamic: true }),
  ],
};
const strict: CollectionSchema = { ...schema, dynamicFieldEnabled: false, fields: schema.fields.slice(0, -1) };

const templates: ReadonlyMap<string, TemplateValue> = new Map<string, TemplateValue>([
  [
    "ids",
    {
      kind: "array",
      value: [
        { kind: "int", value: 2n },
        { kind: "int", value: 1n },
        { kind: "int", value: 2n },
      ],
    },
  ],
  ["one", { kind: "int", value: 1n }],
  ["half", { kind: "float", value: 0.5 }],
  ["name", { kind: "string", value: "x" }],
  ["pattern", { kind: "string", value: "a%" }],
  ["nan", { kind: "float", value: Number.NaN }],
]);

function parse(text: string, of: CollectionSchema = schema): CheckedFilter {
  const outcome = parseFilter(text, of, templates);
  if (!outcome.ok) throw new Error(`${text}: ${JSON.stringify(outcome.error)}`);
  return outcome.value;
}

function refusal(text: string, of: CollectionSchema = schema): string {
  const outcome = parseFilter(text, of, templates);
  if (outcome.ok) throw new Error(`accepted: ${text}`);
  return outcome.error.kind === "invalidParameter"
    ? outcome.error.message
    : `${outcome.error.kind}: ${JSON.stringify(outcome.error)}`;
}

const ACCEPTED: readonly string[] = [
  "id > 5 && i8 in [1,2,]",
  "id in []",
  "1 < id <= 9",
  "9 >= id > 1",
  "5 <= id <= 5",
  "f == 1",
  "b == true",
  "not (b == true)",
  "id + 1 == 3",
  "1 + id == 3",
  "2 * id < 10",
  "id > i8",
  "(id & 1) == 1",
  "2 ** 3 == 8",
  "id not in [1]",
  "not (id in [1])",
  's like "ab%"',
  's not like "ab%"',
  'st_within(g, "POLYGON((0 0,1 0,1 1,0 1,0 0))")',
  `ST_EQUALS(g, 'LINESTRING (0 0, 1 1)') or not st_touches(g, "POINT (1 2)")`,
  'st_dwithin(g, "POINT(0 0)", 1000) and st_dwithin(g, "POINT(0 0)", {half})',
  "st_isvalid(g) and g is not null",
  "s NOT LIKE 'ab%' and not s not like 'b%'",
  's like "%b_"',
  's like "100\\\\%"',
  's =~ "^a.*z$"',
  'j["k"] > 3',
  'j["k"][0]["z"] == "q"',
  'j["k"] == [1,2]',
  'exists j["k"]',
  'exists $meta["k"]',
  "exists dyn",
  "j is null",
  'j["k"] is null',
  "n is not null",
  "dyn == 1",
  '$meta["dyn"] == 1',
  "a[0] == 1",
  "array_length(a) > 2",
  "array_contains(a, 3)",
  "json_contains(a, 3)",
  'array_contains_any(av, ["x","y"])',
  "id in {ids}",
  's LIKE "a" AND id > 1',
  "0x10 == id",
  "010 == id",
  "0b11 == id",
  "s == 'it\\'s'",
  's == "中文"',
  "true",
  "1 < 2",
  "true or id == 1",
  "not not (id == 1)",
  'not exists j["a"]',
  'not s like "a%"',
  "id > 1 and n is null",
  "id == {one} and f < {half} and s like {pattern}",
  "f > {one}",
  'starts_with(s, "p")',
  "empty(s)",
  "ARRAY_CONTAINS_ALL(a, [1])",
  "id + 1 + 2 == 5",
  "id * 2 * 3 == 6",
  "(id & 7 & 3) == 1",
  "id + 1 - 2 == 5",
  "1 < array_length(a) < 4",
  "v is null",
  "a == [1, 2]",
  "a[1] in [1,2]",
  'av[0] like "x%"',
  'j["x"] in [1, "a", 2.5, true]',
  "id == -9223372036854775808",
  'j["a"] + 1 == 3',
  "s < s2",
  "f != d",
  "'a' < s <= 'b'",
  'dyn["x"][0] != 1.5e3',
  "id > 1 and true",
  "f == .5 or f == 1. or f == 0x1.8p1",
  "s == r'a\\b'",
  "array_length(j) == 2",
  "json_contains(j, 1)",
  "json_contains(j['x'], [1, 2])",
  "id == 1 or id==2||id==3",
  "interval == 1",
  "threshold > 2 and iso == 1",
];

const REFUSED: readonly (readonly [string, string])[] = [
  ["1 < id > 9", "comparison operations cannot be applied to two incompatible operands"],
  ["9 < id < 1", "invalid range: lowerbound is greater than upperbound"],
  ["5 < id < 5", "invalid range"],
  ["id == 1.0", "cannot cast value to Int64, value: float_val:1"],
  ["s == 1", "cannot cast value to VarChar"],
  ["b", "predicate is not a boolean expression: b, data type: Bool"],
  ["not b", "not op can only be applied on boolean expression"],
  ["2 - id == 1", "module field is not yet supported"],
  ["2 / id == 1", "module field is not yet supported"],
  ["id % 0 == 1", "division or modulus by zero"],
  ["id / 0 == 1", "division or modulus by zero"],
  ["f % 2 == 0", "modulo can only apply on integer types"],
  ["id + i8 == 3", "not supported to do arithmetic operations between multiple fields"],
  ['s > j["x"]', "two column comparison with JSON type is not supported"],
  ["id & 1 == 1", "cannot perform arithmetic between Int64 field and Bool"],
  ["id << 1 == 2", "shift is not supported: id << 1"],
  ["not id in [1]", "not op can only be applied on boolean expression"],
  ['id like "1%"', "like operation on non-string or no-json field is unsupported"],
  ['s !~ "("', "invalid regex pattern"],
  ["j[k] > 3", 'json key must be enclosed in double quotes or single quotes: "k"'],
  ['j["k"] > [1]', "cannot be applied to two incompatible operands"],
  ["exists id", "exists operations are only supportted on json field, got:Int64"],
  ["exists j", "exists operations are only supportted on json key"],
  ["a[-1] == 1", "can only access array field with integer index"],
  ['array_contains(a, "x")', "contains operation can't compare between array element type: Int64 and VarChar"],
  ["array_contains_all(a, 3)", "ContainsAll operation element must be an array"],
  ['text_match(s, "x y", minimum_should_match=2)', "notImplemented"],
  ['text_match(s, "x", minimum_should_match=0)', "minimum_should_match should be >= 1, got 0"],
  ['text_match(s2, "x")', 'field "s2" does not enable match'],
  ['phrase_match(s, "x y", 1)', "notImplemented"],
  ['phrase_match(s, "x y", -1)', '"slop" should not be a negative interger. "slop" passed: -1'],
  ['phrase_match(s, "x y", 4294967296)', '"slop" exceeds the range of "uint32"'],
  ['text_match(av, "x")', "text match operation on non-string is unsupported"],
  ["random_sample(0.1)", "notImplemented"],
  ["id > 1 and random_sample(0.5)", "notImplemented"],
  ["random_sample(0.5) and id > 1", "random sample expression can only be the last expression in the logical and"],
  ["id > 1 or random_sample(0.5)", "random sample expression cannot be used in logical and expression"],
  ["not random_sample(0.5)", "random sample expression cannot be used in unary expression"],
  ["random_sample(1)", '"float factor" should be a const float expression'],
  ["random_sample(0.0)", "the sample factor should be between 0 and 1 and not too close"],
  ['st_within(g, "POINT(0)")', "invalid WKT: POINT(0)"],
  ["st_within(g, {one})", "a geometry must be a WKT string"],
  ["st_within(g)", "st_within takes 2 arguments, got 1"],
  ['st_dwithin(g, "POINT(0 0)", -1)', "distance must be non-negative"],
  ['st_dwithin(g, "POINT(0 0)", "x")', "distance must be a number"],
  ['st_dwithin(g, "LINESTRING(0 0, 1 1)", 1)', "ST_DWITHIN needs a POINT"],
  ["st_equals(j, 'POINT(0 0)')", "STEuqals operation are only supported on geometry fields now, got: j"],
  ['st_within(s, "POINT(0 0)")', "STWithin operation are only supported on geometry fields now, got: s"],
  ['ST_EQUALS(s, "POINT(0 0)")', "STEuqals operation"],
  ["id > ISO '2025-01-01T00:00:00Z'", "field 'id' is not a timestamptz datatype"],
  ["id + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'", "field 'id' is not a timestamptz datatype"],
  ["id in {one}", "the value of term expression template variable {one} is not array"],
  ["id in {absent}", "the value of expression template variable name {absent} is not found"],
  ['[id, s] in [[1,"a"]]', "notImplemented"],
  ["id > 1 garbage", "cannot parse expression: id > 1 garbage, error: "],
  ['s Like "a"', "cannot parse expression"],
  ["id > 1 And id < 2", "cannot parse expression"],
  ["s == 'it''s'", "cannot parse expression"],
  ["id >", "cannot parse expression: id >, error: line 1:4 mismatched input '<EOF>'"],
  ["id @ 1", "line 1:3 token recognition error at: '@'"],
  ["id > 1 and\n  s == == 2", "line 2:7 mismatched input '=='"],
  ["id > 1 )", "line 1:7 mismatched input ')'"],
  ["a < b < c", "lowerbound cannot be a non-const expression: a"],
  ["id == {one} + 1", "placeholder was not supported between two constants with operator: +"],
  ["1 == {one}", "placeholder was not supported between two constants with operator: =="],
  ["a == a", "can not comparisons array fields directly"],
  ["s > id", "comparisons between VarChar and Int64 are not supported"],
  ["id + 1.5 == 2", "'add' cannot perform arithmetic between Int64 field and Double"],
  ["s + 1 == 2", "'add' cannot perform arithmetic between VarChar field and Int64"],
  ["id * 2 + 1 == 3", "complicated arithmetic operations are not supported"],
  ["id + {one} + 1 == 3", "complicated arithmetic operations are not supported"],
  ["id + 1 == i8", "not supported to combine multiple fields"],
  ['"a" like "b"', "the left operand of like is invalid"],
  ['(id + 1) like "b"', "like operation on complicated expr is unsupported"],
  ["s like {one}", "the value of like expression template variable {one} is not string"],
  ["id in 1", "the right-hand side of 'in' must be a list, but got: 1"],
  ["id in [1, i8]", "value 'i8' in list cannot be a non-const expression"],
  ["id in [1, 'a']", "value ''a'' in list cannot be casted to Int64"],
  ["1 in [1]", "'term' can only be used on non-const expression, but got: 1"],
  ["id + 1 in [1]", "'term' can only be used on single field, but got: id + 1"],
  ["a in [1]", "'term' can only be used on single field, but got: a"],
  ["true < b < false", "invalid range operations on boolean expr"],
  ["b and id > 1", "'and' can only be used between boolean expressions"],
  ["id > 1 or b", "'or' can only be used between boolean expressions"],
  ["-s == 'a'", "- op can only be applied on"],
  ["~id == 1", "unsupported expression: ~id"],
  ["id ** 2 == 4", "power can only apply on constants: id ** 2"],
  ['id["k"] == 1', "Int64 data type not supported accessed with []"],
  ['a["k"] == 1', "can only access array field with integer index"],
  ["a[0][1] == 1", "invalid identifier: a[0][1]"],
  ["array_length(id) == 1", "array_length operation are only supported on json or array fields now, got: id"],
  ["json_contains(id, 1)", "contains operation are only supported on json or array fields now, got: id"],
  ["json_contains_any(a, id)", "contains_any operation are only supported explicitly specified element, got: id"],
  ["id == [1, i8]", "array element type must be generic value, but got: i8"],
  ["v == 1", "comparisons between FloatVector and int are not supported"],
  ["f < {nan}", "is not a finite number"],
  ["f < 1e999", "cannot parse expression"],
  ["id == 9223372036854775808", "cannot parse expression"],
  ["nope(s)", "function nope(VarChar) not found"],
  ["element_filter(s, id > 1)", "notImplemented"],
  ["$[x] > 1", "element filter expression"],
  ["id == 089", "cannot parse expression"],
  ["id == 1 and (i8 == 2", "cannot parse expression"],
  ["1 + 2", "predicate is not a boolean expression: 1 + 2, data type: Int64"],
  ["a[0] is null", "unsupported expression: a[0] is null"],
];

describe("the acceptance table", () => {
  test.each(ACCEPTED.map((text) => [text]))("%s is accepted", (text) => {
    expect(parse(text).kind).toBe("program");
  });
  test.each(REFUSED)("%s is refused", (text, fragment) => {
    expect(refusal(text)).toContain(fragment);
  });
  test("empty and blank text mean all rows", () => {
    expect(parse("")).toEqual({ kind: "all" });
    expect(parse(" \t\n")).toEqual({ kind: "all" });
  });
  test("an unknown name needs the dynamic field", () => {
    expect(refusal("dyn == 1", strict)).toContain("field dyn not exist");
    expect(refusal('$meta["x"] == 1', strict)).toContain("field $meta not exist");
  });
  test("same meaning, same program", () => {
    const same: readonly (readonly [string, string])[] = [
      ["dyn == 1", '$meta["dyn"] == 1'],
      ["id not in [1]", "not (id in [1])"],
      ["5 < id", "id > 5"],
      ["id > 5 && i8 in [1,2,]", "(id>5) AND i8 IN [1, 2]"],
      ["0x10 == id", "id == 16"],
      ["010 == id", "id == 8"],
      ["9 >= id > 1", "1 < id <= 9"],
      ["id + 1 + 2 == 5", "id + 3 == 5"],
      ["a & 3 == 3 or id == 1".replace("a & 3 == 3", "false"), "id == 1"],
      ["not (not (id == 1))", "id == 1"],
      ["id == 1 or i8 == 2 or id in [3, 4]", "id in [1, 3, 4] or i8 == 2"],
      ["j['k'] == 1 or j['k'] == 'a' or j['l'] == 1", "j['k'] in [1, 'a'] or j['l'] == 1"],
      ["id > 1 and (i8 > 2 and (f > 3 and true))", "id > 1 and i8 > 2 and f > 3"],
      ["id == 1 or false", "id == 1"],
      ["j['k'] is null", "not exists j['k']"],
    ];
    for (const [a, b] of same) expect(parse(a), `${a} | ${b}`).toEqual(parse(b));
  });
});

describe("keys and partitions", () => {
  test("a list of primary keys is sorted and distinct", () => {
    expect(parse("id in [3, 1, 3, 2]")).toMatchObject({ keys: [1n, 2n, 3n], alwaysTrue: false });
    expect(parse("id == {one}")).toMatchObject({ keys: [1n] });
    expect(parse("id in {ids}")).toMatchObject({ keys: [1n, 2n] });
    expect(parse("id == 2 or id == 1 or id in [5, 2]")).toMatchObject({ keys: [1n, 2n, 5n] });
    expect(parse("id in [1] and i8 == 1")).not.toHaveProperty("keys");
    expect(parse("id not in [1]")).not.toHaveProperty("keys");
  });
  test("partition keys follow and and or, never not", () => {
    expect(parse('s == "a" and id > 1')).toMatchObject({ partitionKeys: ["a"] });
    expect(parse('s == "b" or s in ["a", "b"]')).toMatchObject({ partitionKeys: ["a", "b"] });
    expect(parse('s in ["a", "b"] and s in ["b", "c"]')).toMatchObject({ partitionKeys: ["b"] });
    expect(parse('s == "a" or id > 1')).not.toHaveProperty("partitionKeys");
    expect(parse('not (s == "a")')).not.toHaveProperty("partitionKeys");
  });
  test("always true is noticed", () => {
    expect(parse("true or id == 1")).toMatchObject({ alwaysTrue: true });
    expect(parse("1 < 2")).toMatchObject({ alwaysTrue: true });
    expect(parse("-2 ** 2 == -4 and 2 ** -1 == 0.5 and - -3 == 3")).toMatchObject({ alwaysTrue: true });
    expect(parse("2 + 3 * 4 == 14 and (2 + 3) * 4 == 20 and 7 / 2 == 3 and -7 % 4 == -3")).toMatchObject({
      alwaysTrue: true,
    });
    expect(parse("id == 1")).toMatchObject({ alwaysTrue: false });
  });
});

describe("size", () => {
  test("ten thousand terms", () => {
    const or = Array.from({ length: 10_000 }, (_, i) => `id == ${i}`).join(" or ");
    expect(parse(or).kind).toBe("program");
    expect(parse(or.replaceAll(" or ", " && ")).kind).toBe("program");
    expect(parse(`id in [${Array.from({ length: 10_000 }, (_, i) => i).join(",")}]`).kind).toBe("program");
  });
  test("nesting is bounded", () => {
    expect(parse(`${"(".repeat(100)}id == 1${")".repeat(100)}`).kind).toBe("program");
    expect(parse(`${"not ".repeat(100)}(id == 1)`).kind).toBe("program");
    expect(parse(`${"not (".repeat(100)}id == 1${")".repeat(100)}`).kind).toBe("program");
    expect(refusal(`${"(".repeat(10_000)}id == 1${")".repeat(10_000)}`)).toContain("nesting depth");
    expect(refusal(`${"not ".repeat(100_000)}(id == 1)`)).toContain("nesting depth");
    expect(refusal(`id == 1${" == 1".repeat(10_000)}`)).toContain("nesting depth");
  });
});
