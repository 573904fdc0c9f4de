/** Tokens of the filter language (contract/expressions.md 2). */
import { createToken, Lexer } from "./chevrotain.ts";
import type { Lexer as TokenLexer, TokenType } from "chevrotain";

const whitespace: TokenType = createToken({
  name: "Whitespace",
  pattern: /[ \t\r\n]+/,
  group: Lexer.SKIPPED,
  line_breaks: true,
});

export const Identifier: TokenType = createToken({ name: "Identifier", pattern: /\$meta\b|[A-Za-z_][A-Za-z0-9_]*/ });

/** Infix operators of every precedence; `precedence.ts` sorts them out. */
export const Infix: TokenType = createToken({ name: "Infix", pattern: Lexer.NA });
/** Prefix operators; `+ - not` are also infix or part of one. */
export const Prefix: TokenType = createToken({ name: "Prefix", pattern: Lexer.NA });
export const Numeral: TokenType = createToken({ name: "Numeral", pattern: Lexer.NA });

function word(name: string, pattern: RegExp, categories: TokenType[] = []): TokenType {
  return createToken({ name, pattern, longer_alt: Identifier, categories });
}

export const IsNull: TokenType = word("IsNull", /(?:is[ \t]+null|IS[ \t]+NULL)\b/);
export const IsNotNull: TokenType = word("IsNotNull", /(?:is[ \t]+not[ \t]+null|IS[ \t]+NOT[ \t]+NULL)\b/);
export const True: TokenType = word("True", /true|True|TRUE/);
export const False: TokenType = word("False", /false|False|FALSE/);
export const In: TokenType = word("In", /in|IN/, [Infix]);
export const Not: TokenType = word("Not", /not|NOT/, [Prefix]);
export const Exists: TokenType = word("Exists", /exists|EXISTS/, [Prefix]);
export const Like: TokenType = word("Like", /like|LIKE/, [Infix]);
const and: TokenType = word("And", /and|AND/, [Infix]);
const or: TokenType = word("Or", /or|OR/, [Infix]);

function symbol(name: string, pattern: string, categories: TokenType[]): TokenType {
  return createToken({ name, pattern, categories });
}

const infixSymbols: TokenType[] = (
  [
    ["Power", "**"],
    ["ShiftLeft", "<<"],
    ["ShiftRight", ">>"],
    ["LessEqual", "<="],
    ["GreaterEqual", ">="],
    ["Equal", "=="],
    ["NotEqual", "!="],
    ["Matches", "=~"],
    ["MatchesNot", "!~"],
    ["AndSymbol", "&&"],
    ["OrSymbol", "||"],
    ["Less", "<"],
    ["Greater", ">"],
    ["Star", "*"],
    ["Slash", "/"],
    ["Percent", "%"],
    ["BitAnd", "&"],
    ["BitOr", "|"],
    ["BitXor", "^"],
  ] as const
).map(([name, pattern]) => symbol(name, pattern, [Infix]));

const plus: TokenType = symbol("Plus", "+", [Infix, Prefix]);
export const Minus: TokenType = symbol("Minus", "-", [Infix, Prefix]);
const tilde: TokenType = symbol("Tilde", "~", [Prefix]);
const bang: TokenType = symbol("Bang", "!", [Prefix]);

export const Assign: TokenType = symbol("Assign", "=", []);
export const LeftParen: TokenType = symbol("LeftParen", "(", []);
export const RightParen: TokenType = symbol("RightParen", ")", []);
export const LeftBracket: TokenType = symbol("LeftBracket", "[", []);
export const RightBracket: TokenType = symbol("RightBracket", "]", []);
export const LeftBrace: TokenType = symbol("LeftBrace", "{", []);
export const RightBrace: TokenType = symbol("RightBrace", "}", []);
export const Comma: TokenType = symbol("Comma", ",", []);
export const Dollar: TokenType = symbol("Dollar", "$", []);

export const FloatNumeral: TokenType = createToken({
  name: "Float",
  pattern:
    /0[xX](?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)[pP][+-]?\d+|(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/,
  categories: [Numeral],
});
export const IntegerNumeral: TokenType = createToken({
  name: "Integer",
  pattern: /0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]+|0|[1-9][0-9]*/,
  categories: [Numeral],
});

export const RawText: TokenType = createToken({ name: "RawString", pattern: /[rR](?:"[^"\r\n]*"|'[^'\r\n]*')/ });
export const Text: TokenType = createToken({
  name: "String",
  pattern: /(?:u8|u|U|L)?(?:"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')/,
});

/** Order matters: the first match wins unless a longer alternative is named. */
export const allTokens: TokenType[] = [
  whitespace,
  RawText,
  Text,
  FloatNumeral,
  IntegerNumeral,
  IsNotNull,
  IsNull,
  True,
  False,
  In,
  Not,
  Exists,
  Like,
  and,
  or,
  ...infixSymbols,
  plus,
  Minus,
  tilde,
  bang,
  Assign,
  LeftParen,
  RightParen,
  LeftBracket,
  RightBracket,
  LeftBrace,
  RightBrace,
  Comma,
  Identifier,
  Dollar,
  Infix,
  Prefix,
  Numeral,
];

export const filterLexer: TokenLexer = new Lexer(allTokens, {
  positionTracking: "onlyOffset",
  ensureOptimizations: false,
});
