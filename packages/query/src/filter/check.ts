/** From syntax to a typed program: names, types, constants, templates. */
import type { TemplateValue } from "@elanus/model/contract/proxy";
import type { FieldId } from "@elanus/model/id";
import type { CollectionSchema } from "@elanus/model/schema";
import { literalOfTemplate } from "./cast.ts";
import { combineTerms } from "./check-arithmetic.ts";
import { builtinName, checkCall, notYet } from "./check-call.ts";
import { castMember, checkMember, checkPattern, checkRange, compareTerms } from "./check-compare.ts";
import type { Node, Term } from "./program.ts";
import { classOf, literalTypeName, typeNameOf } from "./program.ts";
import { resolveName } from "./resolve.ts";
import { combine } from "./simplify.ts";
import { fitsInt64 } from "./literals.ts";
import { FilterRefusal } from "./syntax.ts";
import type { Expression, Literal, Relation, UnaryOperator } from "./syntax.ts";

export interface Scope {
  readonly schema: CollectionSchema;
  /** Fields that may be named; undefined: all. */
  readonly loaded: ReadonlySet<FieldId> | undefined;
  readonly templates: ReadonlyMap<string, TemplateValue>;
  /** The whole filter, for quoting parts of it in errors. */
  readonly text: string;
}

type Kind<K extends Expression["kind"]> = Expression & { readonly kind: K };

const RELATIONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);

/** @throws FilterRefusal */
export function checkFilter(expression: Expression, scope: Scope): Node {
  const term = checkTerm(expression, scope);
  const node = predicateOf(term);
  if (node !== undefined) return node;
  const type =
    term.kind === "operand"
      ? typeNameOf(term.operand)
      : term.kind === "constant"
        ? literalTypeName(term.literal)
        : "None";
  throw new FilterRefusal(`predicate is not a boolean expression: ${scope.text}, data type: ${type}`, { bare: true });
}

function quote(expression: Expression, scope: Scope): string {
  return scope.text.slice(expression.start, expression.end);
}

/** A bare boolean column is no predicate, a boolean constant is. */
function predicateOf(term: Term): Node | undefined {
  if (term.kind === "predicate") return term.node;
  if (term.kind === "constant" && term.literal.type === "bool") return { kind: "constant", value: term.literal.value };
  return undefined;
}

function checkTerm(expression: Expression, scope: Scope): Term {
  const text = quote(expression, scope);
  switch (expression.kind) {
    case "literal":
      return { kind: "constant", literal: expression.literal };
    case "name":
      return { kind: "operand", operand: resolveName(scope, expression.name, expression.brackets, text) };
    case "template":
      return { kind: "constant", literal: templateValue(expression.name, scope), template: expression.name };
    case "list":
      return { kind: "constant", literal: checkList(expression, scope) };
    case "unary":
      if (isSample(expression.operand)) {
        throw new FilterRefusal("random sample expression cannot be used in unary expression");
      }
      return checkUnary(expression.operator, checkTerm(expression.operand, scope), text);
    case "binary":
      return checkBinary(expression, scope, text);
    case "logical":
      return checkLogical(expression, scope);
    case "range":
      return { kind: "predicate", node: checkRangeOf(expression, scope, text) };
    case "in":
      return { kind: "predicate", node: checkIn(expression, scope) };
    case "match": {
      const [left, right] = [checkTerm(expression.left, scope), checkTerm(expression.right, scope)];
      const node = checkPattern(expression.operator, left, right, quote(expression.right, scope));
      return { kind: "predicate", node };
    }
    case "isNull":
      return { kind: "predicate", node: checkIsNull(expression, scope, text) };
    case "exists":
      return {
        kind: "predicate",
        node: checkExists(checkTerm(expression.operand, scope), quote(expression.operand, scope)),
      };
    case "call":
      return checkCallOf(expression, scope, text);
    case "time":
      return { kind: "time", word: expression.word };
    case "element":
      throw new FilterRefusal(`${text} can only be used inside an element filter expression`);
  }
}

function templateValue(name: string, scope: Scope): Literal {
  const value = scope.templates.get(name);
  if (value === undefined)
    throw new FilterRefusal(`the value of expression template variable name {${name}} is not found`);
  const literal = literalOfTemplate(value);
  if (!shallow(literal, TEMPLATE_DEPTH_MAX)) {
    throw new FilterRefusal(`the value of expression template variable {${name}} is nested too deeply`);
  }
  if (!finiteLiteral(literal)) {
    throw new FilterRefusal(`the value of expression template variable {${name}} is not a finite number`);
  }
  return literal;
}

/** Arrays in arrays; native code has the same bound. */
const TEMPLATE_DEPTH_MAX = 32;

function shallow(literal: Literal, levels: number): boolean {
  return literal.type !== "array" || (levels > 0 && literal.value.every((item) => shallow(item, levels - 1)));
}

function finiteLiteral(literal: Literal): boolean {
  if (literal.type === "array") return literal.value.every(finiteLiteral);
  if (literal.type === "int") return fitsInt64(literal.value);
  return literal.type !== "float" || Number.isFinite(literal.value);
}

function checkList(expression: Kind<"list">, scope: Scope): Literal {
  const value = expression.items.map((item) => {
    const term = item.kind === "template" ? undefined : checkTerm(item, scope);
    if (term?.kind === "constant") return term.literal;
    throw new FilterRefusal(`array element type must be generic value, but got: ${quote(item, scope)}`);
  });
  return { type: "array", value };
}

function checkUnary(operator: UnaryOperator, operand: Term, text: string): Term {
  if (operator === "~") throw new FilterRefusal(`unsupported expression: ${text}`);
  if (operator === "not" || operator === "!") {
    const node = predicateOf(operand);
    if (node === undefined) throw new FilterRefusal(`${operator} op can only be applied on boolean expression`);
    if (operand.kind === "constant" && operand.literal.type === "bool") {
      return { kind: "constant", literal: { type: "bool", value: !operand.literal.value } };
    }
    return { kind: "predicate", node: negated(node) };
  }
  if (operand.kind !== "constant" || operand.template !== undefined) {
    throw new FilterRefusal(`${operator} op can only be applied on constants: ${text}`);
  }
  const { literal } = operand;
  if (literal.type !== "int" && literal.type !== "float") {
    throw new FilterRefusal(`${operator} op can only be applied on integer or floating numbers: ${text}`);
  }
  if (operator === "+") return operand;
  if (literal.type === "float") return { kind: "constant", literal: { type: "float", value: -literal.value } };
  return { kind: "constant", literal: { type: "int", value: BigInt.asIntN(64, -literal.value) } };
}

function negated(node: Node): Node {
  if (node.kind === "not") return node.node;
  return node.kind === "constant" ? { kind: "constant", value: !node.value } : { kind: "not", node };
}

function checkBinary(expression: Kind<"binary">, scope: Scope, text: string): Term {
  const [left, right] = [checkTerm(expression.left, scope), checkTerm(expression.right, scope)];
  const { operator } = expression;
  if (RELATIONS.has(operator)) return compareTerms(operator as Relation, left, right, text);
  const texts = { whole: text, left: quote(expression.left, scope), right: quote(expression.right, scope) };
  return combineTerms(operator, left, right, texts);
}

function isSample(expression: Expression): boolean {
  return expression.kind === "call" && builtinName(expression.name) === "random_sample";
}

/** A sample can only be taken of what the rest of an `and` has left. */
function checkSamples({ operator, operands }: Kind<"logical">): void {
  const first = operands.findIndex(isSample);
  if (first < 0) return;
  if (operator === "or") throw new FilterRefusal("random sample expression cannot be used in logical and expression");
  if (first < operands.length - 1) {
    throw new FilterRefusal("random sample expression can only be the last expression in the logical and expression");
  }
}

/** Constants fold away, after every operand has been checked. */
function checkLogical(expression: Kind<"logical">, scope: Scope): Term {
  const { operator } = expression;
  checkSamples(expression);
  const nodes: Node[] = [];
  for (const operand of expression.operands) {
    const node = predicateOf(checkTerm(operand, scope));
    if (node === undefined) throw new FilterRefusal(`'${operator}' can only be used between boolean expressions`);
    nodes.push(node);
  }
  const node = combine(operator, nodes);
  if (node.kind !== "constant") return { kind: "predicate", node };
  return { kind: "constant", literal: { type: "bool", value: node.value } };
}

function checkRangeOf(expression: Kind<"range">, scope: Scope, text: string): Node {
  const bounds = {
    lower: checkTerm(expression.lower, scope),
    lowerText: quote(expression.lower, scope),
    lowerInclusive: expression.lowerInclusive,
    upper: checkTerm(expression.upper, scope),
    upperText: quote(expression.upper, scope),
    upperInclusive: expression.upperInclusive,
  };
  return checkRange(checkTerm(expression.middle, scope), bounds, text);
}

function checkIn(expression: Kind<"in">, scope: Scope): Node {
  const { left, right } = expression;
  if (left.kind === "list" && left.items.length >= 2) {
    throw new FilterRefusal("tuple 'in' is not supported yet", { notImplemented: "tuple membership" });
  }
  const operand = checkMember(checkTerm(left, scope), quote(left, scope));
  const items = memberItems(right, scope).map(({ literal, text }) => castMember(operand, literal, text));
  const node: Node = { kind: "in", operand, items };
  return expression.negated ? { kind: "not", node } : node;
}

function memberItems(right: Expression, scope: Scope): { literal: Literal; text: string }[] {
  if (right.kind === "list") {
    return right.items.map((item) => {
      const text = quote(item, scope);
      const term = item.kind === "template" ? undefined : checkTerm(item, scope);
      if (term?.kind === "constant") return { literal: term.literal, text };
      throw new FilterRefusal(`value '${text}' in list cannot be a non-const expression`);
    });
  }
  if (right.kind !== "template") {
    throw new FilterRefusal(`the right-hand side of 'in' must be a list, but got: ${quote(right, scope)}`);
  }
  const value = templateValue(right.name, scope);
  if (value.type !== "array") {
    throw new FilterRefusal(`the value of term expression template variable {${right.name}} is not array`);
  }
  return value.value.map((literal) => ({ literal, text: String(literal.value) }));
}

function checkIsNull(expression: Kind<"isNull">, scope: Scope, text: string): Node {
  const term = checkTerm(expression.operand, scope);
  const operand = term.kind === "operand" ? term.operand : undefined;
  const sign = (node: Node): Node => (expression.negated ? negated(node) : node);
  if (operand?.kind === "column") return sign({ kind: "isNull", field: operand.field });
  if (operand?.kind !== "json") throw new FilterRefusal(`unsupported expression: ${text}`);
  if (operand.steps.length === 0) return sign({ kind: "isNull", field: operand.field });
  return sign({ kind: "not", node: { kind: "exists", operand } });
}

function checkExists(term: Term, text: string): Node {
  if (term.kind !== "operand" || term.operand.kind === "arithmetic" || term.operand.kind === "length") {
    throw new FilterRefusal(`exists operations are only supported on single fields now, got: ${text}`);
  }
  const { operand } = term;
  if (operand.kind !== "json" || classOf(operand) !== "json") {
    throw new FilterRefusal(`exists operations are only supportted on json field, got:${typeNameOf(operand)}`);
  }
  if (operand.steps.length === 0) throw new FilterRefusal("exists operations are only supportted on json key");
  return { kind: "exists", operand };
}

function checkCallOf(expression: Kind<"call">, scope: Scope, text: string): Term {
  const later = notYet(expression.name.toLowerCase());
  if (later !== undefined) throw new FilterRefusal(`${later} is not supported yet`, { notImplemented: later });
  const args = expression.args.map(({ label, value }) => ({
    ...(label === undefined ? {} : { label }),
    term: checkTerm(value, scope),
    text: quote(value, scope),
  }));
  return checkCall({ name: expression.name, args, text });
}
