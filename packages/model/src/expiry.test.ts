import { expect, test } from "vitest";
import { expiredAt } from "./expiry.ts";
import { timestampOf } from "./time.ts";

function at(ttl: string): bigint {
  return expiredAt({ "collection.ttl.seconds": ttl }, 100_000);
}

test("rows expire when they are as old as the property says", () => {
  expect(at("10")).toBe(timestampOf(90_000));
  expect(at("3155760000")).toBe(timestampOf(0));
  for (const never of ["0", "-1"]) expect(at(never)).toBe(0n);
  expect(expiredAt({}, 100_000)).toBe(0n);
});
