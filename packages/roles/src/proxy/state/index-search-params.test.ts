/** Search parameters of the graphs on disk, and the refusals with Milvus's words. */
import { expect, test } from "vitest";
import { indexSearchParams } from "./index-search-params.ts";

function checked(type: string, given: Readonly<Record<string, unknown>>): unknown {
  const outcome = indexSearchParams({ type, params: {}, userParams: [] }, given, 10);
  if (outcome.ok) return outcome.value;
  return outcome.error.kind === "invalidParameter" ? outcome.error.message : outcome.error;
}

test("AUTOINDEX takes an effort, by name or by level", () => {
  expect(checked("AUTOINDEX", {})).toEqual({ ef: 64, nprobe: 64 });
  expect(checked("AUTOINDEX", { level: 3 })).toEqual({ ef: 192, nprobe: 192 });
  expect(checked("AUTOINDEX", { ef: "200" })).toEqual({ ef: 200, nprobe: 64 });
  expect(checked("AUTOINDEX", { ef: 5, level: 2, nprobe: 7 })).toEqual({ ef: 10, nprobe: 7 });
  expect(checked("AUTOINDEX", { level: 11 })).toBe(
    "Out of range in json: param 'level' (11) should be in range [1, 10]",
  );
  expect(checked("AUTOINDEX", { ef: 0 })).toContain("Out of range in json: param 'ef' (0)");
});

test("a list and a beam, by either name", () => {
  expect(checked("DISKANN", {})).toEqual({});
  expect(checked("DISKANN", { search_list: "30", beamwidth: 64, ef: 1 })).toEqual({ search_list: 30, beamwidth: 64 });
  expect(checked("AISAQ", { search_list_size: 10, vectors_beamwidth: 2 })).toEqual({ search_list: 10 });
});

test.each([
  ["DISKANN", { search_list: 9 }, "search_list_size(9) should be larger than k(10)"],
  ["DISKANN", { search_list: "x" }, "invalid integer value, key: 'search_list', value: 'x'"],
  ["DISKANN", { beamwidth: 129 }, "Out of range in json: param 'beamwidth' (129) should be in range [1, 128]"],
  ["AISAQ", { beamwidth: 17 }, "Out of range in json: param 'beamwidth' (17) should be in range [1, 16]"],
  ["AISAQ", { vectors_beamwidth: 5 }, "Out of range in json: param 'vectors_beamwidth' (5) should be in range [1, 4]"],
])("%s with %o is refused", (type, given, message) => {
  expect(checked(type, given)).toBe(message);
});
