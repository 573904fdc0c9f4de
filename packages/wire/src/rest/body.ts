/**
 * Reads the envelope of a request field by field. The first problem is kept and the defaults go on, so that a
 * reader is a plain list of fields; whoever runs the call looks at `problem` first.
 */
import { type Json, parseExact } from "./json.ts";
import { notJson, type RestFailure, refuse } from "./failure.ts";
import { type Range, scanObject, slice } from "./scan.ts";

export class Body {
  problem: RestFailure | undefined;
  readonly #text: Uint8Array;
  readonly #ranges: ReadonlyMap<string, Range>;
  /** Name of the request in Milvus's messages, for instance `CollectionNameReq`. */
  readonly #struct: string;

  constructor(text: Uint8Array, struct: string) {
    this.#text = text;
    this.#struct = struct;
    const ranges = scanObject(text);
    this.#ranges = ranges ?? new Map();
    if (text.length === 0) this.#fail("the request body should be nil, however {} is valid");
    else if (ranges === undefined) this.#fail("the request body is not a JSON object");
  }

  /** The bytes of a value as they came; undefined when absent or null. */
  raw(key: string): Uint8Array | undefined {
    const range = this.#ranges.get(key);
    if (range === undefined) return undefined;
    const bytes = slice(this.#text, range);
    return bytes.length === 4 && bytes[0] === 0x6e && parseExact(bytes) === null ? undefined : bytes;
  }

  value(key: string): Json | undefined {
    const bytes = this.raw(key);
    if (bytes === undefined) return undefined;
    const value = parseExact(bytes);
    if (value === undefined) this.#fail(`the value of ${key} is not JSON`);
    return value;
  }

  text(key: string, absent = ""): string {
    const value = this.value(key);
    if (value === undefined || typeof value === "string") return value ?? absent;
    return this.#wrongType(key, "string", absent);
  }

  boolean(key: string, absent = false): boolean {
    const value = this.value(key);
    if (value === undefined || typeof value === "boolean") return value ?? absent;
    return this.#wrongType(key, "bool", absent);
  }

  integer(key: string, absent = 0): number {
    const value = this.value(key);
    if (value === undefined) return absent;
    if (typeof value === "number" && Number.isInteger(value)) return value;
    return this.#wrongType(key, "int32", absent);
  }

  texts(key: string): readonly string[] {
    const value = this.value(key);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value as readonly string[];
    return this.#wrongType(key, "[]string", []);
  }

  object(key: string): { readonly [key: string]: Json | undefined } {
    const value = this.value(key);
    if (value === undefined) return {};
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as { readonly [key: string]: Json | undefined };
    return this.#wrongType(key, "map[string]interface {}", {});
  }

  list(key: string): readonly Json[] {
    const value = this.value(key);
    if (value === undefined || Array.isArray(value)) return (value as readonly Json[] | undefined) ?? [];
    return this.#wrongType(key, "[]interface {}", []);
  }

  /** Text that must be there and not empty. `field` is the name in Milvus's message. */
  required(key: string): string {
    const text = this.text(key);
    if (text === "") this.missing(key);
    return text;
  }

  /** A list that must be there and not empty. */
  requiredTexts(key: string): readonly string[] {
    const texts = this.texts(key);
    if (texts.length === 0) this.missing(key);
    return texts;
  }

  missing(key: string): void {
    const field = key.slice(0, 1).toUpperCase() + key.slice(1);
    const why = `Key: '${this.#struct}.${field}' Error:Field validation for '${field}' failed on the 'required' tag`;
    this.problem ??= refuse(1_802, `missing required parameters, error: ${why}`).failure;
  }

  #wrongType<T>(key: string, wanted: string, instead: T): T {
    this.#fail(`json: cannot unmarshal into field ${this.#struct}.${key} of type ${wanted}`);
    return instead;
  }

  #fail(why: string): void {
    this.problem ??= notJson(why).failure;
  }
}
