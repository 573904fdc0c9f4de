/**
 * Finds where the values of a JSON object or array lie in the text, without parsing them. Rows and vectors of a
 * request are handed to native code as they came; only the envelope around them is parsed here.
 *
 * It checks structure (quotes, brackets, commas), not the inside of values: whoever parses a slice does that.
 */
export interface Range {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Values by key of the object that is the whole text; undefined when it is no object. A later key wins. */
export function scanObject(text: Uint8Array): ReadonlyMap<string, Range> | undefined {
  const fields = new Map<string, Range>();
  let at = skipSpace(text, 0);
  if (text[at] !== OPEN_OBJECT) return undefined;
  at = skipSpace(text, at + 1);
  if (text[at] === CLOSE_OBJECT) return skipSpace(text, at + 1) === text.length ? fields : undefined;
  for (;;) {
    const keyEnd = text[at] === QUOTE ? endOfString(text, at) : undefined;
    if (keyEnd === undefined) return undefined;
    const key = parseKey(text, at, keyEnd);
    at = skipSpace(text, keyEnd);
    if (key === undefined || text[at] !== COLON) return undefined;
    const start = skipSpace(text, at + 1);
    const end = endOfValue(text, start);
    if (end === undefined) return undefined;
    fields.set(key, { start, end });
    at = skipSpace(text, end);
    if (text[at] === CLOSE_OBJECT) return skipSpace(text, at + 1) === text.length ? fields : undefined;
    if (text[at] !== COMMA) return undefined;
    at = skipSpace(text, at + 1);
  }
}

/** Elements of the array that is the whole text; undefined when it is no array. */
export function scanArray(text: Uint8Array): readonly Range[] | undefined {
  const elements: Range[] = [];
  let at = skipSpace(text, 0);
  if (text[at] !== OPEN_LIST) return undefined;
  at = skipSpace(text, at + 1);
  if (text[at] === CLOSE_LIST) return skipSpace(text, at + 1) === text.length ? elements : undefined;
  for (;;) {
    const end = endOfValue(text, at);
    if (end === undefined) return undefined;
    elements.push({ start: at, end });
    at = skipSpace(text, end);
    if (text[at] === CLOSE_LIST) return skipSpace(text, at + 1) === text.length ? elements : undefined;
    if (text[at] !== COMMA) return undefined;
    at = skipSpace(text, at + 1);
  }
}

/** Whether a value that was found is an array; what is in it is checked by whoever parses it. */
export function looksLikeArray(value: Uint8Array): boolean {
  return value[0] === OPEN_LIST;
}

export function slice(text: Uint8Array, range: Range): Uint8Array {
  return text.subarray(range.start, range.end);
}

function parseKey(text: Uint8Array, start: number, end: number): string | undefined {
  try {
    return JSON.parse(utf8.decode(text.subarray(start, end))) as string;
  } catch {
    return undefined;
  }
}

function skipSpace(text: Uint8Array, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text[at])) at++;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Right after the closing quote. */
function endOfString(text: Uint8Array, start: number): number | undefined {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === BACKSLASH) at++;
    else if (text[at] === QUOTE) return at + 1;
  }
  return undefined;
}

/** Right after the value; undefined when there is none or it is not closed. */
function endOfValue(text: Uint8Array, start: number): number | undefined {
  const first = text[start];
  if (first === QUOTE) return endOfString(text, start);
  if (first === OPEN_OBJECT || first === OPEN_LIST) return endOfNested(text, start);
  let at = start;
  while (
    at < text.length &&
    !isSpace(text[at]) &&
    text[at] !== COMMA &&
    text[at] !== CLOSE_OBJECT &&
    text[at] !== CLOSE_LIST
  )
    at++;
  return at === start ? undefined : at;
}

/** Counts depth only: whether brackets match in kind is found by whoever parses the slice. */
function endOfNested(text: Uint8Array, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const byte = text[at];
    if (byte === QUOTE) {
      const end = endOfString(text, at);
      if (end === undefined) return undefined;
      at = end - 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}
