/**
 * Checks a new collection's schema and gives its fields their ids: 100, 101, … in request order, `$meta`
 * last. Limits and texts: contract/grpc.md 4.1, 4.2, 4.5, 4.12.
 */
import { invalid, type DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import type { Limits } from "@elanus/model/limits";
import { fieldNameError } from "@elanus/model/names";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { geometryKind } from "@elanus/query/filter/wkt";
import {
  DataType,
  dynamicField,
  FIRST_USER_FIELD_ID,
  isVector,
  type CollectionSchema,
  type FieldSchema,
} from "@elanus/model/schema";

const LENGTH_MAX = 65_535;
const CAPACITY_MAX = 4_096;
const DIM_MAX = 32_768;
const BINARY_DIM_MAX = 262_144;
const DESCRIPTION_BYTES_MAX = 1_024;

const ELEMENT_TYPES: ReadonlySet<DataType> = new Set<DataType>([
  DataType.bool,
  DataType.int8,
  DataType.int16,
  DataType.int32,
  DataType.int64,
  DataType.float,
  DataType.double,
  DataType.varChar,
]);
const CLUSTERING_TYPES: ReadonlySet<DataType> = new Set<DataType>([
  DataType.int8,
  DataType.int16,
  DataType.int32,
  DataType.int64,
  DataType.float,
  DataType.double,
  DataType.varChar,
]);
const DEFAULT_TYPES: ReadonlySet<DataType> = new Set<DataType>([DataType.bool, DataType.geometry, ...CLUSTERING_TYPES]);

export function checkSchema(schema: CollectionSchema, limits: Limits): Outcome<CollectionSchema> {
  const fields = schema.fields.filter((field) => !field.dynamic);
  const bad =
    countError(fields, limits) ??
    firstError(fields, (field) => fieldError(field, schema.name)) ??
    uniqueError(fields) ??
    keyError(fields) ??
    vectorsError(fields, limits) ??
    descriptionError(schema);
  if (bad !== undefined) return fail(bad);
  const numbered = fields.map((field, at) => ({ ...field, id: (FIRST_USER_FIELD_ID + at) as FieldId }));
  if (!schema.dynamicFieldEnabled) return succeed({ ...schema, fields: numbered });
  const id = (FIRST_USER_FIELD_ID + numbered.length) as FieldId;
  return succeed({ ...schema, fields: [...numbered, dynamicField(id)] });
}

function countError(fields: readonly FieldSchema[], limits: Limits): DbError | undefined {
  if (fields.length <= limits.fieldsMax) return undefined;
  return invalid(`maximum field's number should be limited to ${limits.fieldsMax}`);
}

function vectorsError(fields: readonly FieldSchema[], limits: Limits): DbError | undefined {
  const vectors = fields.filter((field) => isVector(field.type)).length;
  if (vectors > limits.vectorFieldsMax) {
    return invalid(`maximum vector field's number should be limited to ${limits.vectorFieldsMax}`);
  }
  return vectors === 0 ? invalid("schema does not contain vector field") : undefined;
}

function uniqueError(fields: readonly FieldSchema[]): DbError | undefined {
  const seen = new Set<string>();
  for (const field of fields) {
    if (seen.has(field.name)) return invalid(`duplicated field name ${field.name}`);
    seen.add(field.name);
  }
  return undefined;
}

/** At most one of each kind of key, and a primary one. */
function keyError(fields: readonly FieldSchema[]): DbError | undefined {
  if (!fields.some((field) => field.primaryKey)) return invalid("primary key is not specified");
  return (
    doubledKey("primary", fields, (field) => field.primaryKey) ??
    doubledKey("partition", fields, (field) => field.partitionKey) ??
    doubledKey("clustering", fields, (field) => field.clusteringKey)
  );
}

function doubledKey(
  kind: string,
  fields: readonly FieldSchema[],
  isKey: (field: FieldSchema) => boolean,
): DbError | undefined {
  const [first, second] = fields.filter(isKey);
  if (first === undefined || second === undefined) return undefined;
  return invalid(`there are more than one ${kind} key, field name = ${first.name}, ${second.name}`);
}

/** `collection` is for messages only. */
function fieldError(field: FieldSchema, collection: string): DbError | undefined {
  const name = fieldNameError(field.name);
  if (name !== undefined) return name;
  if (!Object.values(DataType).includes(field.type)) {
    return invalid(`data type ${field.type} is not valid`);
  }
  return (
    elementError(field) ??
    roleError(field) ??
    vectorError(field) ??
    lengthError(field, collection) ??
    capacityError(field, collection) ??
    defaultError(field)
  );
}

function elementError(field: FieldSchema): DbError | undefined {
  if (field.type !== DataType.array) return undefined;
  if (field.elementType !== undefined && ELEMENT_TYPES.has(field.elementType)) return undefined;
  return invalid(`element type ${typeName(field.elementType)} is not supported`);
}

/** What a field may be besides data. */
function roleError(field: FieldSchema): DbError | undefined {
  const isIntegerOrText = field.type === DataType.int64 || field.type === DataType.varChar;
  if (field.primaryKey) {
    if (!isIntegerOrText) return invalid("the data type of primary key should be Int64 or VarChar");
    if (field.nullable) return invalid("primary field not support null");
    if (field.defaultValue !== undefined) return invalid("primary field not support default_value");
    if (field.partitionKey) return invalid("the partition key field must not be primary field");
  } else if (field.autoId) {
    return invalid(`only primary field can speficy AutoID with true, field name = ${field.name}`);
  }
  if (field.partitionKey) {
    if (!isIntegerOrText) return invalid("the data type of partition key should be Int64 or VarChar");
    if (field.nullable) return invalid("partition key field not support nullable");
  }
  if (!field.clusteringKey || CLUSTERING_TYPES.has(field.type)) return undefined;
  return invalid(`data type ${typeName(field.type)} of field ${field.name} can not be a clustering key`);
}

function vectorError(field: FieldSchema): DbError | undefined {
  const text = field.typeParams["dim"];
  if (field.type === DataType.sparseFloatVector) {
    return text === undefined && field.dim === undefined
      ? undefined
      : invalid(`dim should not be specified for sparse vector field ${field.name}`);
  }
  if (!isVector(field.type)) return undefined;
  const { dim } = field;
  if (dim === undefined) {
    if (text !== undefined) return invalid(`invalid dimension: ${text}. should be an integer, field ${field.name}`);
    const what = "dimension is not defined in field type params";
    return invalid(`${what}, check type param \`dim\` for vector field ${field.name}`);
  }
  if (field.type === DataType.binaryVector) return binaryDimError(field, dim);
  if (!Number.isInteger(dim) || dim <= 1) {
    return invalid(`invalid dimension: ${dim}. should be in range 2 ~ ${DIM_MAX}`);
  }
  if (dim <= DIM_MAX) return undefined;
  return invalid(
    `invalid dimension: ${dim} of field ${field.name}. float vector dimension should be in range 2 ~ ${DIM_MAX}`,
  );
}

function binaryDimError(field: FieldSchema, dim: number): DbError | undefined {
  const head = `invalid dimension: ${dim} of field ${field.name}. `;
  if (!Number.isInteger(dim) || dim <= 1)
    return invalid(`invalid dimension: ${dim}. should be in range 2 ~ ${DIM_MAX}`);
  if (dim % 8 !== 0) return invalid(`${head}binary vector dimension should be multiple of 8. `);
  if (dim <= BINARY_DIM_MAX) return undefined;
  return invalid(`${head}binary vector dimension should be in range 8 ~ ${BINARY_DIM_MAX}`);
}

function lengthError(field: FieldSchema, collection: string): DbError | undefined {
  const isText =
    field.type === DataType.varChar || (field.type === DataType.array && field.elementType === DataType.varChar);
  if (!isText) return undefined;
  if (field.lengthMax === undefined) {
    const text = field.typeParams["max_length"];
    if (text !== undefined) return invalid(`the value for max_length of field ${field.name} must be an integer`);
    return {
      kind: "missingParameter",
      message: `type param(max_length) should be specified for the field(${field.name}) of collection ${collection}`,
    };
  }
  if (field.lengthMax > 0 && field.lengthMax <= LENGTH_MAX && Number.isInteger(field.lengthMax)) return undefined;
  return invalid(
    `the maximum length specified for the field(${field.name}) should be in (0, ${LENGTH_MAX}], ` +
      `but got ${field.lengthMax} instead`,
  );
}

function capacityError(field: FieldSchema, collection: string): DbError | undefined {
  if (field.type !== DataType.array) return undefined;
  const { name, capacityMax: capacity } = field;
  if (capacity === undefined) {
    const text = field.typeParams["max_capacity"];
    if (text !== undefined) return invalid(`the value for max_capacity of field ${name} must be an integer`);
    return {
      kind: "missingParameter",
      message: `type param(max_capacity) should be specified for array field(${name}) of collection ${collection}`,
    };
  }
  if (Number.isInteger(capacity) && capacity > 0 && capacity <= CAPACITY_MAX) return undefined;
  return invalid(
    `the maximum capacity specified for a Array should be in (0, ${CAPACITY_MAX}], but got ${capacity} instead`,
  );
}

function defaultError(field: FieldSchema): DbError | undefined {
  const value = field.defaultValue;
  if (value === undefined) return undefined;
  if (!DEFAULT_TYPES.has(field.type)) return invalid(`type not support default_value, type:${typeName(field.type)}`);
  const wanted =
    field.type === DataType.bool
      ? "boolean"
      : field.type === DataType.varChar || field.type === DataType.geometry
        ? "string"
        : field.type === DataType.float || field.type === DataType.double
          ? "number"
          : "bigint";
  if (typeof value !== wanted) {
    return invalid(
      `type (${typeName(field.type)}) of field (${field.name}) is not equal to ` +
        `the type(${typeof value}) of default_value`,
    );
  }
  if (field.type === DataType.geometry && typeof value === "string") {
    return geometryKind(value) !== undefined
      ? undefined
      : invalid(`invalid Geometry data in default_value of field ${field.name}: ${value}`);
  }
  return typeof value === "string" ? textDefaultError(field, value) : numberDefaultError(field, value);
}

function textDefaultError(field: FieldSchema, value: string): DbError | undefined {
  const bytes = new TextEncoder().encode(value).length;
  if (bytes <= (field.lengthMax ?? LENGTH_MAX)) return undefined;
  return {
    kind: "invalidParameter",
    message: `the length (${bytes}) of string exceeds max length (${field.lengthMax})`,
    expected: "valid length string",
    actual: "string length exceeds max length",
  };
}

function numberDefaultError(field: FieldSchema, value: FieldSchema["defaultValue"]): DbError | undefined {
  const bits =
    field.type === DataType.int8 ? 8 : field.type === DataType.int16 ? 16 : field.type === DataType.int32 ? 32 : 64;
  if (typeof value === "bigint" && BigInt.asIntN(bits, value) !== value) {
    const end = 1n << BigInt(bits - 1);
    return invalid(`[${-end}, ${end - 1n}] is the range of field (${field.name}), but the default_value is ${value}`);
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    return invalid(`value '${value}' is not a number or infinity`);
  }
  return undefined;
}

function descriptionError(schema: CollectionSchema): DbError | undefined {
  if (new TextEncoder().encode(schema.description).length <= DESCRIPTION_BYTES_MAX) return undefined;
  return invalid(`the length of collection description should not exceed ${DESCRIPTION_BYTES_MAX} bytes`);
}

function firstError(
  fields: readonly FieldSchema[],
  check: (field: FieldSchema) => DbError | undefined,
): DbError | undefined {
  for (const field of fields) {
    const error = check(field);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** Milvus's spelling of a type, for messages. */
export function typeName(type: DataType | undefined): string {
  const entry = Object.entries(DataType).find(([, number]) => number === type);
  if (entry === undefined) return "None";
  if (type === DataType.json) return "JSON";
  if (type === DataType.bfloat16Vector) return "BFloat16Vector";
  return entry[0].charAt(0).toUpperCase() + entry[0].slice(1);
}
