/** Whatever text arrives, the parser answers with a value, soon. */
import type { TemplateValue } from "@elanus/model/contract/proxy";
import { DataType } from "@elanus/model/schema";
import type { CollectionSchema } from "@elanus/model/schema";
import type { FieldId } from "@elanus/model/id";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseFilter } from "./parse-filter.ts";
import { checkRegex } from "./regex-syntax.ts";
import { FilterRefusal } from "./syntax.ts";

const flags = {
  description: "",
  autoId: false,
  partitionKey: false,
  clusteringKey: false,
  nullable: true,
  typeParams: {},
};
const types: readonly (readonly [string, DataType])[] = [
  ["id", DataType.int64],
  ["f", DataType.float],
  ["s", DataType.varChar],
  ["b", DataType.bool],
  ["j", DataType.json],
  ["a", DataType.array],
  ["v", DataType.floatVector],
  ["$meta", DataType.json],
];
const schema: CollectionSchema = {
  name: "c",
  description: "",
  dynamicFieldEnabled: true,
  version: 0,
  fields: types.map(([name, type], i) => ({
    ...flags,
    id: (100 + i) as FieldId,
    name,
    type,
    primaryKey: i === 0,
    dynamic: name === "$meta",
    ...(type === DataType.array ? { elementType: DataType.int64 } : {}),
  })),
};

const pieces: readonly string[] = [
  "id f s b j a v dyn $meta $ {t} {x} 1 0 -1 1.5 .5 1. 0x1F 017 0b11 1e3 9223372036854775808",
  "'a' \"b\" r'\\d' \"\\u4e2d\" true False",
  "and && or || not ! ~ in like =~ !~ == != < <= > >= + - * / % ** << >> & | ^ ( ) [ ] , = is_null exists ISO INTERVAL",
  "json_contains( array_contains_all( array_length( text_match( random_sample( starts_with( st_within( nope(",
  '["k"] [0] [k]',
]
  .flatMap((line) => line.split(" "))
  .concat(["is null", "IS NOT NULL", " ", "\n", "\u0000", "é", "\ud800", "'"]);

const templates: ReadonlyMap<string, TemplateValue> = new Map<string, TemplateValue>([
  ["t", { kind: "array", value: [{ kind: "int", value: 1n }] }],
]);

/** Anything but a value is a bug. */
function survives(text: string): boolean {
  const outcome = parseFilter(text, schema, templates);
  if (!outcome.ok) expect(["invalidParameter", "notImplemented"]).toContain(outcome.error.kind);
  return outcome.ok;
}

test("random tokens", () => {
  const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 24 }).map((parts) => parts.join(" "));
  fc.assert(
    fc.property(texts, (text) => void survives(text)),
    { numRuns: 10_000 },
  );
});

test("random characters", () => {
  const texts = fc.string({ unit: "binary", maxLength: 60 });
  fc.assert(
    fc.property(texts, (text) => void survives(text)),
    { numRuns: 5_000 },
  );
});

test("damaged filters", () => {
  const whole = `(id > 5 && s in ["a", 'b']) or not (j["k"][0] == 1.5 and a[2] + 1 < {t}) and 1 <= f < 9`;
  const damage = fc.array(fc.tuple(fc.nat(whole.length), fc.nat(4), fc.constantFrom(...pieces)), { maxLength: 3 });
  fc.assert(
    fc.property(damage, (cuts) => {
      let text = whole;
      for (const [at, count, piece] of cuts) text = text.slice(0, at) + piece + text.slice(at + count);
      survives(text);
    }),
    { numRuns: 5_000 },
  );
});

test("long and deep texts answer soon", () => {
  const unit = fc.constantFrom(
    "(",
    "[",
    "not ",
    "-",
    "id ==",
    "1 +",
    "id in [",
    "j[0]",
    "exists ",
    "'",
    "{",
    "id and ",
    "1 < ",
  );
  fc.assert(
    fc.property(unit, fc.constantFrom(10, 255, 257, 20_000), (part, count) => {
      survives(part.repeat(count));
      survives(`${part.repeat(count)}id == 1`);
    }),
    { numRuns: 40 },
  );
});

test("random patterns", () => {
  const parts = "a b . * + ? ( ) | [ ] ^ $ { } \\ - & ~ , 1 3 (?: (?i) (?P<n> (?= \\d \\b \\Q \\E [: :] é".split(" ");
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 12 }), (chosen) => {
      try {
        checkRegex(chosen.join(""));
      } catch (refusal) {
        expect(refusal).toBeInstanceOf(FilterRefusal);
      }
    }),
    { numRuns: 10_000 },
  );
});
