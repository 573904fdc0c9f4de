/** Random messages of any type of the protocol, built from the same descriptors that the codecs come from. */
import { createRequire } from "node:module";
import * as fc from "fast-check";
import protobuf from "protobufjs";
import { longOf, unsignedLongOf } from "../protobuf/runtime.ts";

/** The protocol as protobufjs reads it by itself: the oracle of the generated codecs. */
export function protocolRoot(): protobuf.Root {
  const require = createRequire(import.meta.url);
  const json = require("@zilliz/milvus2-sdk-node/dist/milvus/proto-json/milvus.base.js") as {
    default: protobuf.INamespace;
  };
  return protobuf.Root.fromJSON(json.default).resolveAll() as protobuf.Root;
}

const DEPTH_MAX = 3;

/** A message object as protobufjs encodes it. Text is Unicode, 64-bit values are Long. */
export function messageArbitrary(type: protobuf.Type, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    const value = valueArbitrary(field, depth);
    if (value === undefined) continue;
    if (field instanceof protobuf.MapField)
      fields[field.name] = fc.dictionary(keyArbitrary(field), value, { maxKeys: 3 });
    else if (field.repeated) fields[field.name] = fc.array(value, { maxLength: 3 });
    else fields[field.name] = value;
  }
  return fc.record(fields, { requiredKeys: [] });
}

function valueArbitrary(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> | undefined {
  if (field.resolvedType instanceof protobuf.Enum) return fc.constantFrom(...Object.values(field.resolvedType.values));
  if (field.resolvedType instanceof protobuf.Type) {
    return depth >= DEPTH_MAX ? undefined : messageArbitrary(field.resolvedType, depth + 1);
  }
  switch (field.type) {
    case "bool":
      return fc.boolean();
    case "int32":
      return fc.integer();
    case "uint32":
      return fc.nat({ max: 0xffff_ffff });
    case "int64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(longOf);
    case "uint64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(unsignedLongOf);
    case "float":
      return fc.float({ noNaN: true });
    case "double":
      return fc.double({ noNaN: true });
    case "bytes":
      return fc.uint8Array({ maxLength: 8 });
    default:
      return fc.string({ unit: "grapheme", maxLength: 8 });
  }
}

function keyArbitrary(field: protobuf.MapField): fc.Arbitrary<string> {
  return field.keyType === "string" ? fc.string({ maxLength: 6 }) : fc.integer({ min: 0, max: 1_000 }).map(String);
}
