/** Rules for names of databases, collections, aliases, partitions, fields and indexes, with Milvus's refusals. */
import { type DbError, invalid } from "./error.ts";

const NAME_BYTES_MAX = 255;
const FIRST = /^[A-Za-z_]/;
const WORD = /^[A-Za-z0-9_]*$/;
const encoder = new TextEncoder();

/** Functions of the filter language that are words of its grammar, in lower case; upper case is the same word. */
export const FILTER_FUNCTIONS: readonly string[] = [
  "json_contains",
  "json_contains_all",
  "json_contains_any",
  "array_contains",
  "array_contains_all",
  "array_contains_any",
  "array_length",
  "text_match",
  "phrase_match",
  "random_sample",
];
const OPERATORS = ["in", "not", "exists", "like", "and", "or", "is", "null", "true", "false", "isnull", "isnotnull"];
const GEOMETRY = [
  "st_equals",
  "st_touches",
  "st_overlaps",
  "st_crosses",
  "st_contains",
  "st_intersects",
  "st_within",
  "st_dwithin",
  "st_isvalid",
];
/** A filter could not ask for a field of such a name. */
const KEYWORDS: ReadonlySet<string> = new Set(
  [...OPERATORS, ...FILTER_FUNCTIONS, ...GEOMETRY].flatMap((word) => [word, word.toUpperCase()]),
);
const RESERVED: ReadonlySet<string> = new Set(["RowID", "Timestamp", "$meta", "$namespace_id", "__virtual_pk__"]);

export function collectionNameError(name: string): DbError | undefined {
  return plainNameError(name, "name");
}

export function aliasNameError(alias: string): DbError | undefined {
  return plainNameError(alias, "alias");
}

function plainNameError(name: string, noun: "name" | "alias"): DbError | undefined {
  if (name === "") return invalid(`collection ${noun} should not be empty`);
  const head = `Invalid collection ${noun}: ${name}. `;
  if (byteLength(name) > NAME_BYTES_MAX) {
    return invalid(`${head}the length of a collection ${noun} must be less than 255 characters`);
  }
  if (!FIRST.test(name)) {
    return invalid(`${head}the first character of a collection ${noun} must be an underscore or letter`);
  }
  if (!WORD.test(name)) {
    return invalid(`${head}collection ${noun} can only contain numbers, letters and underscores`);
  }
  return undefined;
}

export function databaseNameError(name: string): DbError | undefined {
  const refuse = (message: string): DbError => ({ kind: "invalidDatabaseName", database: name, message });
  if (name === "") return refuse("database name couldn't be empty");
  if (byteLength(name) > NAME_BYTES_MAX)
    return refuse("the length of a database name must be less than 255 characters");
  if (!FIRST.test(name)) return refuse("the first character of a database name must be an underscore or letter");
  if (!WORD.test(name)) return refuse("database name can only contain numbers, letters and underscores");
  return undefined;
}

export function partitionNameError(name: string): DbError | undefined {
  const head = `Invalid partition name: ${name}. `;
  if (name === "") return invalid(`${head}Partition name should not be empty.`);
  if (byteLength(name) > NAME_BYTES_MAX) {
    return invalid(`${head}The length of a partition name must be less than 255 characters.`);
  }
  if (!/^[A-Za-z0-9_]/.test(name)) {
    return invalid(`${head}The first character of a partition name must be an underscore or letter.`);
  }
  if (!/^[A-Za-z0-9_-]*$/.test(name)) {
    return invalid(`${head}Partition name can only contain numbers, letters and underscores.`);
  }
  return undefined;
}

export function fieldNameError(name: string): DbError | undefined {
  const refuse = (why: string): DbError => ({ kind: "fieldNameInvalid", field: name, message: why });
  const head = `Invalid field name: ${name}. `;
  if (name === "") return refuse("field name should not be empty");
  if (byteLength(name) > NAME_BYTES_MAX) {
    return refuse(`${head}The length of a field name must be less than 255 characters.`);
  }
  if (!FIRST.test(name)) return refuse(`${head}The first character of a field name must be an underscore or letter.`);
  if (!WORD.test(name)) {
    return refuse(`${head}Field name can only contain numbers, letters, and underscores.`);
  }
  if (KEYWORDS.has(name)) return refuse(`${head}${name} is keyword in milvus.`);
  return RESERVED.has(name) ? refuse(`${head}${name} is a reserved field name.`) : undefined;
}

/** Empty is allowed: the field's name is taken then. */
export function indexNameError(name: string): DbError | undefined {
  const head = `Invalid index name: ${name}. `;
  if (byteLength(name) > NAME_BYTES_MAX)
    return invalid(`${head}The length of a index name must be less than 255 characters.`);
  if (name !== "" && !FIRST.test(name)) {
    return invalid(`${head}The first character of an index name must be an underscore or letter.`);
  }
  if (!/^[A-Za-z0-9_[\]]*$/.test(name)) {
    return invalid(`${head}Index name can only contain numbers, letters, and underscores.`);
  }
  return undefined;
}

function byteLength(text: string): number {
  return encoder.encode(text).length;
}
