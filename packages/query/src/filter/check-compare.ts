/** Comparisons, ranges, `in`, patterns: typing rules of contract/expressions.md 5.3, 7 and 8. */
import { castFor, castTo, compareLiterals } from "./cast.ts";
import { showLiteral } from "./literals.ts";
import { classOf, typeName, typeNameOf } from "./program.ts";
import type { Comparison, Node, Operand, Term, ValueClass } from "./program.ts";
import { checkRegex } from "./regex-syntax.ts";
import { FilterRefusal } from "./syntax.ts";
import type { Literal, PatternOperator, Relation } from "./syntax.ts";

const MIRRORED: Readonly<Record<Relation, Relation>> = {
  "==": "==",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

/** Positive comparisons stay, `!=` becomes a negated `==`. */
function signed(operator: Relation, make: (operator: Comparison) => Node): Node {
  return operator === "!=" ? { kind: "not", node: make("==") } : make(operator);
}

export function compareTerms(operator: Relation, left: Term, right: Term, text: string): Term {
  if (left.kind === "time" || right.kind === "time") throw timeRefusal(left, right, text);
  if (left.kind === "constant" && right.kind === "constant") return compareConstants(operator, left, right, text);
  if (left.kind === "operand" && right.kind === "constant") {
    return { kind: "predicate", node: compareWithConstant(operator, left.operand, right.literal, text) };
  }
  if (left.kind === "constant" && right.kind === "operand") {
    return { kind: "predicate", node: compareWithConstant(MIRRORED[operator], right.operand, left.literal, text) };
  }
  if (left.kind === "operand" && right.kind === "operand") {
    return { kind: "predicate", node: compareOperands(operator, left.operand, right.operand, text) };
  }
  throw incompatible(text);
}

function incompatible(text: string): FilterRefusal {
  return new FilterRefusal(`comparison operations cannot be applied to two incompatible operands: ${text}`);
}

function timeRefusal(left: Term, right: Term, text: string): FilterRefusal {
  const operand = left.kind === "operand" ? left.operand : right.kind === "operand" ? right.operand : undefined;
  if (operand?.kind !== "column") return new FilterRefusal(`unsupported expression: ${text}`);
  return new FilterRefusal(`field '${operand.field.name}' is not a timestamptz datatype`);
}

function compareConstants(
  operator: Relation,
  left: Term & { kind: "constant" },
  right: Term & { kind: "constant" },
  text: string,
): Term {
  if (left.template !== undefined || right.template !== undefined) {
    throw new FilterRefusal(`placeholder was not supported between two constants with operator: ${operator}`);
  }
  const [a, b] = [left.literal, right.literal];
  const order = compareLiterals(a, b);
  if (order === undefined) throw incompatible(text);
  return { kind: "constant", literal: { type: "bool", value: holds(operator, order) } };
}

function holds(operator: Relation, order: number): boolean {
  switch (operator) {
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}

function compareWithConstant(operator: Relation, operand: Operand, literal: Literal, text: string): Node {
  const kind = classOf(operand);
  if (isJsonRoot(operand)) throw incompatible(text);
  if (kind === "json" && operand.kind === "arithmetic" && literal.type !== "int" && literal.type !== "float") {
    throw incompatible(text);
  }
  if (literal.type === "array" && (kind === "json" || kind === "array") && operator !== "==" && operator !== "!=") {
    throw incompatible(text);
  }
  const cast = castFor(operand, literal);
  if (cast === undefined || (cast.type === "float" && !Number.isFinite(cast.value)))
    throw castRefusal(operand, literal);
  return signed(operator, (positive) => ({ kind: "compare", operator: positive, operand, literal: cast }));
}

function castRefusal(operand: Operand, literal: Literal): FilterRefusal {
  if (classOf(operand) === "vector") {
    return new FilterRefusal(`comparisons between ${typeNameOf(operand)} and ${literal.type} are not supported`);
  }
  return new FilterRefusal(`cannot cast value to ${typeNameOf(operand)}, value: ${showLiteral(literal)}`);
}

function isJsonRoot(operand: Operand): boolean {
  if (operand.kind === "arithmetic") return isJsonRoot(operand.of);
  return operand.kind === "json" && operand.steps.length === 0;
}

function numeric(kind: ValueClass): boolean {
  return kind === "int" || kind === "float";
}

function compareOperands(operator: Relation, left: Operand, right: Operand, text: string): Node {
  const [a, b] = [classOf(left), classOf(right)];
  if (a === "json" || b === "json") throw new FilterRefusal("two column comparison with JSON type is not supported");
  if (a === "array" || b === "array") throw new FilterRefusal("can not comparisons array fields directly");
  if (left.kind !== "column" || right.kind !== "column") {
    const combined = left.kind === "arithmetic" || right.kind === "arithmetic";
    throw new FilterRefusal(
      combined ? "not supported to combine multiple fields" : "only comparison between two fields is supported",
    );
  }
  if (a === "vector" || b === "vector" || !(a === b || (numeric(a) && numeric(b)))) {
    const names = [typeName(left.field.type), typeName(right.field.type)];
    throw new FilterRefusal(`comparisons between ${names[0]} and ${names[1]} are not supported: ${text}`);
  }
  const fields = { left: left.field, right: right.field };
  return signed(operator, (positive) => ({ kind: "columns", operator: positive, ...fields }));
}

export interface Bounds {
  readonly lower: Term;
  readonly lowerText: string;
  readonly lowerInclusive: boolean;
  readonly upper: Term;
  readonly upperText: string;
  readonly upperInclusive: boolean;
}

export function checkRange(middle: Term, bounds: Bounds, text: string): Node {
  if (bounds.lower.kind === "time" || bounds.upper.kind === "time") throw timeRefusal(middle, bounds.lower, text);
  if (middle.kind !== "operand" || middle.operand.kind === "arithmetic") {
    throw new FilterRefusal(`range operations are only supported on single fields now, got: ${text}`);
  }
  if (bounds.lower.kind !== "constant") {
    throw new FilterRefusal(`lowerbound cannot be a non-const expression: ${bounds.lowerText}`);
  }
  if (bounds.upper.kind !== "constant") {
    throw new FilterRefusal(`upperbound cannot be a non-const expression: ${bounds.upperText}`);
  }
  const { operand } = middle;
  const kind = classOf(operand);
  if (kind === "bool") throw new FilterRefusal("invalid range operations on boolean expr");
  if (kind === "array" || kind === "vector" || isJsonRoot(operand)) throw new FilterRefusal("invalid range operations");
  const [lower, upper] = castBounds(operand, bounds.lower.literal, bounds.upper.literal);
  const order = compareLiterals(lower, upper);
  if (order === undefined) throw new FilterRefusal("invalid range operations");
  if (order > 0 || (order === 0 && !(bounds.lowerInclusive && bounds.upperInclusive))) {
    throw new FilterRefusal("invalid range: lowerbound is greater than upperbound");
  }
  const inclusive = { lowerInclusive: bounds.lowerInclusive, upperInclusive: bounds.upperInclusive };
  return { kind: "range", operand, lower, upper, ...inclusive };
}

function castBounds(operand: Operand, lower: Literal, upper: Literal): [Literal, Literal] {
  const kind = classOf(operand);
  if (kind === "json") {
    for (const bound of [lower, upper]) {
      if (bound.type === "bool" || bound.type === "array") throw new FilterRefusal("invalid range operations");
    }
    const floats = lower.type === "float" || upper.type === "float";
    if (!floats) return [lower, upper];
    const pair = [castTo("float", lower), castTo("float", upper)] as const;
    if (pair[0] === undefined || pair[1] === undefined) throw new FilterRefusal("invalid range operations");
    return [pair[0], pair[1]];
  }
  const cast = (bound: Literal): Literal => {
    const value = castTo(kind, bound);
    if (value === undefined) throw castRefusal(operand, bound);
    return value;
  };
  return [cast(lower), cast(upper)];
}

/** Left side of `in`. */
export function checkMember(left: Term, text: string): Operand {
  if (left.kind === "constant") {
    throw new FilterRefusal(`'term' can only be used on non-const expression, but got: ${text}`);
  }
  const wrong = new FilterRefusal(`'term' can only be used on single field, but got: ${text}`);
  if (left.kind !== "operand") throw wrong;
  const { operand } = left;
  const kind = classOf(operand);
  if (operand.kind === "arithmetic" || operand.kind === "length" || isJsonRoot(operand)) throw wrong;
  if (kind === "array" || kind === "vector") throw wrong;
  return operand;
}

export function castMember(operand: Operand, literal: Literal, text: string): Literal {
  const cast = castFor(operand, literal);
  if (cast === undefined) {
    throw new FilterRefusal(`value '${text}' in list cannot be casted to ${typeNameOf(operand)}`);
  }
  return cast;
}

/** `like`, `=~` and their negations. */
export function checkPattern(operator: PatternOperator, left: Term, right: Term, rightText: string): Node {
  const word = operator === "like" || operator === "not like" ? "like" : "regex";
  if (left.kind === "constant" || left.kind === "time") {
    throw new FilterRefusal(`the left operand of ${word} is invalid`);
  }
  if (left.kind !== "operand" || left.operand.kind === "arithmetic") {
    throw new FilterRefusal(`${word} operation on complicated expr is unsupported`);
  }
  const { operand } = left;
  const kind = classOf(operand);
  if ((kind !== "string" && kind !== "json") || isJsonRoot(operand)) {
    throw new FilterRefusal(`${word} operation on non-string or no-json field is unsupported`);
  }
  const pattern = patternOf(word, right, rightText);
  const node: Node =
    word === "like" ? { kind: "like", operand, pattern } : { kind: "regex", operand, pattern: checkRegex(pattern) };
  return operator === "!~" || operator === "not like" ? { kind: "not", node } : node;
}

function patternOf(word: string, right: Term, text: string): string {
  if (right.kind === "constant") {
    if (right.literal.type === "string") return right.literal.value;
    if (right.template !== undefined) {
      throw new FilterRefusal(`the value of ${word} expression template variable {${right.template}} is not string`);
    }
  }
  throw new FilterRefusal(`the right operand of ${word} is not a string: ${text}`);
}
