/** Data types by Milvus's names. */
import { DataType } from "@elanus/model/schema";
import { DataType as WireType } from "../gen/schema.ts";

const names = new Map<number, string>(Object.entries(WireType).map(([name, number]) => [number, name]));
const known = new Set<number>(Object.values(DataType));

/** As Milvus writes it, for instance `VarChar`. */
export function typeName(type: number): string {
  return names.get(type) ?? String(type);
}

/** Number of a type by its exact name. */
export function typeNumber(name: string): number | undefined {
  return Object.hasOwn(WireType, name) ? WireType[name as keyof typeof WireType] : undefined;
}

export function isSupportedType(type: number): type is DataType {
  return known.has(type);
}
