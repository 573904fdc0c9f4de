/** Values of literal tokens. */
import { FilterRefusal } from "./syntax.ts";
import type { Literal } from "./syntax.ts";

const INT64_LIMIT = 1n << 63n;

/** An integer numeral; `9223372036854775808` passes, because a minus sign may stand before it. */
export function integerOf(image: string): bigint {
  const octal = /^0[0-7]+$/.test(image);
  const value = octal ? BigInt(`0o${image.slice(1)}`) : BigInt(image.toLowerCase());
  if (value > INT64_LIMIT) throw new FilterRefusal(`invalid int64 literal: ${image}, value out of range`);
  return value;
}

export function fitsInt64(value: bigint): boolean {
  return value >= -INT64_LIMIT && value < INT64_LIMIT;
}

export function floatOf(image: string): number {
  const value = /^0[xX]/.test(image) ? hexFloatOf(image) : Number(image);
  if (!Number.isFinite(value)) throw new FilterRefusal(`invalid float literal: ${image}, value out of range`);
  return value;
}

function hexFloatOf(image: string): number {
  const [mantissa = "", exponent = "0"] = image.slice(2).toLowerCase().split("p");
  const [whole = "", fraction = ""] = mantissa.split(".");
  let value = 0;
  for (const digit of whole + fraction) value = value * 16 + Number.parseInt(digit, 16);
  return value * 2 ** (Number(exponent) - 4 * fraction.length);
}

export function rawTextOf(image: string): string {
  return image.slice(2, -1);
}

/** A quoted string with its escapes resolved; an unknown escape is kept as it is (`\%` for like, `\d` for regex). */
export function textOf(image: string): string {
  const quote = image.search(/["']/);
  const body = image.slice(quote + 1, -1);
  if (!body.includes("\\")) return body;
  let bytes = false;
  const text = body.replace(
    /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g,
    (whole, octal?: string, hex?: string, short?: string, long?: string, single?: string) => {
      if (octal !== undefined || hex !== undefined) {
        const code = octal === undefined ? Number.parseInt(hex ?? "", 16) : Number.parseInt(octal, 8) & 0xff;
        bytes ||= code >= 0x80;
        return String.fromCharCode(code);
      }
      const wide = short ?? long;
      if (wide !== undefined) return codePointOf(Number.parseInt(wide, 16), image);
      return SIMPLE_ESCAPES.get(single ?? "") ?? whole;
    },
  );
  return bytes ? reassembleBytes(body, text) : text;
}

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["'", "'"],
  ['"', '"'],
  ["?", "?"],
  ["a", "\u0007"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["\\", "\\"],
]);

function codePointOf(code: number, image: string): string {
  if (code > 0x10ffff) throw new FilterRefusal(`invalid escape in string: ${image}`);
  return String.fromCodePoint(code);
}

/** `\xe4\xb8\xad` spells UTF-8 bytes: when all of the text is bytes, read it as UTF-8. */
function reassembleBytes(body: string, text: string): string {
  for (const char of text) if (char.charCodeAt(0) > 0xff) throw new FilterRefusal(`invalid escape in string: ${body}`);
  return new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0)));
}

/** A value as the contract's error texts show it. */
export function showLiteral(literal: Literal): string {
  switch (literal.type) {
    case "bool":
      return `bool_val:${literal.value}`;
    case "int":
      return `int64_val:${literal.value}`;
    case "float":
      return `float_val:${literal.value}`;
    case "string":
      return `string_val:${JSON.stringify(literal.value)}`;
    case "array":
      return `array_val:{${literal.value.map((item) => `array:{${showLiteral(item)}}`).join(" ")}}`;
  }
}
