/** `and` and `or` over checked parts: constants fold away, brackets vanish, chains of equalities become one `in`. */
import type { Node, Operand } from "./program.ts";
import type { Literal } from "./syntax.ts";

export function combine(operator: "and" | "or", parts: readonly Node[]): Node {
  const absorbing = operator === "or";
  if (parts.some((part) => part.kind === "constant" && part.value === absorbing)) {
    return { kind: "constant", value: absorbing };
  }
  const flat = parts.flatMap((part) => (part.kind === operator ? part.nodes : part.kind === "constant" ? [] : [part]));
  const nodes = operator === "or" ? joinEqualities(flat) : flat;
  const [first] = nodes;
  if (first === undefined) return { kind: "constant", value: !absorbing };
  return nodes.length === 1 ? first : { kind: operator, nodes };
}

/** `f == 1 or f in [2, 3]` is `f in [1, 2, 3]`, in all three truth values: each row then looks once. */
function joinEqualities(nodes: readonly Node[]): readonly Node[] {
  const members = new Map<string, Literal[]>();
  const joined: Node[] = [];
  for (const node of nodes) {
    const equality = equalityOf(node);
    if (equality === undefined) {
      joined.push(node);
      continue;
    }
    const key = JSON.stringify(identityOf(equality.operand));
    const known = members.get(key);
    if (known !== undefined) {
      for (const item of equality.items) known.push(item);
      continue;
    }
    const items = [...equality.items];
    members.set(key, items);
    joined.push({ kind: "in", operand: equality.operand, items });
  }
  return members.size === 0 ? nodes : joined.map(single);
}

function equalityOf(node: Node): { readonly operand: Operand; readonly items: readonly Literal[] } | undefined {
  if (node.kind === "in") return node;
  if (node.kind !== "compare" || node.operator !== "==" || node.literal.type === "array") return undefined;
  const { operand } = node;
  if (operand.kind === "arithmetic" || operand.kind === "length") return undefined;
  return { operand, items: [node.literal] };
}

function identityOf(operand: Operand): readonly (string | number | readonly (string | number)[])[] {
  switch (operand.kind) {
    case "column":
      return [operand.field.id];
    case "json":
      return [operand.field.id, operand.steps];
    case "element":
      return [operand.field.id, operand.index];
    default:
      return [operand.kind, ...identityOf(operand.of)];
  }
}

/** One value is compared, not looked up. */
function single(node: Node): Node {
  if (node.kind !== "in" || node.items.length !== 1) return node;
  const [literal] = node.items;
  return literal === undefined || literal.type === "array"
    ? node
    : { kind: "compare", operator: "==", operand: node.operand, literal };
}
