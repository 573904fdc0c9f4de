import { expect, test } from "vitest";
import { geometryKind } from "./wkt.ts";

test.each([
  ["POINT(1 2)", "POINT"],
  ["point EMPTY", "POINT"],
  [" LineString ( -1e2 .5 , 3. 4 ) ", "LINESTRING"],
  ["POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))", "POLYGON"],
  ["MULTIPOINT(1 2, 3 4)", "MULTIPOINT"],
  ["MULTIPOINT((1 2), EMPTY)", "MULTIPOINT"],
  ["MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTILINESTRING"],
  ["MULTIPOLYGON(((0 0,1 0,1 1,0 0.0)))", "MULTIPOLYGON"],
  ["GEOMETRYCOLLECTION(POINT(1 1),GEOMETRYCOLLECTION EMPTY)", "GEOMETRYCOLLECTION"],
  [`${"GEOMETRYCOLLECTION (".repeat(31)}POINT (1 1)${")".repeat(31)}`, "GEOMETRYCOLLECTION"],
])("%s is a geometry", (text, kind) => {
  expect(geometryKind(text)).toBe(kind);
});

test.each([
  "",
  "POINT",
  "POINT (1)",
  "POINT (1 2 3)",
  "POINT Z (1 2 3)",
  "POINT (1 2) x",
  "POINT (nan 2)",
  "POINT (1-2)",
  "POINT (1.2.3)",
  "POINT (1\u00a02)",
  "POINT (1 2)\u00a0",
  "POINT (1e999 2)",
  "CIRCLE (1 2)",
  "LINESTRING (1 1)",
  "POLYGON ((0 0, 1 0, 1 1))",
  "POLYGON ((0 0, 1 0, 1 1, 0 1))",
  "MULTIPOINT (1 2, 3)",
  "POINT (1 2);",
  `${"GEOMETRYCOLLECTION (".repeat(32)}POINT (1 1)${")".repeat(32)}`,
])("%s is none", (text) => {
  expect(geometryKind(text)).toBeUndefined();
});
