import { describe, expect, it } from "vitest";
import type { FieldId } from "@elanus/model/id";
import { DataType, plainField, type CollectionSchema } from "@elanus/model/schema";
import { collectionPropertyError } from "./properties.ts";

const key = plainField({ id: 100 as FieldId, name: "id", type: DataType.int64, primaryKey: true });
const schema: CollectionSchema = { name: "c", description: "", fields: [key], dynamicFieldEnabled: false, version: 0 };

describe("collection properties", () => {
  it.each([
    ["collection.ttl.seconds", "-2", "collection TTL is out of range, expect [-1, 3155760000], got -2"],
    ["collection.ttl.seconds", "1h", "collection TTL is not an integer: 1h"],
    ["timezone", "Moon/Base", "unknown or invalid IANA Time Zone ID: Moon/Base"],
    ["mmap.enabled", "maybe", "invalid mmap.enabled value: maybe, expected: true, false"],
    ["dynamicfield.enabled", "maybe", "invalid dynamic schema property value: maybe"],
    ["partitionkey.isolation", "true", "no partition key field is set. Please set the partition key first"],
    ["allow_insert_auto_id", "true", "allow_insert_auto_id can only be set when the primary key is autoID"],
  ])("refuses %s = %s", (name, value, text) => {
    expect(collectionPropertyError({ [name]: value }, schema)).toMatchObject({
      message: expect.stringContaining(text),
    });
  });

  it("takes what is right, and keys that nobody knows", () => {
    const keyed = {
      ...schema,
      fields: [
        { ...key, autoId: true },
        { ...key, primaryKey: false, partitionKey: true },
      ],
    };
    const right = {
      "collection.ttl.seconds": "60",
      timezone: "Europe/Berlin",
      "mmap.enabled": "True",
      "partitionkey.isolation": "true",
      allow_insert_auto_id: "true",
      mine: "anything",
    };
    expect(collectionPropertyError(right, keyed)).toBeUndefined();
  });
});
