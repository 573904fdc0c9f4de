/** Query vectors of a caller in this process, in a form that native code reads. */
import { delimited } from "@elanus/model/delimited";
import { DataType } from "@elanus/model/schema";

const utf8 = new TextEncoder();

/**
 * A `PlaceholderGroup` message over the vectors' own bytes where the field has 32-bit floats. Native code makes the
 * elements of other fields, and their refusals, from JSON.
 */
export function placeholdersOf(
  vectors: readonly Float32Array[],
  type: DataType,
): { readonly kind: "message"; readonly bytes: Uint8Array } | { readonly kind: "json"; readonly vectors: Uint8Array } {
  if (type !== DataType.floatVector) {
    const text = JSON.stringify(vectors.map((vector) => Array.from(vector)));
    return { kind: "json", vectors: utf8.encode(text) };
  }
  const values = vectors.map(({ buffer, byteOffset, byteLength }) =>
    delimited(3, [new Uint8Array(buffer, byteOffset, byteLength)]),
  );
  const tag = delimited(1, [utf8.encode("$0")]);
  const ofFloats = Uint8Array.from([0x10, DataType.floatVector]);
  return { kind: "message", bytes: delimited(1, [tag, ofFloats, ...values]) };
}
