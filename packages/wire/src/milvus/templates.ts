/** Values of `{name}` in a filter. */
import type { FilterInput, TemplateValue } from "@elanus/model/contract/proxy";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type * as schema from "../gen/schema.ts";

export function filterOf(text: string, values: ReadonlyMap<string, schema.TemplateValue>): Outcome<FilterInput> {
  const templates = new Map<string, TemplateValue>();
  for (const [name, value] of values) {
    const converted = toValue(value);
    if (!converted.ok) return converted;
    templates.set(name, converted.value);
  }
  return succeed({ text, templates });
}

function toValue(value: schema.TemplateValue): Outcome<TemplateValue> {
  if (value.boolVal !== undefined) return succeed({ kind: "bool", value: value.boolVal });
  if (value.int64Val !== undefined) return succeed({ kind: "int", value: value.int64Val });
  if (value.floatVal !== undefined) return succeed({ kind: "float", value: value.floatVal });
  if (value.stringVal !== undefined) return succeed({ kind: "string", value: value.stringVal });
  if (value.arrayVal !== undefined) return toArray(value.arrayVal);
  if (value.bytesVal !== undefined) return fail({ kind: "notImplemented", call: "a filter template of bytes" });
  return fail({ kind: "invalidParameter", message: "an expression template has no value" });
}

function list(value: readonly TemplateValue[]): Outcome<TemplateValue> {
  return succeed({ kind: "array", value });
}

function toArray(array: schema.TemplateArrayValue): Outcome<TemplateValue> {
  if (array.boolData !== undefined) return list(array.boolData.data.map((value) => ({ kind: "bool", value })));
  if (array.longData !== undefined) return list(array.longData.data.map((value) => ({ kind: "int", value })));
  if (array.doubleData !== undefined) return list(array.doubleData.data.map((value) => ({ kind: "float", value })));
  if (array.stringData !== undefined) return list(array.stringData.data.map((value) => ({ kind: "string", value })));
  if (array.arrayData !== undefined) return toNested(array.arrayData.data);
  if (array.jsonData !== undefined) return toJson(array.jsonData.data);
  return list([]);
}

function toNested(arrays: readonly schema.TemplateArrayValue[]): Outcome<TemplateValue> {
  const value: TemplateValue[] = [];
  for (const array of arrays) {
    const converted = toArray(array);
    if (!converted.ok) return converted;
    value.push(converted.value);
  }
  return succeed({ kind: "array", value });
}

/** Mixed arrays arrive as one JSON text per element. */
function toJson(texts: readonly Uint8Array[]): Outcome<TemplateValue> {
  const value: TemplateValue[] = [];
  for (const bytes of texts) {
    const text = new TextDecoder().decode(bytes);
    const converted = fromJson(text);
    if (converted === undefined)
      return fail({ kind: "invalidParameter", message: `an expression template holds invalid JSON: ${text}` });
    value.push(converted);
  }
  return succeed({ kind: "array", value });
}

function fromJson(text: string): TemplateValue | undefined {
  if (/^\s*-?\d+\s*$/.test(text)) return { kind: "int", value: BigInt(text.trim()) };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  return templateOf(parsed);
}

/** A parsed JSON value; whole numbers count as integers. Undefined for null and objects. */
export function templateOf(value: unknown): TemplateValue | undefined {
  if (typeof value === "boolean") return { kind: "bool", value };
  if (typeof value === "string") return { kind: "string", value };
  if (typeof value === "bigint") return { kind: "int", value };
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? { kind: "int", value: BigInt(value) } : { kind: "float", value };
  if (!Array.isArray(value)) return undefined;
  const elements = value.map(templateOf);
  return elements.includes(undefined) ? undefined : { kind: "array", value: elements as TemplateValue[] };
}
