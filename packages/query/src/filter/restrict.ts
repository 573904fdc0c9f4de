/** What a filter says about one key field: for deletes by key and for choosing partitions. */
import type { FieldSchema } from "@elanus/model/schema";
import { compareText } from "./cast.ts";
import type { Node } from "./program.ts";

export type KeyValue = bigint | string;

/** The keys of `pk == x` and `pk in […]` when the filter is nothing else; sorted and distinct. */
export function keysOf(node: Node, field: FieldSchema): readonly KeyValue[] | undefined {
  if (node.kind !== "compare" && node.kind !== "in") return undefined;
  return valuesOf(node, field);
}

/** Values outside of which no row can be TRUE; undefined when the filter leaves the field free. */
export function valuesOf(node: Node, field: FieldSchema): readonly KeyValue[] | undefined {
  switch (node.kind) {
    case "constant":
      return node.value ? undefined : [];
    case "compare":
      return node.operator === "==" && reads(node.operand, field) ? keyValues([node.literal]) : undefined;
    case "in":
      return reads(node.operand, field) ? keyValues(node.items) : undefined;
    case "and": {
      const sets = node.nodes.map((part) => valuesOf(part, field)).filter((set) => set !== undefined);
      return sets.length === 0 ? undefined : sets.reduce(intersect);
    }
    case "or": {
      const sets = node.nodes.map((part) => valuesOf(part, field));
      return sets.every((set) => set !== undefined) ? sortedDistinct(sets.flat()) : undefined;
    }
    default:
      return undefined;
  }
}

function reads(operand: { readonly kind: string; readonly field?: FieldSchema }, field: FieldSchema): boolean {
  return operand.kind === "column" && operand.field?.id === field.id;
}

function keyValues(
  items: readonly { readonly type: string; readonly value: unknown }[],
): readonly KeyValue[] | undefined {
  const values: KeyValue[] = [];
  for (const { value } of items) {
    if (typeof value !== "bigint" && typeof value !== "string") return undefined;
    values.push(value);
  }
  return sortedDistinct(values);
}

function sortedDistinct(values: readonly KeyValue[]): readonly KeyValue[] {
  return [...new Set(values)].sort((a, b) => {
    if (typeof a === "string" && typeof b === "string") return compareText(a, b);
    return a < b ? -1 : a > b ? 1 : 0;
  });
}

function intersect(a: readonly KeyValue[], b: readonly KeyValue[]): readonly KeyValue[] {
  const kept = new Set(b);
  return a.filter((value) => kept.has(value));
}
