/** A filter with names and types resolved: what `encode.ts` writes and native code evaluates. */
import { DataType } from "@elanus/model/schema";
import type { FieldSchema } from "@elanus/model/schema";
import type { ArithmeticOperator, Literal } from "./syntax.ts";

export type Step = string | number;

/** Something that has a value in each row. */
export type Operand =
  | { readonly kind: "column"; readonly field: FieldSchema }
  /** No steps: the whole document. */
  | { readonly kind: "json"; readonly field: FieldSchema; readonly steps: readonly Step[] }
  | { readonly kind: "element"; readonly field: FieldSchema; readonly index: number }
  | { readonly kind: "length"; readonly of: Operand }
  | {
      readonly kind: "arithmetic";
      readonly of: Operand;
      readonly operator: ArithmeticOperator;
      readonly constant: Literal;
      readonly fromTemplate: boolean;
    };

/** `!=`, `not in`, `!~` are `not` around the positive form: that gives the contract's polarity for JSON too. */
export type Comparison = "==" | "<" | "<=" | ">" | ">=";

export type Node =
  | { readonly kind: "constant"; readonly value: boolean }
  | { readonly kind: "and" | "or"; readonly nodes: readonly Node[] }
  | { readonly kind: "not"; readonly node: Node }
  | { readonly kind: "isNull"; readonly field: FieldSchema }
  | { readonly kind: "exists"; readonly operand: Operand }
  | { readonly kind: "compare"; readonly operator: Comparison; readonly operand: Operand; readonly literal: Literal }
  | {
      readonly kind: "range";
      readonly operand: Operand;
      readonly lower: Literal;
      readonly lowerInclusive: boolean;
      readonly upper: Literal;
      readonly upperInclusive: boolean;
    }
  | { readonly kind: "in"; readonly operand: Operand; readonly items: readonly Literal[] }
  | { readonly kind: "like" | "regex"; readonly operand: Operand; readonly pattern: string }
  | { readonly kind: "columns"; readonly operator: Comparison; readonly left: FieldSchema; readonly right: FieldSchema }
  | {
      readonly kind: "contains";
      readonly mode: "any" | "all";
      readonly operand: Operand;
      readonly items: readonly Literal[];
    }
  | {
      readonly kind: "spatial";
      readonly relation: SpatialRelation;
      readonly field: FieldSchema;
      /** Well-known text; of `valid` empty. */
      readonly geometry: string;
      /** Metres; of `near` only. */
      readonly distance: number;
    };

/** In the order of their numbers in the encoded program. */
export const SPATIAL_RELATIONS = [
  "equals",
  "touches",
  "overlaps",
  "crosses",
  "contains",
  "intersects",
  "within",
  "near",
  "valid",
] as const;
export type SpatialRelation = (typeof SPATIAL_RELATIONS)[number];

/** What a sub-expression is once names are known. */
export type Term =
  | { readonly kind: "constant"; readonly literal: Literal; readonly template?: string }
  | { readonly kind: "operand"; readonly operand: Operand }
  | { readonly kind: "predicate"; readonly node: Node }
  | { readonly kind: "time"; readonly word: "iso" | "interval" };

/** A function call whose arguments are checked; `text` is how they were written. */
export interface CheckedArgument {
  readonly label?: string;
  readonly term: Term;
  readonly text: string;
}

export interface Call {
  readonly name: string;
  readonly args: readonly CheckedArgument[];
  readonly text: string;
}

/** How the values of an operand compare. */
export type ValueClass = "bool" | "int" | "float" | "string" | "json" | "array" | "vector";

export function classOf(operand: Operand): ValueClass {
  switch (operand.kind) {
    case "column":
      return classOfType(operand.field.type);
    case "json":
      return "json";
    case "element":
      return classOfType(operand.field.elementType ?? DataType.json);
    case "length":
      return "int";
    case "arithmetic":
      return classOf(operand.of);
  }
}

export function classOfType(type: DataType): ValueClass {
  switch (type) {
    case DataType.bool:
      return "bool";
    case DataType.int8:
    case DataType.int16:
    case DataType.int32:
    case DataType.int64:
      return "int";
    case DataType.float:
    case DataType.double:
      return "float";
    case DataType.varChar:
      return "string";
    case DataType.json:
      return "json";
    case DataType.array:
      return "array";
    default:
      return "vector";
  }
}

const TYPE_NAMES: ReadonlyMap<DataType, string> = new Map([
  [DataType.bool, "Bool"],
  [DataType.int8, "Int8"],
  [DataType.int16, "Int16"],
  [DataType.int32, "Int32"],
  [DataType.int64, "Int64"],
  [DataType.float, "Float"],
  [DataType.double, "Double"],
  [DataType.varChar, "VarChar"],
  [DataType.array, "Array"],
  [DataType.json, "JSON"],
  [DataType.geometry, "Geometry"],
  [DataType.binaryVector, "BinaryVector"],
  [DataType.floatVector, "FloatVector"],
  [DataType.float16Vector, "Float16Vector"],
  [DataType.bfloat16Vector, "BFloat16Vector"],
  [DataType.sparseFloatVector, "SparseFloatVector"],
  [DataType.int8Vector, "Int8Vector"],
]);

/** The name of a type in error texts. */
export function typeName(type: DataType): string {
  return TYPE_NAMES.get(type) ?? "None";
}

export function typeNameOf(operand: Operand): string {
  switch (operand.kind) {
    case "column":
      return typeName(operand.field.type);
    case "json":
      return "JSON";
    case "element":
      return typeName(operand.field.elementType ?? DataType.json);
    case "length":
      return "Int64";
    case "arithmetic":
      return typeNameOf(operand.of);
  }
}

export function literalTypeName(literal: Literal): string {
  switch (literal.type) {
    case "bool":
      return "Bool";
    case "int":
      return "Int64";
    case "float":
      return "Double";
    case "string":
      return "VarChar";
    case "array":
      return "Array";
  }
}
