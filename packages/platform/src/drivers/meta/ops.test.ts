import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeOps, encodeOps } from "./ops.ts";

const op = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    key: fc.string({ unit: "grapheme" }),
    value: fc.uint8Array({ maxLength: 50 }),
  }),
  fc.record({ kind: fc.constant("delete" as const), key: fc.string({ unit: "grapheme" }) }),
);

test("catalog operations survive their encoding", () => {
  fc.assert(
    fc.property(fc.array(op), (ops) => {
      const plain = decodeOps(encodeOps(ops))?.map((one) =>
        one.kind === "put" ? { ...one, value: [...one.value] } : one,
      );
      expect(plain).toEqual(ops.map((one) => (one.kind === "put" ? { ...one, value: [...one.value] } : one)));
    }),
  );
});

test("bytes that are no operations are refused, not misread", () => {
  fc.assert(
    fc.property(fc.array(op), fc.nat(), (ops, cut) => {
      const bytes = encodeOps(ops);
      const shorter = bytes.subarray(0, cut % bytes.length);
      expect(decodeOps(shorter)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      decodeOps(bytes);
    }),
  );
});
