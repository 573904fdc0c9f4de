/** Names as clients may choose them, with Milvus's refusals word for word. */
import type { DbError } from "@elanus/model/error";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";

const NAME_BYTES_MAX = 255;
const IDENTIFIER = /^[A-Za-z0-9_]*$/;
const FIRST_CHARACTER = /^[A-Za-z_]/;
const valid: Outcome<void> = succeed(undefined);

/** Words of the filter language; a field of such a name could not be asked for. */
const keywords = new Set(
  `
  in not exists like and or is null true false text_match phrase_match random_sample json_contains
  json_contains_all json_contains_any array_contains array_contains_all array_contains_any array_length
  st_equals st_touches st_overlaps st_crosses st_contains st_intersects st_within st_dwithin st_isvalid
`
    .trim()
    .split(/\s+/),
);

const reservedFieldNames = new Set(["RowID", "Timestamp", "$meta", "$namespace_id", "__virtual_pk__"]);

export function checkCollectionName(name: string): Outcome<void> {
  return checkCollectionLike(name, "name");
}

export function checkAliasName(name: string): Outcome<void> {
  return checkCollectionLike(name, "alias");
}

function checkCollectionLike(name: string, what: "name" | "alias"): Outcome<void> {
  if (name === "") return invalid(`collection ${what} should not be empty`);
  const problem = problemOf(name, `a collection ${what}`, `collection ${what}`);
  return problem === undefined ? valid : invalid(`Invalid collection ${what}: ${name}. ${problem}`);
}

export function checkDatabaseName(name: string): Outcome<void> {
  if (name === "")
    return fail({ kind: "invalidDatabaseName", database: name, message: "database name couldn't be empty" });
  const problem = problemOf(name, "a database name", "database name");
  return problem === undefined ? valid : fail({ kind: "invalidDatabaseName", database: name, message: problem });
}

export function checkPartitionName(name: string): Outcome<void> {
  const start = `Invalid partition name: ${name}. `;
  if (name === "") return invalid(`${start}Partition name should not be empty.`);
  if (bytesOf(name) > NAME_BYTES_MAX)
    return invalid(`${start}The length of a partition name must be less than 255 characters.`);
  if (!/^[A-Za-z0-9_]/.test(name)) {
    return invalid(`${start}The first character of a partition name must be an underscore or letter.`);
  }
  if (!/^[A-Za-z0-9_-]*$/.test(name))
    return invalid(`${start}Partition name can only contain numbers, letters and underscores.`);
  return valid;
}

export function checkFieldName(name: string): Outcome<void> {
  const refuse = (why: string): Outcome<void> => fail({ kind: "fieldNameInvalid", field: name, message: why });
  if (name === "") return refuse("field name should not be empty");
  const start = `Invalid field name: ${name}. `;
  if (bytesOf(name) > NAME_BYTES_MAX)
    return refuse(`${start}The length of a field name must be less than 255 characters.`);
  if (!FIRST_CHARACTER.test(name))
    return refuse(`${start}The first character of a field name must be an underscore or letter.`);
  if (!IDENTIFIER.test(name)) return refuse(`${start}Field name can only contain numbers, letters, and underscores.`);
  if (keywords.has(name) || (keywords.has(name.toLowerCase()) && name === name.toUpperCase())) {
    return refuse(`${start}${name} is keyword in milvus.`);
  }
  if (reservedFieldNames.has(name)) return refuse(`${start}${name} is a reserved field name.`);
  return valid;
}

/** Empty is allowed: the field's name is taken then. */
export function checkIndexName(name: string): Outcome<void> {
  const start = `Invalid index name: ${name}. `;
  if (name === "") return valid;
  if (bytesOf(name) > NAME_BYTES_MAX)
    return invalid(`${start}The length of an index name must be less than 255 characters.`);
  if (!FIRST_CHARACTER.test(name))
    return invalid(`${start}The first character of an index name must be an underscore or letter.`);
  if (!/^[A-Za-z0-9_[\]]*$/.test(name))
    return invalid(`${start}Index name can only contain numbers, letters, and underscores.`);
  return valid;
}

function problemOf(name: string, anA: string, what: string): string | undefined {
  if (bytesOf(name) > NAME_BYTES_MAX) return `the length of ${anA} must be less than 255 characters`;
  if (!FIRST_CHARACTER.test(name)) return `the first character of ${anA} must be an underscore or letter`;
  if (!IDENTIFIER.test(name)) return `${what} can only contain numbers, letters and underscores`;
  return undefined;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function invalid(message: string): Outcome<void> {
  const error: DbError = { kind: "invalidParameter", message };
  return fail(error);
}
