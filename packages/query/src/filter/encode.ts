/** The bytes of a filter program (docs/formats/filter-program.md); `native/filter/src/program.rs` reads them. */
import { type Comparison, type Node, type Operand, SPATIAL_RELATIONS } from "./program.ts";
import type { ArithmeticOperator, Literal } from "./syntax.ts";

const MAGIC = "EFLT";
const VERSION = 1;

const COMPARISONS: readonly Comparison[] = ["==", "<", "<=", ">", ">="];
const ARITHMETIC: readonly ArithmeticOperator[] = ["+", "-", "*", "/", "%", "&", "|", "^"];

const NODE = {
  constant: 0,
  and: 1,
  or: 2,
  not: 3,
  isNull: 4,
  exists: 5,
  compare: 6,
  range: 7,
  in: 8,
  like: 9,
  regex: 10,
  columns: 11,
  contains: 12,
  spatial: 13,
} as const;
const OPERAND = { column: 0, json: 1, element: 2, length: 3, arithmetic: 4 } as const;
const LITERAL = { bool: 0, int: 1, float: 2, string: 3, array: 4 } as const;
const LIST = { mixed: 0, ints: 1 } as const;

export function encodeProgram(node: Node): Uint8Array {
  const writer = new Writer();
  for (const char of MAGIC) writer.u8(char.charCodeAt(0));
  writer.u8(VERSION);
  writeNode(writer, node);
  return writer.bytes();
}

function writeNode(w: Writer, node: Node): void {
  w.u8(NODE[node.kind]);
  switch (node.kind) {
    case "constant":
      return w.u8(node.value ? 1 : 0);
    case "and":
    case "or":
      w.u32(node.nodes.length);
      for (const part of node.nodes) writeNode(w, part);
      return;
    case "not":
      return writeNode(w, node.node);
    case "isNull":
      return w.u32(node.field.id);
    case "exists":
      return writeOperand(w, node.operand);
    case "compare":
      w.u8(COMPARISONS.indexOf(node.operator));
      writeOperand(w, node.operand);
      return writeLiteral(w, node.literal);
    case "range":
      w.u8((node.lowerInclusive ? 1 : 0) | (node.upperInclusive ? 2 : 0));
      writeOperand(w, node.operand);
      writeLiteral(w, node.lower);
      return writeLiteral(w, node.upper);
    case "in":
      writeOperand(w, node.operand);
      return writeList(w, node.items);
    case "like":
    case "regex":
      writeOperand(w, node.operand);
      return w.text(node.pattern);
    case "columns":
      w.u8(COMPARISONS.indexOf(node.operator));
      w.u32(node.left.id);
      return w.u32(node.right.id);
    case "contains":
      w.u8(node.mode === "all" ? 1 : 0);
      writeOperand(w, node.operand);
      return writeList(w, node.items);
    case "spatial":
      w.u8(SPATIAL_RELATIONS.indexOf(node.relation));
      w.u32(node.field.id);
      if (node.relation !== "valid") w.text(node.geometry);
      if (node.relation === "near") w.f64(node.distance);
      return;
  }
}

function writeOperand(w: Writer, operand: Operand): void {
  w.u8(OPERAND[operand.kind]);
  switch (operand.kind) {
    case "column":
      return w.u32(operand.field.id);
    case "json":
      w.u32(operand.field.id);
      w.u32(operand.steps.length);
      for (const step of operand.steps) {
        w.u8(typeof step === "string" ? 0 : 1);
        if (typeof step === "string") w.text(step);
        else w.u32(step);
      }
      return;
    case "element":
      w.u32(operand.field.id);
      return w.u32(operand.index);
    case "length":
      return writeOperand(w, operand.of);
    case "arithmetic":
      w.u8(ARITHMETIC.indexOf(operand.operator));
      writeOperand(w, operand.of);
      return writeLiteral(w, operand.constant);
  }
}

function writeLiteral(w: Writer, literal: Literal): void {
  w.u8(LITERAL[literal.type]);
  switch (literal.type) {
    case "bool":
      return w.u8(literal.value ? 1 : 0);
    case "int":
      return w.i64(literal.value);
    case "float":
      return w.f64(literal.value);
    case "string":
      return w.text(literal.value);
    case "array":
      return writeList(w, literal.value);
  }
}

function writeList(w: Writer, items: readonly Literal[]): void {
  const ints = items.every((item) => item.type === "int");
  w.u8(ints ? LIST.ints : LIST.mixed);
  w.u32(items.length);
  for (const item of items) {
    if (ints && item.type === "int") w.i64(item.value);
    else writeLiteral(w, item);
  }
}

/** Little-endian bytes in a buffer that doubles. */
class Writer {
  private buffer = new Uint8Array(256);
  private view = new DataView(this.buffer.buffer);
  private length = 0;

  bytes(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  u8(value: number): void {
    const at = this.take(1);
    this.view.setUint8(at, value);
  }

  u32(value: number): void {
    const at = this.take(4);
    this.view.setUint32(at, value, true);
  }

  i64(value: bigint): void {
    const at = this.take(8);
    this.view.setBigInt64(at, value, true);
  }

  f64(value: number): void {
    const at = this.take(8);
    this.view.setFloat64(at, value, true);
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u32(bytes.length);
    const at = this.take(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** Reserves bytes and returns where they start; growing replaces `buffer` and `view`. */
  private take(bytes: number): number {
    const start = this.length;
    this.length += bytes;
    if (this.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length));
      larger.set(this.buffer.subarray(0, start));
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    }
    return start;
  }
}
