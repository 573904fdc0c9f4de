/** Function forms: the contains family, array_length, string calls; and those that do not work yet (contract 9-16). */
import { castElements, elementClassOf } from "./cast.ts";
import type { Call, CheckedArgument, Node, Operand, Term } from "./program.ts";
import { classOf, literalTypeName, typeName, typeNameOf } from "./program.ts";
import { isSpatial, spatialNode } from "./check-spatial.ts";
import { FilterRefusal } from "./syntax.ts";
import type { Literal } from "./syntax.ts";
import { FILTER_FUNCTIONS } from "@elanus/model/names";
import { DataType } from "@elanus/model/schema";

const SAMPLE_MARGIN = 1e-10;

/** The lower-case name of a builtin written all-lower or all-UPPER; other spellings are generic calls. */
export function builtinName(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (name !== lower && name !== name.toUpperCase()) return undefined;
  return BUILTINS.has(lower) || isSpatial(lower) || notYet(lower) !== undefined ? lower : undefined;
}

const CONTAINS: ReadonlyMap<string, "one" | "all" | "any"> = new Map([
  ["json_contains", "one"],
  ["array_contains", "one"],
  ["json_contains_all", "all"],
  ["array_contains_all", "all"],
  ["json_contains_any", "any"],
  ["array_contains_any", "any"],
]);

const BUILTINS: ReadonlySet<string> = new Set(FILTER_FUNCTIONS);

/** Constructs whose arguments are only parsed: they are not part of this version. */
export function notYet(name: string): string | undefined {
  if (/^(element_filter|match_(any|all|least|most|exact)|text_match_fuzzy|mol_contains)$/.test(name)) return name;
  return /^(membership|bloom|roaring)_match$/.test(name) ? name : undefined;
}

export function checkCall(call: Call): Term {
  const name = builtinName(call.name);
  const spatial = name === undefined ? undefined : spatialNode(name, call);
  if (spatial !== undefined) return { kind: "predicate", node: spatial };
  if (name === undefined) return checkGeneric(call);
  if (name === "text_match" || name === "phrase_match") return checkTextMatch(name, call);
  if (name === "random_sample") return checkSample(call);
  if (call.args.some((arg) => arg.label !== undefined)) throw new FilterRefusal(`unsupported expression: ${call.text}`);
  if (name === "array_length") return checkLength(call);
  return { kind: "predicate", node: checkContains(CONTAINS.get(name) ?? "one", call) };
}

function exactly(call: Call, least: number, most: number = least): void {
  if (call.args.length >= least && call.args.length <= most) return;
  const expected = least === most ? `${least}` : `${least} to ${most}`;
  throw new FilterRefusal(`${call.name} takes ${expected} arguments, got ${call.args.length}: ${call.text}`);
}

function listOperand(term: Term | undefined): Operand | undefined {
  if (term?.kind !== "operand" || term.operand.kind === "arithmetic") return undefined;
  const kind = classOf(term.operand);
  return kind === "json" || kind === "array" ? term.operand : undefined;
}

function checkLength(call: Call): Term {
  exactly(call, 1);
  const of = listOperand(call.args[0]?.term);
  if (of === undefined) {
    const got = call.args[0]?.text ?? "";
    throw new FilterRefusal(`array_length operation are only supported on json or array fields now, got: ${got}`);
  }
  return { kind: "operand", operand: { kind: "length", of } };
}

function checkContains(mode: "one" | "all" | "any", call: Call): Node {
  exactly(call, 2);
  const prefix = mode === "one" ? "contains" : `contains_${mode}`;
  const [first, second] = call.args;
  const operand = listOperand(first?.term);
  if (operand === undefined) {
    throw new FilterRefusal(`${prefix} operation are only supported on json or array fields now, got: ${first?.text}`);
  }
  if (second?.term.kind !== "constant") {
    throw new FilterRefusal(
      `${prefix} operation are only supported explicitly specified element, got: ${second?.text}`,
    );
  }
  const { literal } = second.term;
  if (mode === "one") return containsNode(prefix, "any", operand, [literal]);
  if (literal.type !== "array") {
    throw new FilterRefusal(`Contains${mode === "all" ? "All" : "Any"} operation element must be an array`);
  }
  return containsNode(prefix, mode, operand, literal.value);
}

function containsNode(prefix: string, mode: "any" | "all", operand: Operand, items: readonly Literal[]): Node {
  const cast = castElements(operand, items);
  if (cast !== undefined) return { kind: "contains", mode, operand, items: cast };
  const element = operand.kind === "column" ? typeName(operand.field.elementType ?? DataType.json) : "JSON";
  const kind = elementClassOf(operand);
  const wrong = items.find((item) => item.type !== kind);
  const got = wrong === undefined ? "non-finite number" : literalTypeName(wrong);
  throw new FilterRefusal(`${prefix} operation can't compare between array element type: ${element} and ${got}`);
}

function checkTextMatch(name: "text_match" | "phrase_match", call: Call): Term {
  const phrase = name === "phrase_match";
  exactly(call, 2, 3);
  const [field, query, extra] = call.args;
  const operand = field?.term.kind === "operand" ? field.term.operand : undefined;
  if (operand?.kind !== "column" || classOf(operand) !== "string") {
    throw new FilterRefusal(`${phrase ? "phrase" : "text"} match operation on non-string is unsupported`);
  }
  if (operand.field.typeParams["enable_match"] !== "true") {
    throw new FilterRefusal(`field "${operand.field.name}" does not enable match`);
  }
  if (query?.term.kind !== "constant" || query.term.literal.type !== "string") {
    throw new FilterRefusal(`${phrase ? "phrase" : "text"} match operation needs a string to look for: ${query?.text}`);
  }
  if (extra !== undefined && phrase) checkSlop(extra);
  if (extra !== undefined && !phrase) checkMinimum(extra, call.text);
  throw new FilterRefusal(`${name} is not supported yet`, { notImplemented: name });
}

function checkMinimum(extra: CheckedArgument, text: string): void {
  const literal = extra.term.kind === "constant" ? extra.term.literal : undefined;
  if (extra.label !== "minimum_should_match" || literal?.type !== "int") {
    throw new FilterRefusal(`unsupported expression: ${text}`);
  }
  if (literal.value < 1n) throw new FilterRefusal(`minimum_should_match should be >= 1, got ${literal.value}`);
  if (literal.value > 1000n) throw new FilterRefusal(`minimum_should_match should be <= 1000, got ${literal.value}`);
}

function checkSlop(extra: CheckedArgument): void {
  const literal = extra.term.kind === "constant" ? extra.term.literal : undefined;
  if (literal?.type !== "int") {
    throw new FilterRefusal(
      `"slop" should be a const integer expression with "uint32" value. "slop" expression passed: ${extra.text}`,
    );
  }
  if (literal.value < 0n)
    throw new FilterRefusal(`"slop" should not be a negative interger. "slop" passed: ${extra.text}`);
  if (literal.value > 0xffff_ffffn) {
    throw new FilterRefusal(`"slop" exceeds the range of "uint32". "slop" expression passed: ${extra.text}`);
  }
}

function checkSample(call: Call): Term {
  exactly(call, 1);
  const term = call.args[0]?.term;
  if (term?.kind !== "constant" || term.template !== undefined || term.literal.type !== "float") {
    throw new FilterRefusal(
      `"float factor" should be a const float expression with value in (0, 1), ` +
        `expression passed: ${call.args[0]?.text}`,
    );
  }
  const { value } = term.literal;
  if (value <= SAMPLE_MARGIN || value >= 1 - SAMPLE_MARGIN) {
    throw new FilterRefusal(
      "the sample factor should be between 0 and 1 and not too close to 0 or 1" +
        `(the difference should be larger than 1e-10), but got ${call.args[0]?.text}`,
    );
  }
  throw new FilterRefusal("random_sample is not supported yet", { notImplemented: "random_sample" });
}

/** `empty(f)` and `starts_with(f, "p")`: what Milvus has registered. */
function checkGeneric(call: Call): Term {
  const name = call.name.toLowerCase();
  const terms = call.args.map((arg) => arg.term);
  const types = terms.map((term) => (term.kind === "operand" ? typeNameOf(term.operand) : constantTypeOf(term)));
  const signature = `${name}(${types.join(", ")})`;
  const [subject, text] = terms;
  const unknown = new FilterRefusal(`function ${signature} not found`);
  if (call.args.some((arg) => arg.label !== undefined)) throw unknown;
  if (subject?.kind !== "operand" || classOf(subject.operand) !== "string") throw unknown;
  const { operand } = subject;
  if (name === "empty" && terms.length === 1) {
    return {
      kind: "predicate",
      node: { kind: "compare", operator: "==", operand, literal: { type: "string", value: "" } },
    };
  }
  if (name === "starts_with" && terms.length === 2 && text?.kind === "constant" && text.literal.type === "string") {
    const pattern = `${text.literal.value.replace(/[\\%_]/g, "\\$&")}%`;
    return { kind: "predicate", node: { kind: "like", operand, pattern } };
  }
  throw unknown;
}

function constantTypeOf(term: Term): string {
  return term.kind === "constant" ? literalTypeName(term.literal) : "Bool";
}
