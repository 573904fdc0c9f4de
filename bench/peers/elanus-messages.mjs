/** Milvus's messages of a collection with a key and a vector, written by hand: the vectors are copied, not walked. */
import { plainField } from "../../packages/model/dist/schema.js";

export const vectorField = 101;

export function schemaOf(addon, dim) {
  return new addon.Schema(
    JSON.stringify({
      name: "peer",
      description: "",
      fields: [
        plainField({ id: 100, name: "id", type: 5, primaryKey: true }),
        plainField({ id: vectorField, name: "vector", type: 101, dim, typeParams: { dim: String(dim) } }),
      ],
      dynamicFieldEnabled: false,
      version: 0,
    }),
  );
}

/** Milvus's `FieldData` of keys start..end, and of vectors. */
export function keyField(start, end) {
  const keys = Buffer.concat(Array.from({ length: end - start }, (_, i) => varint(start + i)));
  return Buffer.concat([
    Buffer.from([0x08, 5]),
    delimited(2, Buffer.from("id")),
    delimited(3, delimited(3, delimited(1, keys))),
  ]);
}

export function vectorFieldData(values, dim) {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const vectors = Buffer.concat([Buffer.from([0x08]), varint(dim), delimited(2, delimited(1, bytes))]);
  return Buffer.concat([Buffer.from([0x08, 101]), delimited(2, Buffer.from("vector")), delimited(4, vectors)]);
}

export function delimited(field, bytes) {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  bytes.push(value);
  return Buffer.from(bytes);
}
