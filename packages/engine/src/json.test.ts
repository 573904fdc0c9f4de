/** JSON rows and vectors (REST, embedded): every spelling that is taken, and how the wrong ones are refused. */
import type { FieldId } from "@elanus/model/id";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import { DataType } from "@elanus/model/schema";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NativeSchema } from "./addon.ts";
import { loadAddon } from "./load.ts";
import { attemptNow } from "./native-error.ts";
import { compileSchema } from "./rows.ts";

const addon = loadAddon();
const WRITE = { upsert: false, allowInsertAutoId: false };
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const base64 = (...bytes: readonly number[]): string => Buffer.from(bytes).toString("base64");

function schemaOf(more: Partial<FieldSchema>): NativeSchema {
  const plain = { description: "", autoId: false, partitionKey: false, clusteringKey: false, typeParams: {} };
  const field = { ...plain, nullable: false, dynamic: false, primaryKey: false };
  const schema: CollectionSchema = {
    name: "c",
    description: "",
    fields: [
      { ...field, id: 100 as FieldId, name: "id", type: DataType.int64, primaryKey: true },
      { ...field, id: 101 as FieldId, name: "v", type: DataType.bool, ...more },
    ],
    dynamicFieldEnabled: false,
    version: 0,
  };
  return compileSchema(addon, schema);
}

/** The value as it is written back. */
function readBack(schema: NativeSchema, value: unknown): unknown {
  const rows = addon.Rows.fromJson(schema, json([{ id: 1, v: value }]), WRITE);
  const options = { fields: [101], dynamicKeys: [], offset: 0, int64AsText: false };
  const text = addon.encodeQueryJson(schema, [rows.encode()], options);
  return JSON.parse(Buffer.from(text).toString())[0].v;
}

const taken: readonly (readonly [string, Partial<FieldSchema>, unknown, unknown])[] = [
  ["bool", { type: DataType.bool }, true, true],
  ["bool as text", { type: DataType.bool }, "true", true],
  ["bool as number", { type: DataType.bool }, 0, false],
  ["int as text", { type: DataType.int16 }, "-5", -5],
  ["int with a zero fraction", { type: DataType.int32 }, 7.0, 7],
  ["float as text", { type: DataType.float }, "0.5", 0.5],
  ["double", { type: DataType.double }, 0.1, 0.1],
  ["varchar", { type: DataType.varChar, lengthMax: 9 }, 'a"ü', 'a"ü'],
  ["number as varchar", { type: DataType.varChar, lengthMax: 9 }, 12, "12"],
  ["json", { type: DataType.json }, { b: [1, null], a: "x" }, { b: [1, null], a: "x" }],
  ["array", { type: DataType.array, elementType: DataType.int64, capacityMax: 3 }, [1, "2"], [1, 2]],
  ["float vector", { type: DataType.floatVector, dim: 2 }, [0.5, 2], [0.5, 2]],
  ["binary vector", { type: DataType.binaryVector, dim: 16 }, base64(255, 1), base64(255, 1)],
  ["float16 as numbers", { type: DataType.float16Vector, dim: 2 }, [1, -1], base64(0, 0x3c, 0, 0xbc)],
  ["float16 as base64", { type: DataType.float16Vector, dim: 2 }, base64(0, 0x3c, 0, 0xbc), base64(0, 0x3c, 0, 0xbc)],
  ["bfloat16 as numbers", { type: DataType.bfloat16Vector, dim: 2 }, [1, 0], base64(0x80, 0x3f, 0, 0)],
  ["int8 vector", { type: DataType.int8Vector, dim: 3 }, [-128, 0, 127], base64(128, 0, 127)],
  ["sparse by index", { type: DataType.sparseFloatVector }, { "9": 0.5, "2": 1 }, { "2": 1, "9": 0.5 }],
  [
    "sparse as lists",
    { type: DataType.sparseFloatVector },
    { indices: [9, 2], values: [0.5, 1] },
    { "2": 1, "9": 0.5 },
  ],
  ["empty sparse", { type: DataType.sparseFloatVector }, {}, {}],
];

const refused: readonly (readonly [string, Partial<FieldSchema>, unknown, string])[] = [
  ["a word as int", { type: DataType.int32 }, "x", 'field v: cannot use "x" as Int32'],
  ["a fraction as int", { type: DataType.int64 }, 1.5, "field v: cannot use 1.5 as Int64"],
  ["an object as varchar", { type: DataType.varChar, lengthMax: 9 }, {}, "field v: cannot use {} as VarChar"],
  ["int8 out of range", { type: DataType.int8 }, 128, "the 0th element (128) out of range: [-128, 127]"],
  ["float that overflows", { type: DataType.float }, 1e300, "value '+Inf' is not a number or infinity"],
  [
    "short vector",
    { type: DataType.floatVector, dim: 3 },
    [1, 2],
    "the dim (2) of field data(v) is not equal to schema dim (3)",
  ],
  ["vector of words", { type: DataType.floatVector, dim: 1 }, ["a"], 'field v: cannot use ["a"] as FloatVector'],
  ["null in a vector", { type: DataType.floatVector, dim: 1 }, [null], "field v: cannot use [null] as FloatVector"],
  ["bad base64", { type: DataType.binaryVector, dim: 8 }, "?", 'field v: cannot use "?" as BinaryVector'],
  ["negative sparse value", { type: DataType.sparseFloatVector }, { "1": -1 }, "negative value in sparse float vector"],
  [
    "sparse lists of two lengths",
    { type: DataType.sparseFloatVector },
    { indices: [1], values: [] },
    'field v: cannot use {"indices":[1],"values":[]} as SparseFloatVector',
  ],
];

describe("json rows", () => {
  it.each(taken)("take %s", (_, field, sent, answered) => {
    expect(readBack(schemaOf(field), sent)).toEqual(answered);
  });

  it.each(refused)("refuse %s", (_, field, sent, message) => {
    const read = attemptNow(() => addon.Rows.fromJson(schemaOf(field), json([{ id: 1, v: sent }]), WRITE));
    expect(read).toMatchObject({ ok: false, error: { kind: "invalidParameter", message } });
  });

  it("keep 64-bit integers whole", () => {
    const schema = schemaOf({ type: DataType.int64 });
    const rows = addon.Rows.fromJson(
      schema,
      Buffer.from('{"id":9223372036854775807,"v":"-9223372036854775808"}'),
      WRITE,
    );
    const options = { fields: [100, 101], dynamicKeys: [], offset: 0, int64AsText: true };
    const text = Buffer.from(addon.encodeQueryJson(schema, [rows.encode()], options)).toString();
    expect(text).toBe('[{"id":"9223372036854775807","v":"-9223372036854775808"}]');
  });
});

describe("query vectors", () => {
  const schema = schemaOf({ type: DataType.floatVector, dim: 2 });

  it("count, and fit their field", () => {
    const message = addon.placeholdersFromJson(
      schema,
      101,
      json([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
    );
    expect(addon.checkPlaceholders(schema, 101, message)).toBe(3);
    const wider = schemaOf({ type: DataType.floatVector, dim: 3 });
    const check = attemptNow(() => addon.checkPlaceholders(wider, 101, message));
    expect(check).toMatchObject({
      error: { message: "vector dimension mismatch, expected vector size(byte) 12, actual 8" },
    });
    const binary = schemaOf({ type: DataType.binaryVector, dim: 64 });
    expect(attemptNow(() => addon.checkPlaceholders(binary, 101, message))).toMatchObject({ ok: false });
    const scalar = attemptNow(() => addon.checkPlaceholders(schema, 100, message));
    expect(scalar).toMatchObject({ error: { message: "field id is not a vector field" } });
  });
});

describe("random bytes at the gate", () => {
  const schema = schemaOf({ type: DataType.floatVector, dim: 2, nullable: true });
  const rows = addon.Rows.fromJson(schema, json([{ id: 1, v: [1, 2] }, { id: 2 }]), WRITE);
  const samples = [
    rows.encode(),
    rows.keys(),
    rows.ids(),
    addon.placeholdersFromJson(schema, 101, json([[1, 2]])),
    json([{ id: 1 }]),
  ];
  const readers: readonly ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => addon.Rows.decode(schema, bytes),
    (bytes) => addon.Rows.fromJson(schema, bytes, WRITE),
    (bytes) => addon.Rows.fromFieldData(schema, [bytes], 1, WRITE),
    (bytes) => addon.routeKeys(bytes, 3),
    (bytes) => addon.hitCount(bytes),
    (bytes) => addon.checkPlaceholders(schema, 101, bytes),
    (bytes) => addon.placeholdersFromJson(schema, 101, bytes),
    (bytes) => addon.keysOfRows(schema, [bytes]),
  ];

  it("are refused or read, never a panic", () => {
    const damaged = fc.tuple(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
    );
    const mutated = damaged.map(([sample, edits]) => {
      const bytes = Uint8Array.from(sample);
      for (const [at, to] of edits) bytes[at % bytes.length] = to;
      return bytes;
    });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated);
    fc.assert(
      fc.property(bytes, fc.constantFrom(...readers), (input, read) => {
        const outcome = attemptNow(() => read(input));
        if (!outcome.ok && outcome.error.kind === "internal") expect(outcome.error.message).not.toContain("panicked");
      }),
      { numRuns: 3_000 },
    );
  });
});
