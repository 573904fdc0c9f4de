/**
 * The filter language end to end: random filters as text, through the parser, the program's bytes and native
 * evaluation over a segment, against their meaning written down a second time, row by row.
 */
import { loadAddon } from "@elanus/engine/load";
import type { TemplateValue } from "@elanus/model/contract/proxy";
import type { FieldId } from "@elanus/model/id";
import { type CollectionSchema, DataType, type FieldSchema } from "@elanus/model/schema";
import { parseFilter } from "@elanus/query/filter/parse-filter";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileSchema } from "./native-engine.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Row = Readonly<Record<string, Json>>;
/** undefined: UNKNOWN. */
type Truth = boolean | undefined;

interface Filter {
  readonly text: string;
  readonly truth: (row: Row) => Truth;
  /** Loosest operator in the text: what needs brackets where. */
  readonly level: "leaf" | "not" | "and" | "or";
}

function fieldOf(id: number, name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  const plain = { description: "", primaryKey: false, autoId: false, partitionKey: false, clusteringKey: false };
  return { ...plain, id: id as FieldId, name, type, nullable: true, dynamic: false, typeParams: {}, ...more };
}

const schema: CollectionSchema = {
  name: "c",
  description: "",
  version: 0,
  dynamicFieldEnabled: true,
  fields: [
    fieldOf(100, "id", DataType.int64, { primaryKey: true, nullable: false }),
    fieldOf(101, "n", DataType.int64),
    fieldOf(102, "small", DataType.int8),
    fieldOf(103, "f", DataType.double),
    fieldOf(104, "s", DataType.varChar, { lengthMax: 64 }),
    fieldOf(105, "flag", DataType.bool),
    fieldOf(106, "j", DataType.json),
    fieldOf(107, "a", DataType.array, { elementType: DataType.int64, capacityMax: 8 }),
    fieldOf(108, "v", DataType.floatVector, { dim: 2, nullable: false }),
    fieldOf(109, "$meta", DataType.json, { dynamic: true }),
  ],
};

const templates: ReadonlyMap<string, TemplateValue> = new Map<string, TemplateValue>([
  ["two", { kind: "int", value: 2n }],
  [
    "list",
    {
      kind: "array",
      value: [
        { kind: "int", value: 1n },
        { kind: "int", value: 3n },
      ],
    },
  ],
  ["prefix", { kind: "string", value: "a%" }],
]);

// ---- rows ----

const int = fc.integer({ min: -4, max: 5 });
const half = fc.integer({ min: -8, max: 8 }).map((value) => value / 2);
const word = fc.stringMatching(/^[ab%é]{0,3}$/);
const scalar: fc.Arbitrary<Json> = fc.oneof(int, half, word, fc.boolean(), fc.constant(null));
const tree: fc.Arbitrary<Json> = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom("x", "y"), scalar, { maxKeys: 2 }),
);
const nullable = (value: fc.Arbitrary<Json>): fc.Arbitrary<Json> => fc.option(value, { freq: 5 });

const row: fc.Arbitrary<Row> = fc
  .record({
    n: nullable(int),
    small: nullable(int),
    f: nullable(half),
    s: nullable(word),
    flag: nullable(fc.boolean()),
    j: nullable(fc.dictionary(fc.constantFrom("x", "y"), tree, { maxKeys: 2 })),
    a: nullable(fc.array(int, { maxLength: 4 })),
    dyn: tree,
  })
  .chain((fields) => fc.boolean().map((bare) => (bare ? withoutDynamic(fields) : fields)));

function withoutDynamic(fields: Row): Row {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "dyn"));
}

// ---- meaning ----

function order(a: Json | undefined, b: Json): number | undefined {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return undefined;
}

function holds(operator: string, a: Json | undefined, b: Json): boolean {
  if (operator === "!=") return !holds("==", a, b);
  if (operator === "==" && Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => holds("==", item, b[i] ?? null));
  }
  const by = order(a, b);
  if (by === undefined) return false;
  switch (operator) {
    case "==":
      return by === 0;
    case "<":
      return by < 0;
    case "<=":
      return by <= 0;
    case ">":
      return by > 0;
    default:
      return by >= 0;
  }
}

/** A test on a column: UNKNOWN when it is null. */
function onColumn(name: string, test: (value: Json) => boolean): Filter["truth"] {
  return (of) => {
    const value = of[name] ?? null;
    return value === null ? undefined : test(value);
  };
}

/** A test on a path: two-valued unless the JSON column is null; `dyn` lives in the dynamic field. */
function onPath(path: readonly string[], test: (value: Json | undefined) => boolean): Filter["truth"] {
  return (of) => {
    const [root = "", ...keys] = path;
    if (root === "j" && (of["j"] ?? null) === null) return undefined;
    let at: Json | undefined = of[root];
    for (const key of keys) {
      const inside: unknown = typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined;
      at = Array.isArray(at) && !/^\d+$/.test(key) ? undefined : (inside as Json | undefined);
    }
    return test(at);
  };
}

// ---- texts ----

const quoted = (text: string): string => JSON.stringify(text);
const relation = fc.constantFrom("==", "!=", "<", "<=", ">", ">=");
const mirrored: Readonly<Record<string, string>> = {
  "==": "==",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};
const leaf = (text: string, truth: Filter["truth"]): Filter => ({ text, truth, level: "leaf" });

const intColumn = fc.constantFrom("n", "small");
const intText = (value: number): fc.Arbitrary<string> =>
  value < 0
    ? fc.constant(String(value))
    : fc.constantFrom(String(value), `0x${value.toString(16)}`, `0b${value.toString(2)}`, `0${value.toString(8)}`);

const comparisons: fc.Arbitrary<Filter> = fc.oneof(
  fc
    .tuple(
      intColumn,
      relation,
      int.chain((v) => fc.tuple(fc.constant(v), intText(v))),
      fc.boolean(),
    )
    .map(([name, op, [value, text], turned]) =>
      leaf(
        turned ? `${text} ${mirrored[op]} ${name}` : `${name}${op}${text}`,
        onColumn(name, (found) => holds(op, found, value)),
      ),
    ),
  fc.tuple(relation, half).map(([op, v]) =>
    leaf(
      `f ${op} ${v}`,
      onColumn("f", (found) => holds(op, found, v)),
    ),
  ),
  fc.tuple(relation, word).map(([op, v]) =>
    leaf(
      `s ${op} ${quoted(v)}`,
      onColumn("s", (found) => holds(op, found, v)),
    ),
  ),
  fc.boolean().map((v) =>
    leaf(
      `flag == ${v}`,
      onColumn("flag", (found) => found === v),
    ),
  ),
  relation.map((op) =>
    leaf(`n ${op} f`, (of) => {
      const [a, b] = [of["n"] ?? null, of["f"] ?? null];
      return a === null || b === null ? undefined : holds(op, a, b);
    }),
  ),
  relation.map((op) =>
    leaf(
      `n ${op} {two}`,
      onColumn("n", (found) => holds(op, found, 2)),
    ),
  ),
);

const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => Math.trunc(a / b),
  "%": (a, b) => a % b,
};
const computed: fc.Arbitrary<Filter> = fc.oneof(
  fc
    .tuple(intColumn, fc.constantFrom("+", "-", "*", "/", "%"), fc.integer({ min: 1, max: 4 }), relation, int)
    .map(([name, op, by, rel, value]) =>
      leaf(
        `${name} ${op} ${by} ${rel} ${value}`,
        onColumn(name, (found) => holds(rel, (arithmetic[op]?.(found as number, by) ?? 0) + 0, value)),
      ),
    ),
  fc.tuple(fc.constantFrom("&", "|", "^"), fc.integer({ min: 0, max: 7 }), int).map(([op, by, value]) =>
    leaf(
      `(n ${op} ${by}) == ${value}`,
      onColumn("n", (found) => {
        const a = found as number;
        return (op === "&" ? a & by : op === "|" ? a | by : a ^ by) === value;
      }),
    ),
  ),
);

const bounds = fc.tuple(int, fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.boolean(), fc.boolean());
const ranges: fc.Arbitrary<Filter> = fc
  .tuple(fc.constantFrom("n", "small", 'j["x"]'), bounds)
  .map(([name, [low, width, lowClosed, highClosed, turned]]) => {
    const high = low + width;
    const text = turned
      ? `${high} ${highClosed ? ">=" : ">"} ${name} ${lowClosed ? ">=" : ">"} ${low}`
      : `${low} ${lowClosed ? "<=" : "<"} ${name} ${highClosed ? "<=" : "<"} ${high}`;
    const test = (found: Json | undefined): boolean =>
      holds(lowClosed ? ">=" : ">", found, low) && holds(highClosed ? "<=" : "<", found, high);
    return leaf(text, name === 'j["x"]' ? onPath(["j", "x"], test) : onColumn(name, test));
  });

const members: fc.Arbitrary<Filter> = fc.oneof(
  fc.tuple(intColumn, fc.array(int, { maxLength: 4 }), fc.boolean(), fc.boolean()).map(([name, items, not, comma]) =>
    leaf(
      `${name} ${not ? "not " : ""}in [${items.join(",")}${comma && items.length > 0 ? "," : ""}]`,
      onColumn(name, (found) => items.includes(found as number) !== not),
    ),
  ),
  fc.array(word, { maxLength: 3 }).map((items) =>
    leaf(
      `s IN [${items.map(quoted).join(", ")}]`,
      onColumn("s", (found) => items.includes(found as string)),
    ),
  ),
  fc.constant(
    leaf(
      "n in {list}",
      onColumn("n", (found) => found === 1 || found === 3),
    ),
  ),
);

const patterns: fc.Arbitrary<Filter> = fc.oneof(
  fc.constantFrom("a%", "%b", "%a%", "_", "a_", "%a%b%", "a", "%").map((pattern) => {
    const regex = new RegExp(`^${pattern.replaceAll("%", "[^]*").replaceAll("_", "[^]")}$`, "u");
    return leaf(
      `s like ${quoted(pattern)}`,
      onColumn("s", (found) => regex.test(found as string)),
    );
  }),
  fc.constant(
    leaf(
      String.raw`s like "%\\%%"`,
      onColumn("s", (found) => (found as string).includes("%")),
    ),
  ),
  fc.constant(
    leaf(
      "s like {prefix}",
      onColumn("s", (found) => (found as string).startsWith("a")),
    ),
  ),
  fc.constant(
    leaf(
      "empty(s)",
      onColumn("s", (found) => found === ""),
    ),
  ),
  fc.constant(
    leaf(
      'starts_with(s, "%")',
      onColumn("s", (found) => (found as string).startsWith("%")),
    ),
  ),
  fc.constantFrom("^a", "b$", "a.b", "[ab]{2}", "é+").map((pattern) =>
    leaf(
      `s =~ ${quoted(pattern)}`,
      onColumn("s", (found) => new RegExp(pattern, "u").test(found as string)),
    ),
  ),
  fc.constant(
    leaf(
      "s !~ 'a'",
      onColumn("s", (found) => !(found as string).includes("a")),
    ),
  ),
);

const nulls: fc.Arbitrary<Filter> = fc
  .constantFrom("n", "s", "j", "a", "flag")
  .chain((name) =>
    fc
      .boolean()
      .map((not) => leaf(`${name} is ${not ? "not " : ""}null`, (of) => ((of[name] ?? null) === null) !== not)),
  );

const paths: readonly (readonly [string, readonly string[]])[] = [
  ['j["x"]', ["j", "x"]],
  ["j['y'][0]", ["j", "y", "0"]],
  ['j["x"]["y"]', ["j", "x", "y"]],
  ["dyn", ["dyn"]],
  ['$meta["dyn"]["x"]', ["dyn", "x"]],
];
const constant = fc.oneof(int, half, word, fc.boolean());
const listed = fc.array(constant, { maxLength: 3 });
const show = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(show).join(", ")}]` : JSON.stringify(value);
const documents: fc.Arbitrary<Filter> = fc.constantFrom(...paths).chain(([name, path]) =>
  fc.oneof(
    fc.tuple(relation, constant).map(([op, v]) =>
      leaf(
        `${name} ${op} ${show(v)}`,
        onPath(path, (found) => holds(op, found, v)),
      ),
    ),
    listed.map((v) =>
      leaf(
        `${name} == ${show(v)}`,
        onPath(path, (found) => holds("==", found, v)),
      ),
    ),
    listed.map((v) =>
      leaf(
        `${name} in ${show(v)}`,
        onPath(path, (found) => v.some((item) => holds("==", found, item))),
      ),
    ),
    fc.constant(
      leaf(`exists ${name}`, (of) => onPath(path, (found) => found !== undefined && found !== null)(of) ?? false),
    ),
    fc.constant(
      leaf(`${name} is null`, (of) => onPath(path, (found) => found === undefined || found === null)(of) ?? true),
    ),
    constant.map((v) =>
      leaf(
        `json_contains(${name}, ${show(v)})`,
        onPath(path, (found) => Array.isArray(found) && found.some((item) => holds("==", item, v))),
      ),
    ),
    fc.constant(
      leaf(
        `${name} like "a%"`,
        onPath(path, (found) => typeof found === "string" && found.startsWith("a")),
      ),
    ),
  ),
);

const arrays: fc.Arbitrary<Filter> = fc.oneof(
  fc.tuple(fc.nat(3), relation, int).map(([i, op, v]) =>
    leaf(`a[${i}] ${op} ${v}`, (of) => {
      const found = (of["a"] as readonly number[] | null)?.[i];
      return found === undefined ? undefined : holds(op, found, v);
    }),
  ),
  fc.tuple(relation, fc.nat(4)).map(([op, v]) =>
    leaf(
      `array_length(a) ${op} ${v}`,
      onColumn("a", (found) => holds(op, (found as readonly Json[]).length, v)),
    ),
  ),
  fc.array(int, { maxLength: 3 }).map((v) =>
    leaf(
      `array_contains_all(a, ${show(v)})`,
      onColumn("a", (found) => v.every((item) => (found as readonly Json[]).includes(item))),
    ),
  ),
  fc.array(int, { maxLength: 3 }).map((v) =>
    leaf(
      `ARRAY_CONTAINS_ANY(a, ${show(v)})`,
      onColumn("a", (found) => v.some((item) => (found as readonly Json[]).includes(item))),
    ),
  ),
);

const anyLeaf = fc.oneof(
  comparisons,
  computed,
  ranges,
  members,
  patterns,
  nulls,
  documents,
  arrays,
  fc.boolean().map((v) => leaf(String(v), () => v)),
);

/** Brackets where the language needs them, and sometimes where it does not. */
function inside(filter: Filter, levels: readonly Filter["level"][], extra: boolean): string {
  return levels.includes(filter.level) && !extra ? filter.text : `(${filter.text})`;
}

function joined(parts: readonly Filter[], level: "and" | "or", sign: string, extra: boolean): Filter {
  const fitting: readonly Filter["level"][] = level === "and" ? ["leaf", "not", "and"] : ["leaf", "not", "and", "or"];
  const decisive = level === "or";
  return {
    level,
    text: parts.map((part) => inside(part, fitting, extra)).join(` ${sign} `),
    truth: (of) => {
      const truths = parts.map((part) => part.truth(of));
      if (truths.includes(decisive)) return decisive;
      return truths.includes(undefined) ? undefined : !decisive;
    },
  };
}

const filters: fc.Arbitrary<Filter> = fc.letrec<{ any: Filter }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    anyLeaf,
    fc
      .tuple(fc.array(tie("any"), { minLength: 2, maxLength: 3 }), fc.constantFrom("and", "AND", "&&"), fc.boolean())
      .map(([parts, sign, extra]) => joined(parts, "and", sign, extra)),
    fc
      .tuple(fc.array(tie("any"), { minLength: 2, maxLength: 3 }), fc.constantFrom("or", "OR", "||"), fc.boolean())
      .map(([parts, sign, extra]) => joined(parts, "or", sign, extra)),
    fc.tuple(tie("any"), fc.constantFrom("not ", "!", "NOT ")).map(
      ([inner, sign]): Filter => ({
        level: "not",
        text: `${sign}(${inner.text})`,
        truth: (of) => {
          const truth = inner.truth(of);
          return truth === undefined ? undefined : !truth;
        },
      }),
    ),
  ),
})).any;

// ---- the database's answer ----

const addon = loadAddon();
const engine = { addon, pool: new addon.Pool(0) };
const compiled = compileSchema(engine, schema);

/** Positions of the rows that the database selects. */
async function selected(rows: readonly Row[], text: string): Promise<number[]> {
  const parsed = parseFilter(text, schema, templates);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  const json = rows.map((fields, id) => ({ id, v: [0, 0], ...fields }));
  const options = { upsert: false, allowInsertAutoId: false };
  const batch = addon.Rows.fromJson(compiled, Buffer.from(JSON.stringify(json)), options);
  const segment = addon.Segment.growing(compiled, 1n);
  segment.append(batch.encode(), 1n);
  const filter = parsed.value.kind === "program" ? { filter: parsed.value.bytes } : {};
  const request = { segments: [segment], snapshot: 1n, fields: [100], bytesMax: 1e9, ...filter };
  const found = await addon.query(engine.pool, request);
  const answer = addon.encodeQueryJson(compiled, [found], {
    fields: [100],
    dynamicKeys: [],
    offset: 0,
    int64AsText: false,
  });
  segment.close();
  const ids = (JSON.parse(Buffer.from(answer).toString()) as { readonly id: number }[]).map(({ id }) => id);
  return ids.sort((a, b) => a - b);
}

describe("filters", () => {
  it("select the rows that their text means", async () => {
    const cases = fc.asyncProperty(
      filters,
      fc.array(row, { minLength: 1, maxLength: 30 }),
      async ({ text, truth }, rows) => {
        const expected = rows.flatMap((of, i) => (truth(of) === true ? [i] : []));
        expect(await selected(rows, text), text).toEqual(expected);
      },
    );
    await fc.assert(cases, { numRuns: 1_500 });
  });

  it("take every pattern that the parser takes", async () => {
    const parts =
      "a b . * + ? ( ) | [ ] ^ $ { } - & ~ , 1 3 (?: (?i) (?P<n> \\d \\W \\b \\Q \\E \\p{L} [^ [:digit:] é".split(" ");
    const patterns = fc.array(fc.constantFrom(...parts), { maxLength: 8 }).map((pieces) => pieces.join(""));
    const cases = fc.asyncProperty(patterns, async (pattern) => {
      const text = `s =~ r"${pattern}"`;
      fc.pre(parseFilter(text, schema, templates).ok);
      await selected([{ s: "ab1" }, { s: null }], text);
    });
    await fc.assert(cases, { numRuns: 1_000, maxSkipsPerRun: 1_000 });
  });
});
