/** Filter text to an `Expression`: syntax only, names and types come later. */
import { EmbeddedActionsParser } from "./chevrotain.ts";
import type { ILexingError, IRecognitionException, IToken } from "chevrotain";
import { FILTER_FUNCTIONS } from "@elanus/model/names";
import { arrange } from "./precedence.ts";
import type { Item } from "./precedence.ts";
import { fitsInt64, floatOf, integerOf, rawTextOf, textOf } from "./literals.ts";
import { checkDepth, FilterRefusal } from "./syntax.ts";
import type { Argument, Bracket, Expression, Literal } from "./syntax.ts";
import * as t from "./tokens.ts";

/** Words that name predicates and cannot be field names, in their two spellings. */
const RESERVED: ReadonlySet<string> = new Set(FILTER_FUNCTIONS.flatMap((name) => [name, name.toUpperCase()]));

/** @throws FilterRefusal when the text is not an expression. */
export function parseExpression(text: string): Expression {
  const lexed = t.filterLexer.tokenize(text);
  const [bad] = lexed.errors;
  if (bad !== undefined) throw new FilterRefusal(showLexError(bad, text));
  refuseDeepBrackets(lexed.tokens);
  return parser.read(lexed.tokens, text);
}

class FilterParser extends EmbeddedActionsParser {
  /** What is being parsed, for error texts. */
  private text = "";

  constructor() {
    super(t.allTokens, { recoveryEnabled: false, maxLookahead: 2, skipValidations: false });
    this.performSelfAnalysis();
  }

  read(tokens: IToken[], text: string): Expression {
    this.text = text;
    this.input = tokens;
    const tree = this.expression();
    const [error] = this.errors;
    if (error !== undefined) throw new FilterRefusal(showParseError(error, text));
    const next = this.LA(1);
    if (next.startOffset !== undefined && !Number.isNaN(next.startOffset) && next.image !== "") {
      throw new FilterRefusal(`invalid expression: ${text}`);
    }
    return tree;
  }

  private readonly expression = this.RULE("expression", (): Expression => {
    const items: Item[] = [];
    this.SUBRULE(this.operand, { ARGS: [items] });
    this.MANY(() => {
      this.OR([
        {
          ALT: () => {
            this.CONSUME(t.Not);
            const operator = this.OR1([
              { ALT: () => (this.CONSUME(t.In), "not in") },
              { ALT: () => (this.CONSUME(t.Like), "not like") },
            ]);
            items.push({ kind: "infix", operator });
          },
        },
        {
          ALT: () => {
            const token = this.CONSUME(t.Infix);
            items.push({ kind: "infix", operator: operatorOf(token) });
          },
        },
      ]);
      this.SUBRULE1(this.operand, { ARGS: [items] });
    });
    return this.ACTION(() => arrange(items));
  });

  private readonly operand = this.RULE("operand", (items: Item[]): void => {
    this.MANY(() => {
      const token = this.CONSUME(t.Prefix);
      this.ACTION(() => items.push({ kind: "prefix", operator: operatorOf(token), start: token.startOffset }));
    });
    const expression = this.SUBRULE(this.primary);
    this.ACTION(() => items.push({ kind: "operand", expression: foldMinus(items, expression) }));
  });

  private readonly primary = this.RULE(
    "primary",
    (): Expression =>
      this.OR<Expression>([
        { ALT: () => this.SUBRULE(this.literal) },
        { ALT: () => this.SUBRULE(this.named) },
        { ALT: () => this.SUBRULE(this.element) },
        { ALT: () => this.SUBRULE(this.template) },
        { ALT: () => this.SUBRULE(this.list) },
        {
          ALT: () => {
            const open = this.CONSUME(t.LeftParen);
            const inner = this.SUBRULE(this.expression);
            const close = this.CONSUME(t.RightParen);
            return this.ACTION(() => ({ ...inner, start: open.startOffset, end: endOf(close), depth: inner.depth }));
          },
        },
      ]),
  );

  private readonly literal = this.RULE(
    "literal",
    (): Expression =>
      this.OR<Expression>([
        {
          ALT: () => literalNode(this.CONSUME(t.IntegerNumeral), (image) => ({ type: "int", value: integerOf(image) })),
        },
        { ALT: () => literalNode(this.CONSUME(t.FloatNumeral), (image) => ({ type: "float", value: floatOf(image) })) },
        { ALT: () => literalNode(this.CONSUME(t.True), () => ({ type: "bool", value: true })) },
        { ALT: () => literalNode(this.CONSUME(t.False), () => ({ type: "bool", value: false })) },
        { ALT: () => literalNode(this.CONSUME(t.Text), (image) => ({ type: "string", value: textOf(image) })) },
        { ALT: () => literalNode(this.CONSUME(t.RawText), (image) => ({ type: "string", value: rawTextOf(image) })) },
      ]),
  );

  /** A name with brackets, a call, or a time literal. */
  private readonly named = this.RULE("named", (): Expression => {
    const name = this.CONSUME(t.Identifier);
    return this.OR<Expression>([
      { ALT: () => this.SUBRULE(this.call, { ARGS: [name] }) },
      {
        ALT: () => {
          const text = this.CONSUME(t.Text);
          return this.ACTION(() => timeNode(name, text, this.text));
        },
      },
      { ALT: () => this.SUBRULE(this.path, { ARGS: [name] }) },
    ]);
  });

  private readonly call = this.RULE("call", (name: IToken): Expression => {
    const args: Argument[] = [];
    this.CONSUME(t.LeftParen);
    this.MANY_SEP({
      SEP: t.Comma,
      DEF: () => {
        let label: string | undefined;
        this.OPTION(() => {
          label = this.CONSUME(t.Identifier).image;
          this.CONSUME(t.Assign);
        });
        const value = this.SUBRULE(this.expression);
        args.push(label === undefined ? { value } : { label, value });
      },
    });
    const close = this.CONSUME(t.RightParen);
    return this.ACTION(() => ({
      kind: "call",
      name: name.image,
      args,
      start: name.startOffset,
      end: endOf(close),
      depth: checkDepth(1 + args.reduce((most, a) => Math.max(most, a.value.depth), 0)),
    }));
  });

  private readonly path = this.RULE("path", (name: IToken): Expression => {
    const brackets: Bracket[] = [];
    let end = this.ACTION(() => endOf(name));
    this.MANY(() => {
      this.CONSUME(t.LeftBracket);
      this.OR([
        { ALT: () => brackets.push(quotedKey(this.CONSUME(t.Text), textOf)) },
        { ALT: () => brackets.push(quotedKey(this.CONSUME(t.RawText), rawTextOf)) },
        { ALT: () => brackets.push(indexBracket(this.CONSUME(t.IntegerNumeral))) },
        { ALT: () => brackets.push({ kind: "bare", text: this.CONSUME1(t.Identifier).image }) },
        {
          ALT: () => {
            this.CONSUME(t.Minus);
            const token = this.CONSUME1(t.IntegerNumeral);
            brackets.push({ kind: "bare", text: `-${token.image}` });
          },
        },
      ]);
      end = endOf(this.CONSUME(t.RightBracket));
    });
    const bare = this.ACTION((): Expression => {
      if (RESERVED.has(name.image)) throw new FilterRefusal(mismatched(name, this.text));
      return { kind: "name", name: name.image, brackets, start: name.startOffset, end, depth: 1 };
    });
    return this.SUBRULE(this.nullTest, { ARGS: [bare] });
  });

  private readonly nullTest = this.RULE("nullTest", (operand: Expression): Expression => {
    let tested = operand;
    this.OPTION(() => {
      const token = this.OR([{ ALT: () => this.CONSUME(t.IsNull) }, { ALT: () => this.CONSUME(t.IsNotNull) }]);
      this.ACTION(() => {
        const negated = token.tokenType === t.IsNotNull;
        tested = { kind: "isNull", negated, operand, start: operand.start, end: endOf(token), depth: 2 };
      });
    });
    return tested;
  });

  private readonly element = this.RULE("element", (): Expression => {
    const dollar = this.CONSUME(t.Dollar);
    let end = this.ACTION(() => endOf(dollar));
    this.OPTION(() => {
      this.CONSUME(t.LeftBracket);
      this.CONSUME(t.Identifier);
      end = endOf(this.CONSUME(t.RightBracket));
    });
    return { kind: "element", start: dollar.startOffset, end, depth: 1 };
  });

  private readonly template = this.RULE("template", (): Expression => {
    const open = this.CONSUME(t.LeftBrace);
    const name = this.CONSUME(t.Identifier);
    const close = this.CONSUME(t.RightBrace);
    return this.ACTION(() => ({
      kind: "template",
      name: name.image,
      start: open.startOffset,
      end: endOf(close),
      depth: 1,
    }));
  });

  private readonly list = this.RULE("list", (): Expression => {
    const items: Expression[] = [];
    const open = this.CONSUME(t.LeftBracket);
    this.OPTION(() => {
      items.push(this.SUBRULE(this.expression));
      this.MANY({
        GATE: () => this.LA(2).tokenType !== t.RightBracket,
        DEF: () => {
          this.CONSUME(t.Comma);
          items.push(this.SUBRULE1(this.expression));
        },
      });
      this.OPTION1(() => this.CONSUME1(t.Comma));
    });
    const close = this.CONSUME(t.RightBracket);
    return this.ACTION(() => ({
      kind: "list",
      items,
      start: open.startOffset,
      end: endOf(close),
      depth: checkDepth(1 + items.reduce((most, item) => Math.max(most, item.depth), 0)),
    }));
  });
}

const parser: FilterParser = new FilterParser();

function endOf(token: IToken): number {
  return token.startOffset + token.image.length;
}

function operatorOf(token: IToken): string {
  switch (token.image) {
    case "&&":
      return "and";
    case "||":
      return "or";
    default:
      return token.image.toLowerCase();
  }
}

/** While the parser records its grammar it runs with placeholder tokens, which have no meaning to read. */
function literalNode(token: IToken, read: (image: string) => Literal): Expression {
  const known = Number.isInteger(token.startOffset) && token.startOffset >= 0;
  const literal: Literal = known ? read(token.image) : { type: "bool", value: false };
  return { kind: "literal", literal, start: token.startOffset, end: endOf(token), depth: 1 };
}

function quotedKey(token: IToken, read: (image: string) => string): Bracket {
  return { kind: "key", key: read(token.image) };
}

function indexBracket(token: IToken): Bracket {
  return { kind: "index", index: token.startOffset >= 0 ? integerOf(token.image) : 0n };
}

/** The smallest int64 can only be written as a minus and a number that does not fit by itself: there they are one. */
function foldMinus(items: Item[], expression: Expression): Expression {
  if (expression.kind !== "literal" || expression.literal.type !== "int") return expression;
  const { value } = expression.literal;
  if (fitsInt64(value)) return expression;
  const before = items.at(-1);
  if (before?.kind !== "prefix" || before.operator !== "-") {
    throw new FilterRefusal(`invalid int64 literal: ${value}, value out of range`);
  }
  items.pop();
  return { ...expression, literal: { type: "int", value: -value }, start: before.start };
}

function timeNode(name: IToken, text: IToken, whole: string): Expression {
  const word = name.image.toLowerCase();
  if (word !== "iso" && word !== "interval") throw new FilterRefusal(mismatched(text, whole));
  if (name.image !== word && name.image !== word.toUpperCase()) throw new FilterRefusal(mismatched(text, whole));
  return { kind: "time", word, text: textOf(text.image), start: name.startOffset, end: endOf(text), depth: 1 };
}

/** Brackets are counted before parsing: the parser recurses on them. */
function refuseDeepBrackets(tokens: readonly IToken[]): void {
  let depth = 0;
  for (const { tokenType } of tokens) {
    if (tokenType === t.LeftParen || tokenType === t.LeftBracket) checkDepth(++depth);
    else if (tokenType === t.RightParen || tokenType === t.RightBracket) depth--;
  }
}

function mismatched(token: IToken, text: string): string {
  return `${place(text, token.startOffset)} mismatched input '${token.image}'`;
}

function showParseError(error: IRecognitionException, text: string): string {
  if (error.token.image === "") return `${place(text, text.length)} mismatched input '<EOF>'`;
  return mismatched(error.token, text);
}

function showLexError(error: ILexingError, text: string): string {
  const bad = text.slice(error.offset, error.offset + Math.min(error.length, 32));
  return `${place(text, error.offset)} token recognition error at: '${bad}'`;
}

/** Lines count from 1 and columns from 0, as clients' tests expect. */
function place(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `line ${before.length}:${before.at(-1)?.length ?? 0}`;
}
