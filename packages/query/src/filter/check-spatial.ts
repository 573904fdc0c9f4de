/** The `st_*` functions (contract/expressions.md 13). */
import { DataType } from "@elanus/model/schema";
import type { FieldSchema } from "@elanus/model/schema";
import type { Call, CheckedArgument, Node, SpatialRelation } from "./program.ts";
import { FilterRefusal } from "./syntax.ts";
import { geometryKind } from "./wkt.ts";

interface SpatialFunction {
  readonly relation: SpatialRelation;
  /** As Milvus spells it in refusals. */
  readonly shown: string;
}

const FUNCTIONS: ReadonlyMap<string, SpatialFunction> = new Map([
  ["st_equals", { relation: "equals", shown: "STEuqals" }],
  ["st_touches", { relation: "touches", shown: "STTouches" }],
  ["st_overlaps", { relation: "overlaps", shown: "STOverlaps" }],
  ["st_crosses", { relation: "crosses", shown: "STCrosses" }],
  ["st_contains", { relation: "contains", shown: "STContains" }],
  ["st_intersects", { relation: "intersects", shown: "STIntersects" }],
  ["st_within", { relation: "within", shown: "STWithin" }],
  ["st_dwithin", { relation: "near", shown: "ST_DWITHIN" }],
  ["st_isvalid", { relation: "valid", shown: "STIsValid" }],
]);

export function isSpatial(name: string): boolean {
  return FUNCTIONS.has(name);
}

/**
 * The test that a call stands for; undefined when it is no spatial function.
 *
 * @throws FilterRefusal
 */
export function spatialNode(name: string, call: Call): Node | undefined {
  const spatial = FUNCTIONS.get(name);
  if (spatial === undefined) return undefined;
  const { relation, shown } = spatial;
  const field = fieldOf(shown, call.args[0]);
  const count = relation === "valid" ? 1 : relation === "near" ? 3 : 2;
  if (call.args.length !== count || call.args.some((arg) => arg.label !== undefined)) {
    throw new FilterRefusal(`${call.name} takes ${count} arguments, got ${call.args.length}: ${call.text}`);
  }
  const geometry = relation === "valid" ? "" : geometryOf(relation, call.args[1]);
  return { kind: "spatial", relation, field, geometry, distance: relation === "near" ? distanceOf(call.args[2]) : 0 };
}

function fieldOf(shown: string, arg: CheckedArgument | undefined): FieldSchema {
  const operand = arg?.term.kind === "operand" ? arg.term.operand : undefined;
  if (operand?.kind === "column" && operand.field.type === DataType.geometry) return operand.field;
  throw new FilterRefusal(`${shown} operation are only supported on geometry fields now, got: ${arg?.text ?? ""}`);
}

function geometryOf(relation: SpatialRelation, arg: CheckedArgument | undefined): string {
  const literal = arg?.term.kind === "constant" ? arg.term.literal : undefined;
  if (literal?.type !== "string") throw new FilterRefusal(`a geometry must be a WKT string, got: ${arg?.text ?? ""}`);
  const kind = geometryKind(literal.value);
  if (kind === undefined) throw new FilterRefusal(`invalid WKT: ${literal.value}`);
  if (relation === "near" && (kind !== "POINT" || /EMPTY/i.test(literal.value))) {
    throw new FilterRefusal(`ST_DWITHIN needs a POINT, got: ${literal.value}`);
  }
  return literal.value;
}

function distanceOf(arg: CheckedArgument | undefined): number {
  const literal = arg?.term.kind === "constant" ? arg.term.literal : undefined;
  if (literal?.type !== "int" && literal?.type !== "float") {
    throw new FilterRefusal(`distance must be a number, got: ${arg?.text ?? ""}`);
  }
  const distance = Number(literal.value);
  if (distance >= 0) return distance;
  throw new FilterRefusal(`distance must be non-negative, got: ${arg?.text ?? ""}`);
}
