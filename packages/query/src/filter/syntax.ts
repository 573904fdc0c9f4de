/** The shape of a filter as written, before names and types are known. Spans are offsets into the text. */

/** Nested brackets, unary operators and operator chains above this are refused. */
export const NESTING_MAX = 256;

export type Literal =
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "int"; readonly value: bigint }
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly value: readonly Literal[] };

export type Relation = "==" | "!=" | "<" | "<=" | ">" | ">=";
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^";
export type BinaryOperator = Relation | ArithmeticOperator | "<<" | ">>" | "**";
export type UnaryOperator = "+" | "-" | "~" | "!" | "not";
export type PatternOperator = "like" | "not like" | "=~" | "!~";

/** One bracket after a name, as written: `quoted` tells `["k"]` from `[k]`. */
export type Bracket =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "index"; readonly index: bigint }
  | { readonly kind: "bare"; readonly text: string };

interface Spanned {
  readonly start: number;
  readonly end: number;
  /** Levels of operators below this node. */
  readonly depth: number;
}

export type Expression = Spanned &
  (
    | { readonly kind: "literal"; readonly literal: Literal }
    | { readonly kind: "name"; readonly name: string; readonly brackets: readonly Bracket[] }
    | { readonly kind: "template"; readonly name: string }
    | { readonly kind: "list"; readonly items: readonly Expression[] }
    | { readonly kind: "unary"; readonly operator: UnaryOperator; readonly operand: Expression }
    | {
        readonly kind: "binary";
        readonly operator: BinaryOperator;
        readonly left: Expression;
        readonly right: Expression;
      }
    | { readonly kind: "logical"; readonly operator: "and" | "or"; readonly operands: readonly Expression[] }
    | RangeShape
    | { readonly kind: "in"; readonly negated: boolean; readonly left: Expression; readonly right: Expression }
    | {
        readonly kind: "match";
        readonly operator: PatternOperator;
        readonly left: Expression;
        readonly right: Expression;
      }
    | { readonly kind: "isNull"; readonly negated: boolean; readonly operand: Expression }
    | { readonly kind: "exists"; readonly operand: Expression }
    | { readonly kind: "call"; readonly name: string; readonly args: readonly Argument[] }
    /** `iso "…"` and `interval "…"`. */
    | { readonly kind: "time"; readonly word: "iso" | "interval"; readonly text: string }
    /** `$`, `$[sub]`: an element inside an element predicate. */
    | { readonly kind: "element" }
  );

/** `lower < middle <= upper`, already turned so that the smaller side comes first. */
interface RangeShape {
  readonly kind: "range";
  readonly lower: Expression;
  readonly lowerInclusive: boolean;
  readonly middle: Expression;
  readonly upper: Expression;
  readonly upperInclusive: boolean;
}

export interface Argument {
  /** `minimum_should_match=2`. */
  readonly label?: string;
  readonly value: Expression;
}

/** A refusal with Milvus's inner text; it never leaves this folder. */
export class FilterRefusal extends Error {
  /** Set when the language has this and the database does not yet. */
  readonly notImplemented: string | undefined;
  /** The text stands alone, without `cannot parse expression`. */
  readonly bare: boolean;

  constructor(message: string, options: { notImplemented?: string; bare?: boolean } = {}) {
    super(message);
    this.name = "FilterRefusal";
    this.notImplemented = options.notImplemented;
    this.bare = options.bare ?? false;
  }
}

/** Brackets plus operators, deepest path. */
export function checkDepth(depth: number): number {
  if (depth > NESTING_MAX) throw new FilterRefusal(`expression nesting depth exceeds the maximum of ${NESTING_MAX}`);
  return depth;
}
