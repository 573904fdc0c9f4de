/**
 * Columns cross native code unharmed: messages encoded by protobufjs with the official client's descriptors go in,
 * and the answers' messages are decoded by it again.
 */
import { createRequire } from "node:module";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import { DataType } from "@elanus/model/schema";
import type { FieldId } from "@elanus/model/id";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import type { NativeRows, NativeSchema } from "./addon.ts";
import { loadAddon } from "./load.ts";
import { attemptNow } from "./native-error.ts";
import { compileSchema } from "./rows.ts";

const addon = loadAddon();
const descriptors = createRequire(import.meta.url)("@zilliz/milvus2-sdk-node/dist/milvus/proto-json/milvus.base.js");
const root = protobuf.Root.fromJSON(descriptors.default);
const FieldData = root.lookupType("milvus.proto.schema.FieldData");
const IDs = root.lookupType("milvus.proto.schema.IDs");
const SearchResultData = root.lookupType("milvus.proto.schema.SearchResultData");
const WRITE = { upsert: false, allowInsertAutoId: false };

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

type Body = Readonly<Record<string, unknown>>;

function fieldOf(id: number, name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  const plain = { description: "", primaryKey: false, autoId: false, partitionKey: false, clusteringKey: false };
  return { ...plain, id: id as FieldId, name, type, nullable: false, dynamic: false, typeParams: {}, ...more };
}

function schemaOf(...fields: readonly FieldSchema[]): CollectionSchema {
  const key = fieldOf(100, "id", DataType.int64, { primaryKey: true });
  const dynamicFieldEnabled = fields.some((field) => field.dynamic);
  return { name: "c", description: "", fields: [key, ...fields], dynamicFieldEnabled, version: 0 };
}

function message(fieldName: string, type: DataType, body: Body): Uint8Array {
  return FieldData.encode(FieldData.fromObject({ fieldName, type, ...body })).finish();
}

function keyMessage(count: number): Uint8Array {
  const data = Array.from({ length: count }, (_, i) => i + 1);
  return message("id", DataType.int64, { scalars: { longData: { data } } });
}

function decode(bytes: Uint8Array): Record<string, unknown> {
  return FieldData.toObject(FieldData.decode(bytes), { longs: Number, bytes: Array });
}

/** In, to bytes and back, through a segment, and out as messages. */
function throughSegment(schema: NativeSchema, rows: NativeRows, fields: readonly number[]): Record<string, unknown>[] {
  const pool = new addon.Pool(0);
  const segment = addon.Segment.growing(schema, 1n);
  segment.append(addon.Rows.decode(schema, rows.encode()).encode(), 10n);
  const read = { segments: [segment], snapshot: 10n, fields, bytesMax: 1e9 };
  const found = addon.query(pool, read) as Uint8Array;
  const options = { fields, dynamicKeys: [], offset: 0, int64AsText: false };
  return addon.encodeQueryResult(schema, [found], options).map(decode);
}

interface Case {
  readonly what: string;
  readonly field: FieldSchema;
  readonly sent: Body;
  readonly answered: Body;
}

const floats = (...values: readonly number[]): number[] => values.map(Math.fround);
const utf8 = (text: string): number[] => [...Buffer.from(text)];
const sparse = (...pairs: readonly (readonly [number, number])[]): number[] => {
  const row = Buffer.alloc(pairs.length * 8);
  pairs.forEach(([index, value], i) => {
    row.writeUInt32LE(index, i * 8);
    row.writeFloatLE(value, i * 8 + 4);
  });
  return [...row];
};
const scalar = (name: string, type: DataType, oneof: string, data: readonly unknown[]): Case => {
  const body = { scalars: { [oneof]: { data } } };
  return { what: name, field: fieldOf(101, name, type, { lengthMax: 99 }), sent: body, answered: body };
};
const nullable = (name: string, type: DataType, oneof: string, data: readonly unknown[], zero: unknown): Case => ({
  what: `nullable ${name}`,
  field: fieldOf(101, name, type, { nullable: true, lengthMax: 99 }),
  sent: { validData: [true, false, true], scalars: { [oneof]: { data: [data[0], data[2]] } } },
  answered: { validData: [true, false, true], scalars: { [oneof]: { data: [data[0], zero, data[2]] } } },
});
const vector = (
  name: string,
  type: DataType,
  dim: number,
  oneof: string,
  rows: readonly (readonly number[])[],
): Case[] => {
  const body = (bytes: readonly number[]): Body => {
    const value = oneof === "floatVector" ? { data: bytes } : bytes;
    return { vectors: { dim, [oneof]: value } };
  };
  const field = fieldOf(101, name, type, { dim });
  const some = { validData: [true, false, true], ...body([rows[0] ?? [], rows[2] ?? []].flat()) };
  return [
    { what: name, field, sent: body(rows.flat()), answered: body(rows.flat()) },
    { what: `nullable ${name}`, field: { ...field, nullable: true }, sent: some, answered: some },
  ];
};
const list = (name: string, elementType: DataType, oneof: string, rows: readonly (readonly unknown[])[]): Case => {
  const data = rows.map((data) => ({ [oneof]: { data } }));
  const body = { scalars: { arrayData: { data, elementType } } };
  return {
    what: name,
    field: fieldOf(101, name, DataType.array, { elementType, capacityMax: 4, lengthMax: 9 }),
    sent: body,
    answered: body,
  };
};

const cases: readonly Case[] = [
  scalar("bool", DataType.bool, "boolData", [true, false, true]),
  scalar("int8", DataType.int8, "intData", [-128, 127, 0]),
  scalar("int16", DataType.int16, "intData", [-32768, 32767, 0]),
  scalar("int32", DataType.int32, "intData", [-2147483648, 2147483647, 0]),
  scalar("int64", DataType.int64, "longData", [-9007199254740991, 9007199254740991, 0]),
  scalar("float", DataType.float, "floatData", floats(0.1, -1e30, 0)),
  scalar("double", DataType.double, "doubleData", [0.1, -1e300, 0]),
  scalar("varchar", DataType.varChar, "stringData", ["", "grüße", "😀"]),
  scalar("json", DataType.json, "jsonData", [utf8("null"), utf8('{"a":[1,2]}'), utf8("1.50")]),
  nullable("bool", DataType.bool, "boolData", [true, false, true], false),
  nullable("int8", DataType.int8, "intData", [-128, 0, 127], 0),
  nullable("int64", DataType.int64, "longData", [5, 0, -7], 0),
  nullable("float", DataType.float, "floatData", floats(0.5, 0, 2), 0),
  nullable("double", DataType.double, "doubleData", [0.1, 0, 7], 0),
  nullable("varchar", DataType.varChar, "stringData", ["a", "", "c"], ""),
  nullable("json", DataType.json, "jsonData", [utf8("1"), [], utf8("[]")], []),
  ...vector("float vector", DataType.floatVector, 2, "floatVector", [floats(1, 2), floats(0.1, -4), floats(5, 6)]),
  ...vector("float16 vector", DataType.float16Vector, 2, "float16Vector", [
    [0, 60, 1, 2],
    [3, 4, 5, 6],
    [0, 188, 0, 0],
  ]),
  ...vector("bfloat16 vector", DataType.bfloat16Vector, 2, "bfloat16Vector", [
    [128, 63, 1, 2],
    [3, 4, 5, 6],
    [0, 0, 1, 0],
  ]),
  ...vector("int8 vector", DataType.int8Vector, 3, "int8Vector", [
    [255, 0, 128],
    [1, 2, 3],
    [4, 5, 6],
  ]),
  ...vector("binary vector", DataType.binaryVector, 16, "binaryVector", [
    [255, 1],
    [2, 3],
    [4, 5],
  ]),
  {
    what: "sparse vector",
    field: fieldOf(101, "sparse", DataType.sparseFloatVector),
    sent: { vectors: { sparseFloatVector: { contents: [sparse([1, 0.5], [9, 2]), [], sparse([4, 1])], dim: 10 } } },
    answered: {
      vectors: { dim: 10, sparseFloatVector: { contents: [sparse([1, 0.5], [9, 2]), [], sparse([4, 1])], dim: 10 } },
    },
  },
  list("array of bool", DataType.bool, "boolData", [[true], [false, true], []]),
  list("array of int8", DataType.int8, "intData", [[-128, 127], [], [0]]),
  list("array of int64", DataType.int64, "longData", [[1, 2, 3, 4], [-5], []]),
  list("array of float", DataType.float, "floatData", [floats(0.1), [], floats(1, 2)]),
  list("array of double", DataType.double, "doubleData", [[0.1], [], [1, 2]]),
  list("array of varchar", DataType.varChar, "stringData", [["a", ""], ["grün"], []]),
];

describe("field data", () => {
  it.each(cases)("carries $what", ({ field, sent, answered }) => {
    const schema = compileSchema(addon, schemaOf(field));
    const rows = addon.Rows.fromFieldData(schema, [message(field.name, field.type, sent), keyMessage(3)], 3, WRITE);
    const [column] = throughSegment(schema, rows, [field.id]);
    const wanted = decode(message(field.name, field.type, { fieldId: field.id, ...answered }));
    expect(column).toEqual(wanted);
  });

  it("fills nulls, defaults and dynamic rows that were not sent", () => {
    const schema = compileSchema(
      addon,
      schemaOf(
        fieldOf(101, "note", DataType.varChar, { nullable: true, lengthMax: 9 }),
        fieldOf(102, "rank", DataType.int32, { nullable: true, defaultValue: 7n }),
        fieldOf(103, "vec", DataType.floatVector, { nullable: true, dim: 2 }),
        fieldOf(104, "$meta", DataType.json, { nullable: true, dynamic: true }),
      ),
    );
    const rank = message("rank", DataType.int32, { validData: [false, true], scalars: { intData: { data: [3] } } });
    const rows = addon.Rows.fromFieldData(schema, [keyMessage(2), rank], 2, WRITE);
    const [note, ranks, vec, meta] = throughSegment(schema, rows, [101, 102, 103, 104]);
    expect(note).toMatchObject({ validData: [false, false], scalars: { stringData: { data: ["", ""] } } });
    expect(ranks).toMatchObject({ validData: [true, true], scalars: { intData: { data: [7, 3] } } });
    expect(vec).toMatchObject({ validData: [false, false], vectors: { dim: 2, floatVector: {} } });
    expect(meta).toMatchObject({ isDynamic: true, scalars: { jsonData: { data: [utf8("{}"), utf8("{}")] } } });
  });

  it("converts float queries and rows for 16-bit fields", () => {
    const schema = compileSchema(addon, schemaOf(fieldOf(101, "half", DataType.float16Vector, { dim: 2 })));
    const sent = message("half", DataType.floatVector, { vectors: { dim: 2, floatVector: { data: [1, -1] } } });
    const rows = addon.Rows.fromFieldData(schema, [keyMessage(1), sent], 1, WRITE);
    const [column] = throughSegment(schema, rows, [101]);
    expect(column).toMatchObject({ vectors: { float16Vector: [0, 0x3c, 0, 0xbc] } });
  });

  it("gives ids in request order, with 64 bits and as text", () => {
    const big = 9_223_372_036_854_775_807n;
    const schema = compileSchema(addon, schemaOf());
    const data = [String(big), 3];
    const rows = addon.Rows.fromFieldData(
      schema,
      [message("id", DataType.int64, { scalars: { longData: { data } } })],
      2,
      WRITE,
    );
    expect(IDs.toObject(IDs.decode(rows.ids()), { longs: String })).toEqual({ intId: { data: [String(big), "3"] } });
    expect(rows.keys()).toEqual(addon.encodeKeys([big, 3n]));
  });
});

describe("refusals", () => {
  const vec = fieldOf(101, "vec", DataType.floatVector, { dim: 2 });
  const text = fieldOf(102, "text", DataType.varChar, { lengthMax: 3, defaultValue: "d" });
  const schema = compileSchema(addon, schemaOf(vec, text));
  const good = message("vec", DataType.floatVector, { vectors: { dim: 2, floatVector: { data: [1, 2, 3, 4] } } });
  const vectorOf = (dim: number, data: readonly number[]): Uint8Array =>
    message("vec", DataType.floatVector, { vectors: { dim, floatVector: { data } } });
  const textOf = (data: readonly string[], validData: readonly boolean[] = []): Uint8Array =>
    message("text", DataType.varChar, { validData, scalars: { stringData: { data } } });

  it.each([
    ["no rows", [], 0, "num_rows should be greater than 0"],
    ["no vector", [keyMessage(2)], 2, "fieldSchema(vec) has no corresponding fieldData pass in"],
    ["no key", [good], 2, "fieldSchema(id) has no corresponding fieldData pass in"],
    ["twice", [keyMessage(2), good, good], 2, "duplicated field vec found"],
    [
      "unknown",
      [keyMessage(2), good, message("x", DataType.bool, {})],
      2,
      "fieldName x not exist in collection schema",
    ],
    ["too many", [keyMessage(2), good, textOf(["", ""]), good], 2, "duplicated field vec found"],
    ["rows", [keyMessage(1), good], 2, "the num_rows (1) of field (id) is not equal to passed num_rows (2)"],
    [
      "dim",
      [keyMessage(1), vectorOf(3, [1, 2, 3])],
      1,
      "the dim (3) of field data(vec) is not equal to schema dim (2)",
    ],
    ["length", [keyMessage(1), vectorOf(2, [1, 2, 3])], 1, "the length(3) of float data should divide the dim(2)"],
    ["NaN", [keyMessage(1), vectorOf(2, [1, Number.NaN])], 1, "value 'NaN' is not a number or infinity"],
    ["infinity", [keyMessage(1), vectorOf(2, [1, -Infinity])], 1, "value '-Inf' is not a number or infinity"],
    [
      "type",
      [keyMessage(1), message("vec", DataType.floatVector, { vectors: { dim: 2, binaryVector: [1] } })],
      1,
      "float vector field 'vec' is illegal, array type mismatch",
    ],
    [
      "scalars",
      [keyMessage(1), vectorOf(2, [1, 2]), message("text", DataType.varChar, { scalars: { longData: { data: [1] } } })],
      1,
      "varchar field 'text' is illegal, array type mismatch",
    ],
    [
      "long text",
      [keyMessage(2), good, textOf(["abc", "abcd"])],
      2,
      "length of varchar field text exceeds max length, row number: 1, length: 4, max length: 3",
    ],
    ["valid data", [keyMessage(2), good, textOf(["a"], [true])], 2, "the length of valid_data of field(text) is wrong"],
    ["compact", [keyMessage(2), good, textOf(["a", "b"], [true, false])], 2, "the length of field is wrong"],
  ] as const)("%s", (_, messages, rowCount, text) => {
    const read = attemptNow(() => addon.Rows.fromFieldData(schema, messages, rowCount, WRITE));
    expect(read).toMatchObject({ ok: false, error: { kind: "invalidParameter", message: text } });
  });

  it("names what was expected and what came", () => {
    const read = attemptNow(() => addon.Rows.fromFieldData(schema, [keyMessage(1), good], 2, WRITE));
    expect(read).toMatchObject({ error: { expected: "2", actual: "1" } });
  });
});

describe("search results", () => {
  const vec = fieldOf(101, "vec", DataType.floatVector, { dim: 2 });
  const meta = fieldOf(102, "$meta", DataType.json, { nullable: true, dynamic: true });
  const schema = compileSchema(addon, schemaOf(vec, meta));
  const rows = [1, 2, 3].map((id) => ({ id, vec: [id, 0], color: `c${id}`, size: id }));
  const pool = new addon.Pool(0);
  const segment = addon.Segment.growing(schema, 1n);
  segment.append(addon.Rows.fromJson(schema, json(rows), WRITE).encode(), 10n);
  const placeholders = addon.placeholdersFromJson(
    schema,
    101,
    json([
      [1, 0],
      [2.5, 0],
    ]),
  );
  const request = { segments: [segment], field: 101, metric: "L2", placeholders, topK: 2, snapshot: 10n, params: "{}" };
  const hits = addon.search(pool, request) as Uint8Array;
  const options = {
    outputFields: ["color", "vec", "id"],
    dynamicKeys: ["color"],
    metric: "L2",
    topK: 2,
    int64AsText: true,
  };
  const fetched = addon.retrieve(pool, [segment], hits, [101, 102]) as Uint8Array;

  it("are one message", () => {
    const iterator = { token: "t", lastBound: 0.25 };
    const bytes = addon.encodeSearchResult(schema, hits, [fetched], {
      ...options,
      fields: [102, 101, 100],
      roundDecimal: -1,
      iterator,
    });
    const result = SearchResultData.toObject(SearchResultData.decode(bytes), { longs: Number, bytes: Array });
    expect(result).toEqual({
      numQueries: 2,
      topK: 2,
      topks: [2, 2],
      scores: [0, 1, 0.25, 0.25],
      ids: { intId: { data: [1, 2, 2, 3] } },
      outputFields: ["color", "vec", "id"],
      primaryFieldName: "id",
      searchIteratorV2Results: iterator,
      fieldsData: [
        {
          type: DataType.json,
          fieldName: "$meta",
          fieldId: 102,
          isDynamic: true,
          scalars: { jsonData: { data: [1, 2, 2, 3].map((id) => utf8(`{"color":"c${id}"}`)) } },
        },
        {
          type: DataType.floatVector,
          fieldName: "vec",
          fieldId: 101,
          vectors: { dim: 2, floatVector: { data: [1, 0, 2, 0, 2, 0, 3, 0] } },
        },
        { type: DataType.int64, fieldName: "id", fieldId: 100, scalars: { longData: { data: [1, 2, 2, 3] } } },
      ],
    });
  });

  it("are one list of objects per query", () => {
    const text = addon.encodeSearchJson(schema, hits, [fetched], { ...options, fields: [102], roundDecimal: 1 });
    expect(JSON.parse(Buffer.from(text).toString())).toEqual([
      [
        { id: "1", color: "c1", distance: 0 },
        { id: "2", color: "c2", distance: 1 },
      ],
      [
        { id: "2", color: "c2", distance: 0.3 },
        { id: "3", color: "c3", distance: 0.3 },
      ],
    ]);
  });

  it("of nothing still count their queries", () => {
    const none = addon.sliceHits(hits, 5, 1);
    const bytes = addon.encodeSearchResult(schema, none, [], { ...options, fields: [], roundDecimal: -1 });
    const result = SearchResultData.toObject(SearchResultData.decode(bytes), { longs: Number });
    expect(result).toMatchObject({ numQueries: 2, topks: [0, 0] });
  });
});
