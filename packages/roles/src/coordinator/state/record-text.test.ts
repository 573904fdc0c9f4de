import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32c } from "./checksum.ts";
import { decodeRecord, encodeRecord } from "./record-text.ts";

const leaf = fc.oneof(
  fc.string(),
  fc.string().map((text) => `#${text}`),
  fc.boolean(),
  fc.integer(),
  fc.constant(null),
  fc.bigInt({ min: -(1n << 63n), max: 1n << 63n }),
);
const value = fc.dictionary(
  fc.string().filter((key) => key !== "__proto__"),
  fc.oneof(leaf, fc.array(leaf)),
);

describe("catalog record", () => {
  it("reads back what it wrote", () => {
    fc.assert(
      fc.property(value, (record) => {
        const decoded = decodeRecord("key", encodeRecord(record));
        expect(decoded).toEqual({ ok: true, value: { ...record } });
      }),
    );
  });

  it("notices every changed, lost or added byte", () => {
    const at = fc.nat();
    fc.assert(
      fc.property(value, at, fc.integer({ min: 1, max: 255 }), (record, where, flip) => {
        const bytes = encodeRecord(record);
        const index = where % bytes.length;
        const damaged = Uint8Array.from(bytes);
        damaged[index] = (damaged[index] ?? 0) ^ flip;
        for (const wrong of [damaged, bytes.subarray(0, index), Uint8Array.of(...bytes, flip)]) {
          const decoded = decodeRecord("catalog/x", wrong);
          expect(decoded).toMatchObject({ ok: false, error: { kind: "fileCorrupt", file: "catalog/x" } });
        }
      }),
    );
  });

  it("computes the CRC-32C of the standard's check text", () => {
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  });
});
