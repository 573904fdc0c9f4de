/** Names of a filter to fields and paths (contract/expressions.md 4). */
import type { FieldId } from "@elanus/model/id";
import { DataType, DYNAMIC_FIELD_NAME } from "@elanus/model/schema";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import type { Operand, Step } from "./program.ts";
import { typeName } from "./program.ts";
import { FilterRefusal } from "./syntax.ts";
import type { Bracket } from "./syntax.ts";

const INDEX_MAX = 0xffff_ffffn;

export function resolveName(
  { schema, loaded }: { readonly schema: CollectionSchema; readonly loaded: ReadonlySet<FieldId> | undefined },
  name: string,
  brackets: readonly Bracket[],
  text: string,
): Operand {
  const field = schema.fields.find((candidate) => candidate.name === name);
  if (field !== undefined) {
    if (loaded?.has(field.id) === false) throw new FilterRefusal(`field ${name} is not loaded`);
    return resolveField(field, brackets, text);
  }
  const dynamic = schema.fields.find((candidate) => candidate.dynamic);
  if (!schema.dynamicFieldEnabled || dynamic === undefined || name === DYNAMIC_FIELD_NAME) {
    throw new FilterRefusal(`field ${name} not exist`);
  }
  if (loaded?.has(dynamic.id) === false) {
    throw new FilterRefusal(`field ${name} is dynamic but dynamic field is not loaded`);
  }
  return { kind: "json", field: dynamic, steps: [name, ...stepsOf(brackets, text)] };
}

function resolveField(field: FieldSchema, brackets: readonly Bracket[], text: string): Operand {
  if (field.type === DataType.json) return { kind: "json", field, steps: stepsOf(brackets, text) };
  if (brackets.length === 0) return { kind: "column", field };
  if (field.type !== DataType.array) {
    throw new FilterRefusal(`${typeName(field.type)} data type not supported accessed with []`);
  }
  const [first] = brackets;
  if (brackets.length > 1) throw new FilterRefusal(`invalid identifier: ${text}`);
  if (first?.kind !== "index" || first.index > INDEX_MAX) {
    throw new FilterRefusal("can only access array field with integer index");
  }
  return { kind: "element", field, index: Number(first.index) };
}

function stepsOf(brackets: readonly Bracket[], text: string): Step[] {
  return brackets.map((bracket) => {
    if (bracket.kind === "key") return bracket.key;
    if (bracket.kind === "bare") {
      throw new FilterRefusal(`json key must be enclosed in double quotes or single quotes: "${bracket.text}"`);
    }
    if (bracket.index > INDEX_MAX) throw new FilterRefusal(`invalid identifier: ${text}`);
    return Number(bracket.index);
  });
}
