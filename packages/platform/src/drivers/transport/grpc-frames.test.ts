import * as fc from "fast-check";
import { expect, test } from "vitest";
import { framed, frameHeader, UnaryAssembler } from "./grpc-frames.ts";
import { encodeStatusMessage, parseTimeoutMs } from "./grpc-text.ts";
import { protocolOf } from "./protocol-split.ts";

const MAX = 1_000;

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function assemble(bytes: Uint8Array, cuts: readonly number[]): ReturnType<UnaryAssembler["finish"]> {
  const assembler = new UnaryAssembler(MAX);
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  for (const [at, place] of places.entries()) assembler.push(bytes.subarray(place, places[at + 1] ?? bytes.length));
  const answer = assembler.finish();
  return answer.kind === "message" ? { ...answer, bytes: new Uint8Array(answer.bytes) } : answer;
}

test("a message comes out whole however its bytes are cut", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), fc.array(fc.nat()), (message, compressed, cuts) => {
      const header = frameHeader(message.length);
      header[0] = compressed ? 1 : 0;
      const answer = assemble(Uint8Array.from([...header, ...message]), cuts);
      expect(answer).toEqual({ kind: "message", compressed, bytes: message });
      expect(new Uint8Array(framed(message))).toEqual(Uint8Array.from([...frameHeader(message.length), ...message]));
    }),
  );
});

test("anything else is a problem, never a message", () => {
  const two = Uint8Array.from([...frameHeader(1), 7, ...frameHeader(1), 8]);
  expect(assemble(two, [])).toMatchObject({ kind: "malformed" });
  expect(assemble(frameHeader(3), [])).toMatchObject({ kind: "malformed" });
  expect(assemble(new Uint8Array(0), [])).toMatchObject({ kind: "malformed" });
  expect(assemble(Uint8Array.from([2, 0, 0, 0, 0]), [])).toMatchObject({ kind: "malformed" });
  expect(assemble(frameHeader(MAX + 1), [])).toEqual({ kind: "tooLarge", bytes: MAX + 1 });
});

test("random bytes never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(fc.nat()), (bytes, cuts) => {
      expect(["message", "malformed", "tooLarge"]).toContain(assemble(bytes, cuts).kind);
    }),
  );
});

test("a status message survives its percent-encoding and is plain ASCII", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const encoded = encodeStatusMessage(text);
      expect(encoded).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeURIComponent(encoded)).toBe(text);
    }),
  );
});

test("timeouts have eight digits and a unit", () => {
  expect(parseTimeoutMs("10S")).toBe(10_000);
  expect(parseTimeoutMs("1H")).toBe(3_600_000);
  expect(parseTimeoutMs("250m")).toBe(250);
  expect(parseTimeoutMs("99999999u")).toBeCloseTo(99_999.999);
  expect(parseTimeoutMs("1n")).toBeCloseTo(1e-6);
  for (const bad of ["", "S", "10", "123456789S", "-1S", "1.5S", "1s"]) expect(parseTimeoutMs(bad)).toBeUndefined();
});

test("the preface of HTTP/2 is told from every HTTP/1.1 request as early as can be", () => {
  expect(protocolOf(ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))).toBe("http2");
  for (const text of ["POST / HTTP/1.1", "PUT /", "PATCH /", "PR", "GET", "PRI * HTTP/1.1"]) {
    expect(protocolOf(ascii(text))).toBe(text === "PR" ? undefined : "http1");
  }
  expect(protocolOf(new Uint8Array(0))).toBeUndefined();
});
