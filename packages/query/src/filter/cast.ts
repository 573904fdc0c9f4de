/** Constants to the type of what they meet (contract/expressions.md 5.2, 17). */
import type { TemplateValue } from "@elanus/model/contract/proxy";
import { DataType } from "@elanus/model/schema";
import type { Operand, ValueClass } from "./program.ts";
import { classOf, classOfType } from "./program.ts";
import type { Literal } from "./syntax.ts";

/** The literal as a value of that class; undefined when it does not fit. */
export function castTo(kind: ValueClass, literal: Literal): Literal | undefined {
  switch (kind) {
    case "bool":
    case "int":
    case "string":
    case "array":
      return literal.type === kind ? literal : undefined;
    case "float":
      if (literal.type === "int") return { type: "float", value: Number(literal.value) };
      return literal.type === "float" && Number.isFinite(literal.value) ? literal : undefined;
    case "json":
      return literal;
    case "vector":
      return undefined;
  }
}

/** A constant for comparison with `operand`; a whole array casts its elements too. */
export function castFor(operand: Operand, literal: Literal): Literal | undefined {
  const cast = castTo(classOf(operand), literal);
  if (cast?.type !== "array" || operand.kind !== "column") return cast;
  const items = castElements(operand, cast.value);
  return items === undefined ? undefined : { type: "array", value: items };
}

/** Constants as elements of an array field; any constant for JSON. */
export function castElements(operand: Operand, items: readonly Literal[]): readonly Literal[] | undefined {
  const kind = elementClassOf(operand);
  const cast = items.map((item) => castTo(kind, item));
  return cast.every((item) => item !== undefined) ? cast : undefined;
}

export function elementClassOf(operand: Operand): ValueClass {
  return operand.kind === "column" ? classOfType(operand.field.elementType ?? DataType.json) : "json";
}

export function literalOfTemplate(value: TemplateValue): Literal {
  switch (value.kind) {
    case "bool":
      return { type: "bool", value: value.value };
    case "int":
      return { type: "int", value: value.value };
    case "float":
      return { type: "float", value: value.value };
    case "string":
      return { type: "string", value: value.value };
    case "array":
      return { type: "array", value: value.value.map(literalOfTemplate) };
  }
}

/** Byte order of UTF-8, which is code point order. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Order of two constants of the same class; undefined when they have none (NaN, other classes, arrays). */
export function compareLiterals(a: Literal, b: Literal): number | undefined {
  if (a.type === "int" && b.type === "int") return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
  if ((a.type === "int" || a.type === "float") && (b.type === "int" || b.type === "float")) {
    const difference = Number(a.value) - Number(b.value);
    return Number.isNaN(difference) ? (Number(a.value) === Number(b.value) ? 0 : undefined) : difference;
  }
  if (a.type === "string" && b.type === "string") return compareText(a.value, b.value);
  if (a.type === "bool" && b.type === "bool") return Number(a.value) - Number(b.value);
  return undefined;
}
