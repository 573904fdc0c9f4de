/**
 * Checks a new collection's schema and gives its fields their ids: 100, 101, … in request order, `$meta`
 * last. Limits and texts: contract/grpc.md 4.1, 4.2, 4.5, 4.12.
 */
import type { DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import type { Limits } from "@elanus/model/limits";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import {
  DataType,
  dynamicField,
  FIRST_USER_FIELD_ID,
  isVector,
  type CollectionSchema,
  type FieldSchema,
} from "@elanus/model/schema";
import { fieldNameError, invalid } from "./names.ts";

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
const DEFAULT_TYPES: ReadonlySet<DataType> = new Set<DataType>([DataType.bool, ...CLUSTERING_TYPES]);

export function checkSchema(schema: CollectionSchema, limits: Limits): Outcome<CollectionSchema> {
  const fields = schema.fields.filter((field) => !field.dynamic);
  const bad =
    countError(fields, limits) ??
    uniqueError(fields) ??
    primaryKeyError(fields) ??
    roleError(fields) ??
    firstError(fields, fieldError) ??
    descriptionError(schema);
  if (bad !== undefined) return fail(bad);
  const numbered = fields.map((field, at) => ({ ...field, id: (FIRST_USER_FIELD_ID + at) as FieldId }));
  if (!schema.dynamicFieldEnabled) return succeed({ ...schema, fields: numbered });
  const id = (FIRST_USER_FIELD_ID + numbered.length) as FieldId;
  return succeed({ ...schema, fields: [...numbered, dynamicField(id)] });
}

function countError(fields: readonly FieldSchema[], limits: Limits): DbError | undefined {
  if (fields.length > limits.fieldsMax) {
    return invalid(`maximum field's number should be limited to ${limits.fieldsMax}`);
  }
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

function primaryKeyError(fields: readonly FieldSchema[]): DbError | undefined {
  const keys = fields.filter((field) => field.primaryKey);
  const [key, second] = keys;
  if (key === undefined) return invalid("primary key is not specified");
  if (second !== undefined) {
    return invalid(`there are more than one primary key, field name = ${key.name}, ${second.name}`);
  }
  if (key.type !== DataType.int64 && key.type !== DataType.varChar) {
    return invalid("the data type of primary key should be Int64 or VarChar");
  }
  if (key.nullable) return invalid("primary field not support null");
  if (key.defaultValue !== undefined) return invalid("primary field not support default_value");
  const wrongAuto = fields.find((field) => field.autoId && !field.primaryKey);
  if (wrongAuto === undefined) return undefined;
  return invalid(`only primary field can speficy AutoID with true, field name = ${wrongAuto.name}`);
}

function roleError(fields: readonly FieldSchema[]): DbError | undefined {
  const partitions = fields.filter((field) => field.partitionKey);
  const [partition, second] = partitions;
  if (partition !== undefined && second !== undefined) {
    return invalid(`there are more than one partition key, field name = ${partition.name}, ${second.name}`);
  }
  if (partition !== undefined) {
    if (partition.primaryKey) return invalid("the partition key field must not be primary field");
    if (partition.type !== DataType.int64 && partition.type !== DataType.varChar) {
      return invalid("the data type of partition key should be Int64 or VarChar");
    }
    if (partition.nullable) return invalid("partition key field not support nullable");
  }
  const clustering = fields.filter((field) => field.clusteringKey);
  if (clustering.length > 1) {
    return invalid(`there are more than one clustering key, field name = ${clustering.map((f) => f.name).join(", ")}`);
  }
  const wrong = clustering.find((field) => !CLUSTERING_TYPES.has(field.type));
  return wrong === undefined ? undefined : invalid(`clustering key field ${wrong.name} has an unsupported data type`);
}

function fieldError(field: FieldSchema): DbError | undefined {
  const name = fieldNameError(field.name);
  if (name !== undefined) return name;
  if (!Object.values(DataType).includes(field.type)) {
    return invalid(`data type ${field.type} is not valid`);
  }
  return vectorError(field) ?? lengthError(field) ?? arrayError(field) ?? defaultError(field);
}

function vectorError(field: FieldSchema): DbError | undefined {
  const text = field.typeParams["dim"];
  if (field.type === DataType.sparseFloatVector) {
    return text === undefined && field.dim === undefined
      ? undefined
      : invalid(`dim should not be specified for sparse vector field ${field.name}`);
  }
  if (!isVector(field.type)) return undefined;
  if (text !== undefined && !/^-?\d+$/.test(text.trim())) return invalid(`invalid dimension: ${text}`);
  const dim = field.dim ?? (text === undefined ? undefined : Number(text));
  if (dim === undefined)
    return invalid("dimension is not defined in field type params, check type param `dim` for vector field");
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

function lengthError(field: FieldSchema): DbError | undefined {
  const isText =
    field.type === DataType.varChar || (field.type === DataType.array && field.elementType === DataType.varChar);
  if (!isText) return undefined;
  if (field.lengthMax === undefined) {
    const text = field.typeParams["max_length"];
    if (text !== undefined) return invalid(`the value for max_length of field ${field.name} must be an integer`);
    return {
      kind: "missingParameter",
      message: `type param(max_length) should be specified for the field(${field.name})`,
    };
  }
  if (field.lengthMax > 0 && field.lengthMax <= LENGTH_MAX && Number.isInteger(field.lengthMax)) return undefined;
  return invalid(
    `the maximum length specified for the field(${field.name}) should be in (0, ${LENGTH_MAX}], ` +
      `but got ${field.lengthMax} instead`,
  );
}

function arrayError(field: FieldSchema): DbError | undefined {
  if (field.type !== DataType.array) return undefined;
  if (field.elementType === undefined || !ELEMENT_TYPES.has(field.elementType)) {
    return invalid(`element type ${typeName(field.elementType)} is not supported`);
  }
  if (field.capacityMax === undefined) {
    const text = field.typeParams["max_capacity"];
    if (text !== undefined) return invalid(`the value for max_capacity of field ${field.name} must be an integer`);
    return invalid(`type param(max_capacity) should be specified for array field ${field.name}`);
  }
  if (Number.isInteger(field.capacityMax) && field.capacityMax > 0 && field.capacityMax <= CAPACITY_MAX)
    return undefined;
  return invalid(`the maximum capacity specified for a Array should be in (0, ${CAPACITY_MAX}]`);
}

function defaultError(field: FieldSchema): DbError | undefined {
  const value = field.defaultValue;
  if (value === undefined) return undefined;
  if (!DEFAULT_TYPES.has(field.type)) return invalid(`type not support default_value, type:${typeName(field.type)}`);
  const wanted =
    field.type === DataType.bool
      ? "boolean"
      : field.type === DataType.varChar
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
  if (typeof value === "string" && new TextEncoder().encode(value).length > (field.lengthMax ?? LENGTH_MAX)) {
    return invalid(
      `the length (${value.length}) of string exceeds max length (${field.lengthMax}) of field ${field.name}`,
    );
  }
  return integerRangeError(field, value);
}

function integerRangeError(field: FieldSchema, value: FieldSchema["defaultValue"]): DbError | undefined {
  const bits =
    field.type === DataType.int8 ? 8 : field.type === DataType.int16 ? 16 : field.type === DataType.int32 ? 32 : 64;
  if (typeof value === "bigint" && BigInt.asIntN(bits, value) !== value) {
    return invalid(
      `[${value}] is out of range of ${typeName(field.type)} for the default value of field ${field.name}`,
    );
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
