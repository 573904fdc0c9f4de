import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { flattenHits } from "./flatten.ts";
import { parseExact, stringify } from "./json.ts";
import { scanArray, scanObject, slice } from "./scan.ts";

const utf8 = new TextEncoder();
const textIn = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** JSON as people write it: any spacing between tokens. */
const spaced = fc
  .tuple(fc.jsonValue(), fc.constantFrom(0, 1, 4, "\t"))
  .map(([value, indent]) => JSON.stringify(value, null, indent));

describe("the position scanner", () => {
  test("finds the same fields as JSON.parse", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()),
        fc.constantFrom(0, 2, "\t"),
        (object, indent) => {
          const bytes = utf8.encode(` ${JSON.stringify(object, null, indent)}\n`);
          const ranges = scanObject(bytes);
          const found = [...(ranges ?? [])].map(([key, range]) => [
            key,
            JSON.parse(textIn(slice(bytes, range))) as unknown,
          ]);
          expect(found).toEqual(Object.entries(JSON.parse(textIn(bytes)) as object));
        },
      ),
    );
  });

  test("finds the same elements as JSON.parse", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 2), (list, indent) => {
        const bytes = utf8.encode(JSON.stringify(list, null, indent));
        const found = scanArray(bytes)?.map((range) => JSON.parse(textIn(slice(bytes, range))) as unknown);
        expect(found).toEqual(JSON.parse(textIn(bytes)));
      }),
    );
  });

  test("refuses what is cut short or followed by more", () => {
    fc.assert(
      fc.property(spaced, fc.nat(), (text, cut) => {
        const whole = utf8.encode(`{"a":${text}}`);
        expect(scanObject(whole)).toBeDefined();
        expect(scanObject(whole.subarray(0, cut % whole.length))).toBeUndefined();
        expect(scanObject(utf8.encode(`${textIn(whole)}x`))).toBeUndefined();
      }),
    );
  });

  test("never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.string({ unit: fc.constantFrom(...'{}[]",:\\ax 1') }).map((s) => utf8.encode(s)),
        ),
        (bytes) => {
          scanObject(bytes);
          scanArray(bytes);
          flattenHits(bytes);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test.each(["", "[]", "{", "}", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", '{"a":1 "b":2}', "nul"])(
    "%j is no object",
    (text) => {
      expect(scanObject(utf8.encode(text))).toBeUndefined();
    },
  );
});

test("hits of all queries come as one list with their counts", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.dictionary(fc.string(), fc.jsonValue()))),
      fc.constantFrom(0, 1),
      (queries, indent) => {
        const flat = flattenHits(utf8.encode(JSON.stringify(queries, null, indent)));
        expect(flat?.counts).toEqual(queries.map((q) => q.length));
        expect(JSON.parse(textIn(Buffer.concat(flat?.parts ?? [])))).toEqual(
          JSON.parse(JSON.stringify(queries.flat())),
        );
      },
    ),
  );
});

describe("exact JSON", () => {
  test("keeps every integer", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), (value) => {
        const parsed = parseExact(utf8.encode(`[${value}]`)) as readonly (number | bigint)[];
        expect(BigInt(parsed[0] ?? 0)).toBe(value);
        expect(stringify({ a: value })).toBe(`{"a":${value}}`);
      }),
    );
  });

  test("agrees with JSON.parse otherwise", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.parse(stringify(parseExact(utf8.encode(text)) ?? null))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("writes numbers that JSON has no word for as text", () => {
    expect(stringify([Number.NaN, Number.POSITIVE_INFINITY])).toBe('["NaN","Infinity"]');
  });
});
