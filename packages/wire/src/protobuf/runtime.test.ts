/** The generated codecs against protobufjs's own reflection over the same descriptors. */
import * as fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import * as common from "../gen/common.ts";
import * as milvus from "../gen/milvus.ts";
import * as schema from "../gen/schema.ts";
import { messageArbitrary, protocolRoot } from "../testing/random-messages.ts";
import { type Codec, decode, encode, MalformedMessage } from "./runtime.ts";

const root = protocolRoot();
/** Fields that are bytes here and messages there: their content is opaque, so the comparison still holds. */
const codecs: ReadonlyMap<string, Codec<unknown>> = new Map(
  Object.entries({ common, milvus, schema }).flatMap(([name, module]) =>
    Object.values(module)
      .filter((one): one is Codec<unknown> => typeof one === "object" && one !== null && "decode" in one)
      .map((codec) => [`milvus.proto.${name}.${codec.name.slice(name.length + 1)}`, codec] as const),
  ),
);

describe("generated codecs", () => {
  test("cover the protocol", () => {
    const packages = ["common", "milvus", "schema"].map((name) => root.lookup(`milvus.proto.${name}`));
    const messages = packages.flatMap((one) => (one instanceof protobuf.Namespace ? messagesBelow(one) : []));
    // Nested messages are joined by an underscore and found under their own names.
    expect(codecs.size).toBe(messages.length);
  });

  test("read what protobufjs wrote and write what it reads back, for every message type", () => {
    for (const [name, codec] of codecs) {
      const type = root.lookupType(name);
      fc.assert(
        fc.property(messageArbitrary(type), (message) => {
          const bytes = type.encode(message).finish();
          const again = encode(codec, decode(codec, bytes) as never);
          expect(asPlain(type, again)).toEqual(asPlain(type, bytes));
        }),
        { numRuns: 8 },
      );
    }
  });

  test("refuse random bytes with MalformedMessage and nothing else", () => {
    const names = [...codecs.keys()];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 200 }), (name, bytes) => {
        const codec = codecs.get(name);
        if (codec !== undefined) expectDecodedOrMalformed(codec, bytes);
      }),
      { numRuns: 5_000 },
    );
  });

  test("refuse every truncation of a message or read less of it, never beyond", () => {
    const type = root.lookupType("milvus.proto.milvus.SearchRequest");
    fc.assert(
      fc.property(messageArbitrary(type), fc.nat(), (message, cut) => {
        const bytes = type.encode(message).finish();
        expectDecodedOrMalformed(milvus.SearchRequestCodec, bytes.subarray(0, cut % (bytes.length + 1)));
      }),
      { numRuns: 300 },
    );
  });

  test("refuse messages nested too deep instead of exhausting the stack", () => {
    const inner = root.lookupType("milvus.proto.schema.TemplateArrayValue").fields["arrayData"]?.id ?? 0;
    const outer = root.lookupType("milvus.proto.schema.TemplateValue").fields["arrayVal"]?.id ?? 0;
    let bytes: Uint8Array = new Uint8Array(0);
    for (let depth = 0; depth < 5_000; depth++) bytes = nest(nest(bytes, 1), inner);
    bytes = nest(bytes, outer);
    expect(() => decode(schema.TemplateValueCodec, bytes)).toThrow(MalformedMessage);
  });

  test("hand out payloads as views of the request", () => {
    const bytes = encode(milvus.InsertRequestCodec, { fieldsData: [new Uint8Array([1, 2, 3])], numRows: 1 });
    const [view] = decode(milvus.InsertRequestCodec, bytes).fieldsData;
    expect([...(view ?? [])]).toEqual([1, 2, 3]);
    expect(view?.buffer).toBe(bytes.buffer);
  });

  test("keep 64-bit integers exact", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (a, b) => {
          const message = { deleteCnt: a, timestamp: b };
          expect(decode(milvus.MutationResultCodec, encode(milvus.MutationResultCodec, message))).toMatchObject(
            message,
          );
        },
      ),
    );
  });

  test("refuse text that is not UTF-8", () => {
    expect(() => decode(common.KeyValuePairCodec, new Uint8Array([0x0a, 0x01, 0xff]))).toThrow(MalformedMessage);
  });
});

function expectDecodedOrMalformed(codec: Codec<unknown>, bytes: Uint8Array): void {
  try {
    decode(codec, bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedMessage);
  }
}

function messagesBelow(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray.flatMap((one) => [
    ...(one instanceof protobuf.Type ? [one] : []),
    ...(one instanceof protobuf.Namespace ? messagesBelow(one) : []),
  ]);
}

function asPlain(type: protobuf.Type, bytes: Uint8Array): unknown {
  return type.toObject(type.decode(bytes), { longs: String, bytes: String, defaults: true, oneofs: true });
}

function nest(inner: Uint8Array, field: number): Uint8Array {
  return protobuf.Writer.create()
    .uint32(field * 8 + 2)
    .bytes(inner)
    .finish();
}
