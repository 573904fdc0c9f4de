/**
 * From a flat row of operands and operators to a tree. The grammar reads operators of all levels in one loop and
 * this module orders them (contract/expressions.md 3), so that a deep ladder of grammar rules, and its cost on
 * every nested bracket, is not needed, and a chain of ten thousand terms needs no recursion.
 */
import { invariant } from "@elanus/model/outcome";
import { checkDepth } from "./syntax.ts";
import type { BinaryOperator, Expression, PatternOperator, UnaryOperator } from "./syntax.ts";

export type Item =
  | { readonly kind: "operand"; readonly expression: Expression }
  | { readonly kind: "prefix"; readonly operator: string; readonly start: number }
  | { readonly kind: "infix"; readonly operator: string };

/** Tightest first; a word and its `not` form stand together. */
const LEVELS: readonly (readonly string[])[] = [
  ["exists", "like", "not like", "=~", "!~"],
  ["**"],
  ["unary"],
  ["*", "/", "%"],
  ["+", "-"],
  ["<<", ">>"],
  ["in", "not in"],
  ["<", "<=", ">", ">="],
  ["==", "!="],
  ["&"],
  ["^"],
  ["|"],
  ["and"],
  ["or"],
];
const INFIX_LEVEL: ReadonlyMap<string, number> = new Map(
  LEVELS.flatMap((names, level) => names.map((n) => [n, level])),
);
const UNARY_LEVEL: number = INFIX_LEVEL.get("unary") ?? 0;
const RELATION_LEVEL: number = INFIX_LEVEL.get("<") ?? 0;

interface Pending {
  readonly level: number;
  readonly operator: string;
  readonly prefixStart: number | undefined;
}

export function arrange(items: readonly Item[]): Expression {
  const operands: Expression[] = [];
  const pending: Pending[] = [];
  for (const item of items) {
    if (item.kind === "operand") {
      operands.push(item.expression);
    } else if (item.kind === "prefix") {
      const level = item.operator === "exists" ? 0 : UNARY_LEVEL;
      pending.push({ level, operator: item.operator, prefixStart: item.start });
    } else {
      const level = INFIX_LEVEL.get(item.operator);
      invariant(level !== undefined, `operator ${item.operator} has a level`);
      reduceWhile(operands, pending, level);
      pending.push({ level, operator: item.operator, prefixStart: undefined });
    }
  }
  reduceWhile(operands, pending, LEVELS.length);
  const [tree] = operands;
  invariant(tree !== undefined && operands.length === 1, "operators and operands alternate");
  return tree;
}

/** Applies every pending operator that binds more tightly than `level`; equal infix operators wait to be a chain. */
function reduceWhile(operands: Expression[], pending: Pending[], level: number): void {
  for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
    const prefix = top.prefixStart !== undefined;
    if (top.level > level || (top.level === level && !prefix)) return;
    if (top.prefixStart !== undefined) {
      pending.pop();
      operands.push(prefixed(top.operator, top.prefixStart, popOperand(operands)));
    } else {
      reduceChain(operands, pending, top.level);
    }
  }
}

/**
 * Takes the run of infix operators of one level from the top of the stack at once: `and`/`or` become one node with
 * many operands, three relations may be a range, everything else folds from the left.
 */
function reduceChain(operands: Expression[], pending: Pending[], level: number): void {
  const operators: string[] = [];
  for (let top = pending.at(-1); top?.level === level && top.prefixStart === undefined; top = pending.at(-1)) {
    operators.push(top.operator);
    pending.pop();
  }
  operators.reverse();
  const terms = operands.splice(operands.length - operators.length - 1);
  operands.push(combine(operators, terms, level));
}

function combine(operators: readonly string[], terms: readonly Expression[], level: number): Expression {
  const [first = ""] = operators;
  if (first === "and" || first === "or") return logical(first, terms);
  let tree = terms[0];
  let next = 1;
  if (level === RELATION_LEVEL) {
    const range = rangeOf(operators, terms);
    if (range !== undefined) [tree, next] = [range, 3];
  }
  invariant(tree !== undefined, "a chain has operands");
  for (; next < terms.length; next++) {
    const right = terms[next];
    const operator = operators[next - 1];
    invariant(right !== undefined && operator !== undefined, "a chain alternates");
    tree = infix(operator, tree, right);
  }
  return tree;
}

function popOperand(operands: Expression[]): Expression {
  const operand = operands.pop();
  invariant(operand !== undefined, "a prefix operator has an operand");
  return operand;
}

function logical(operator: "and" | "or", operands: readonly Expression[]): Expression {
  const depth = checkDepth(1 + operands.reduce((most, o) => Math.max(most, o.depth), 0));
  return { kind: "logical", operator, operands, depth, start: operands[0]?.start ?? 0, end: operands.at(-1)?.end ?? 0 };
}

function prefixed(operator: string, start: number, operand: Expression): Expression {
  const span = { start, end: operand.end, depth: checkDepth(operand.depth + 1) };
  if (operator === "exists") return { kind: "exists", operand, ...span };
  return { kind: "unary", operator: operator as UnaryOperator, operand, ...span };
}

function infix(operator: string, left: Expression, right: Expression): Expression {
  const depth = checkDepth(1 + Math.max(left.depth, right.depth));
  const span = { start: left.start, end: right.end, depth };
  switch (operator) {
    case "in":
    case "not in":
      return { kind: "in", negated: operator === "not in", left, right, ...span };
    case "like":
    case "not like":
    case "=~":
    case "!~":
      return { kind: "match", operator: operator satisfies PatternOperator, left, right, ...span };
    default:
      return { kind: "binary", operator: operator as BinaryOperator, left, right, ...span };
  }
}

/** `a < f <= b` and `a > f >= b`, where the middle is written as a name. */
function rangeOf(operators: readonly string[], terms: readonly Expression[]): Expression | undefined {
  const [first, second] = operators;
  const [left, middle, right] = terms;
  if (first === undefined || second === undefined || left === undefined || right === undefined) return undefined;
  if (middle === undefined || (middle.kind !== "name" && middle.kind !== "call" && middle.kind !== "element"))
    return undefined;
  if (first[0] !== second[0]) return undefined;
  const ascending = first[0] === "<";
  const [lower, upper] = ascending ? [left, right] : [right, left];
  const [lowerSign, upperSign] = ascending ? [first, second] : [second, first];
  return {
    kind: "range",
    lower,
    lowerInclusive: lowerSign.length === 2,
    middle,
    upper,
    upperInclusive: upperSign.length === 2,
    start: left.start,
    end: right.end,
    depth: checkDepth(1 + Math.max(left.depth, right.depth)),
  };
}
