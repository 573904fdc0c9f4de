import { describe, expect, it } from "vitest";
import {
  aliasNameError,
  collectionNameError,
  databaseNameError,
  fieldNameError,
  indexNameError,
  partitionNameError,
} from "./names.ts";

const long = "a".repeat(256);
const umlauts = "ä".repeat(128);

describe("names", () => {
  it.each([
    ["c1", undefined],
    ["_c", undefined],
    ["", "collection name should not be empty"],
    ["1c", "Invalid collection name: 1c. the first character of a collection name must be an underscore or letter"],
    ["c-1", "collection name can only contain numbers, letters and underscores"],
    [long, "the length of a collection name must be less than 255 characters"],
    [umlauts, "the length of a collection name must be less than 255 characters"],
    ["a".repeat(255), undefined],
  ])("collection %j", (name, text) => {
    expectText(collectionNameError(name), text);
  });

  it("alias texts say alias", () => {
    expectText(aliasNameError(""), "collection alias should not be empty");
    expectText(aliasNameError("1"), "Invalid collection alias: 1. the first character of a collection alias");
  });

  it.each([
    ["p-1", undefined],
    ["1p", undefined],
    ["", "Invalid partition name: . Partition name should not be empty."],
    ["-p", "The first character of a partition name must be an underscore or letter."],
    [long, "The length of a partition name must be less than 255 characters."],
  ])("partition %j", (name, text) => {
    expectText(partitionNameError(name), text);
  });

  it("databases have their own kind of refusal", () => {
    expect(databaseNameError("db1")).toBeUndefined();
    expect(databaseNameError("1db")).toMatchObject({ kind: "invalidDatabaseName", database: "1db" });
  });

  it("fields cannot take words of the filter language or system names", () => {
    expectText(fieldNameError("in"), "Invalid field name: in. in is keyword in milvus.");
    expect(fieldNameError("RowID")).toMatchObject({
      kind: "fieldNameInvalid",
      message: "Invalid field name: RowID. RowID is a reserved field name.",
    });
    expectText(fieldNameError("ARRAY_LENGTH"), "ARRAY_LENGTH is keyword in milvus.");
    expect(fieldNameError("income")).toBeUndefined();
  });

  it("index names allow brackets", () => {
    expect(indexNameError("")).toBeUndefined();
    expect(indexNameError("s[v]")).toBeUndefined();
    expectText(indexNameError("1"), "Invalid index name: 1");
  });
});

function expectText(error: unknown, text: string | undefined): void {
  if (text === undefined) expect(error).toBeUndefined();
  else expect(error).toMatchObject({ message: expect.stringContaining(text) });
}
