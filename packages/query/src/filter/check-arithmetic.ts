/** Arithmetic: constants fold, `column op constant` is kept, everything else is refused (contract 5.4, 7.5). */
import type { Operand, Term } from "./program.ts";
import { classOf, literalTypeName, typeNameOf } from "./program.ts";
import { FilterRefusal } from "./syntax.ts";
import type { ArithmeticOperator, BinaryOperator, Literal } from "./syntax.ts";

const OPERATION_NAMES: Readonly<Record<ArithmeticOperator, string>> = {
  "+": "add",
  "-": "subtract",
  "*": "multiply",
  "/": "divide",
  "%": "module",
  "&": "bitand",
  "|": "bitor",
  "^": "bitxor",
};

export interface Texts {
  readonly whole: string;
  readonly left: string;
  readonly right: string;
}

export function combineTerms(operator: BinaryOperator, left: Term, right: Term, texts: Texts): Term {
  if (operator === "<<" || operator === ">>") throw new FilterRefusal(`shift is not supported: ${texts.whole}`);
  if (operator === "**") return power(left, right, texts);
  const arithmetic = operator as ArithmeticOperator;
  if (left.kind === "time" || right.kind === "time") return withInterval(left, right, texts);
  if (left.kind === "predicate" || right.kind === "predicate") throw malformed(arithmetic, texts);
  if (left.kind === "constant" && right.kind === "constant") return foldConstants(arithmetic, left, right, texts);
  if (left.kind === "operand" && right.kind === "operand") {
    throw new FilterRefusal("not supported to do arithmetic operations between multiple fields");
  }
  if (left.kind === "operand" && right.kind === "constant") return applied(arithmetic, left.operand, right, texts);
  if (left.kind === "constant" && right.kind === "operand") {
    if (arithmetic !== "+" && arithmetic !== "*") throw new FilterRefusal("module field is not yet supported");
    return applied(arithmetic, right.operand, left, texts);
  }
  throw malformed(arithmetic, texts);
}

type Constant = Term & { kind: "constant" };

function malformed(operator: BinaryOperator, texts: Texts): FilterRefusal {
  return new FilterRefusal(
    `invalid arithmetic expression, left: ${texts.left}, op: ${operator}, right: ${texts.right}`,
  );
}

/** `ts + INTERVAL 'P1D'`: no field has a time type, so the field is what is wrong. */
function withInterval(left: Term, right: Term, texts: Texts): Term {
  const operand = left.kind === "operand" ? left.operand : right.kind === "operand" ? right.operand : undefined;
  if (operand?.kind !== "column") throw new FilterRefusal(`unsupported expression: ${texts.whole}`);
  throw new FilterRefusal(`field '${operand.field.name}' is not a timestamptz datatype`);
}

function power(left: Term, right: Term, texts: Texts): Term {
  const [base, exponent] = [numberOf(left), numberOf(right)];
  if (base === undefined || exponent === undefined) {
    throw new FilterRefusal(`power can only apply on constants: ${texts.whole}`);
  }
  return { kind: "constant", literal: finite(base ** exponent, texts) };
}

function numberOf(term: Term): number | undefined {
  if (term.kind !== "constant") return undefined;
  return term.literal.type === "int" || term.literal.type === "float" ? Number(term.literal.value) : undefined;
}

function finite(value: number, texts: Texts): Literal {
  if (!Number.isFinite(value)) throw new FilterRefusal(`non-finite constant: ${texts.whole}`);
  return { type: "float", value };
}

function foldConstants(operator: ArithmeticOperator, left: Constant, right: Constant, texts: Texts): Term {
  if (left.template !== undefined || right.template !== undefined) {
    throw new FilterRefusal(`placeholder was not supported between two constants with operator: ${operator}`);
  }
  const [a, b] = [left.literal, right.literal];
  if (a.type === "int" && b.type === "int") {
    return { kind: "constant", literal: { type: "int", value: foldInts(operator, a.value, b.value) } };
  }
  const [x, y] = [numberOf(left), numberOf(right)];
  if (x === undefined || y === undefined) throw malformed(operator, texts);
  return { kind: "constant", literal: finite(foldFloats(operator, x, y, texts), texts) };
}

/** 64-bit two's complement, as rows are computed. */
export function foldInts(operator: ArithmeticOperator, a: bigint, b: bigint): bigint {
  return BigInt.asIntN(64, foldIntsWide(operator, a, b));
}

function foldIntsWide(operator: ArithmeticOperator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
    case "%":
      if (b === 0n) throw new FilterRefusal("division or modulus by zero");
      return operator === "/" ? a / b : a % b;
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
  }
}

function foldFloats(operator: ArithmeticOperator, a: number, b: number, texts: Texts): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      if (b === 0) throw new FilterRefusal("division or modulus by zero");
      return a / b;
    case "%":
      throw new FilterRefusal("modulo can only apply on integer types");
    default:
      throw malformed(operator, texts);
  }
}

/** `operand op constant`. */
function applied(operator: ArithmeticOperator, operand: Operand, constant: Constant, texts: Texts): Term {
  const chain = operand.kind === "arithmetic" ? foldChain(operator, operand, constant) : undefined;
  if (chain !== undefined) return { kind: "operand", operand: chain };
  if (operand.kind === "arithmetic") throw new FilterRefusal("complicated arithmetic operations are not supported");
  const { literal } = constant;
  checkOperandType(operator, operand, literal, texts);
  const zero = (literal.type === "int" && literal.value === 0n) || (literal.type === "float" && literal.value === 0);
  if (zero && (operator === "/" || operator === "%")) throw new FilterRefusal("division or modulus by zero");
  const fromTemplate = constant.template !== undefined;
  return { kind: "operand", operand: { kind: "arithmetic", of: operand, operator, constant: literal, fromTemplate } };
}

function checkOperandType(operator: ArithmeticOperator, operand: Operand, literal: Literal, texts: Texts): void {
  const kind = classOf(operand);
  const cannot = new FilterRefusal(
    `'${OPERATION_NAMES[operator]}' cannot perform arithmetic between ${typeNameOf(operand)} field and ` +
      literalTypeName(literal),
  );
  if (kind !== "int" && kind !== "float" && kind !== "json") throw cannot;
  if (operand.kind === "json" && operand.steps.length === 0) throw cannot;
  if (literal.type !== "int" && literal.type !== "float") throw cannot;
  if (literal.type === "float" && !Number.isFinite(literal.value)) throw malformed(operator, texts);
  if (operator === "%" && (kind === "float" || literal.type === "float")) {
    throw new FilterRefusal("modulo can only apply on integer types");
  }
  const bitwise = operator === "&" || operator === "|" || operator === "^";
  if (kind === "int" || bitwise) {
    if (literal.type === "float" || kind === "float") throw cannot;
  }
}

function additive(operator: ArithmeticOperator): boolean {
  return operator === "+" || operator === "-";
}

/** `a + 1 - 2` and `a * 2 * 3` on integers are one step; a template in the chain keeps it apart, hence refused. */
function foldChain(
  operator: ArithmeticOperator,
  inner: Operand & { kind: "arithmetic" },
  constant: Constant,
): Operand | undefined {
  if (classOf(inner) !== "int" || inner.fromTemplate || constant.template !== undefined) return undefined;
  const [a, b] = [inner.constant, constant.literal];
  if (a.type !== "int" || b.type !== "int") return undefined;
  if (additive(operator) && additive(inner.operator)) {
    const sum = BigInt.asIntN(
      64,
      (inner.operator === "+" ? a.value : -a.value) + (operator === "+" ? b.value : -b.value),
    );
    return { ...inner, operator: "+", constant: { type: "int", value: sum } };
  }
  if (operator !== inner.operator || operator === "/" || operator === "%") return undefined;
  return { ...inner, constant: { type: "int", value: foldInts(operator, a.value, b.value) } };
}
