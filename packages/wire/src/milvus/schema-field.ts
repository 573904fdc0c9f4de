/** One field of a new collection: checked by Milvus's rules, in Milvus's words. */
import type { DbError } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { DataType, type FieldSchema, isVector, type ScalarValue } from "@elanus/model/schema";
import type * as schema from "../gen/schema.ts";
import { parseInteger, toRecord } from "./key-values.ts";
import { checkFieldName } from "./names.ts";
import { isSupportedType, typeName } from "./type-names.ts";

const LENGTH_MAX = 65_535;
const CAPACITY_MAX = 4_096;
const DENSE_DIM_MAX = 32_768;
const BINARY_DIM_MAX = 262_144;

/** `collection` is for messages only. */
export function toFieldSchema(field: schema.FieldSchema, id: FieldId, collection: string): Outcome<FieldSchema> {
  const name = checkFieldName(field.name);
  if (!name.ok) return name;
  const type = field.dataType;
  const problem = typeProblem(field) ?? roleProblem(field);
  if (problem !== undefined) return fail(problem);
  if (!isSupportedType(type)) return fail({ kind: "notImplemented", call: `a field of type ${typeName(type)}` });
  const sizes = sizesOf(field, collection);
  if (!sizes.ok) return sizes;
  const value = defaultOf(field, sizes.value.lengthMax);
  if (!value.ok) return value;
  return succeed({
    id,
    name: field.name,
    description: field.description,
    type,
    ...(type === DataType.array ? { elementType: field.elementType as DataType } : {}),
    ...sizes.value,
    primaryKey: field.isPrimaryKey,
    autoId: field.autoID,
    partitionKey: field.isPartitionKey,
    clusteringKey: field.isClusteringKey,
    nullable: field.nullable,
    ...(value.value === undefined ? {} : { defaultValue: value.value }),
    dynamic: false,
    typeParams: toRecord(field.typeParams),
  });
}

function typeProblem(field: schema.FieldSchema): DbError | undefined {
  const type = field.dataType;
  if (type === 0) return invalid("data type None is not valid");
  if (type === 20) return invalid("string data type not supported yet, please use VarChar type instead");
  if (type !== DataType.array) return undefined;
  const element = field.elementType;
  const scalar =
    isSupportedType(element) && !isVector(element) && element !== DataType.json && element !== DataType.array;
  return scalar ? undefined : invalid(`element type ${typeName(element)} is not supported`);
}

/** What a field may be besides data. */
function roleProblem(field: schema.FieldSchema): DbError | undefined {
  const { name, dataType: type } = field;
  const integerOrText = type === DataType.int64 || type === DataType.varChar;
  if (field.isDynamic) return invalid("cannot explicitly set a field as a dynamic field");
  if (field.isFunctionOutput) return { kind: "notImplemented", call: "a function output field" };
  if (field.isPrimaryKey) {
    if (!integerOrText) return invalid("the data type of primary key should be Int64 or VarChar");
    if (field.nullable) return invalid("primary field not support null");
    if (field.defaultValue !== undefined) return invalid("primary field not support default_value");
    if (field.isPartitionKey) return invalid("the partition key field must not be primary field");
  } else if (field.autoID) return invalid(`only primary field can speficy AutoID with true, field name = ${name}`);
  if (field.isPartitionKey) {
    if (!integerOrText) return invalid("the data type of partition key should be Int64 or VarChar");
    if (field.nullable) return invalid("partition key field not support nullable");
  }
  if (field.isClusteringKey && !mayCluster(type)) {
    const what = `data type ${typeName(type)} of field ${name} can not be a clustering key`;
    return invalid(what);
  }
  return undefined;
}

function mayCluster(type: number): boolean {
  return (
    (type >= DataType.int8 && type <= DataType.int64) ||
    type === DataType.float ||
    type === DataType.double ||
    type === DataType.varChar
  );
}

interface Sizes {
  readonly dim?: number;
  readonly lengthMax?: number;
  readonly capacityMax?: number;
}

function sizesOf(field: schema.FieldSchema, collection: string): Outcome<Sizes> {
  const params = toRecord(field.typeParams);
  if (field.dataType === DataType.sparseFloatVector) {
    if (params["dim"] === undefined) return succeed({});
    return fail(invalid(`dim should not be specified for sparse vector field ${field.name}`));
  }
  if (isVector(field.dataType as DataType)) return dimOf(field, params["dim"]);
  const array = field.dataType === DataType.array;
  const text = field.dataType === DataType.varChar || (array && field.elementType === DataType.varChar);
  const length = text ? lengthOf(field.name, params["max_length"], collection) : succeed({});
  if (!length.ok || !array) return length;
  const capacity = capacityOf(field.name, params["max_capacity"], collection);
  return capacity.ok ? succeed({ ...length.value, ...capacity.value }) : capacity;
}

function dimOf(field: schema.FieldSchema, text: string | undefined): Outcome<Sizes> {
  if (text === undefined)
    return fail(
      invalid(`dimension is not defined in field type params, check type param \`dim\` for vector field ${field.name}`),
    );
  const dim = parseInteger(text);
  if (dim === undefined) return fail(invalid(`invalid dimension: ${text}. should be an integer, field ${field.name}`));
  if (dim <= 1) return fail(invalid(`invalid dimension: ${dim}. should be in range 2 ~ ${DENSE_DIM_MAX}`));
  const binary = field.dataType === DataType.binaryVector;
  const start = `invalid dimension: ${dim} of field ${field.name}. `;
  if (binary && dim % 8 !== 0) return fail(invalid(`${start}binary vector dimension should be multiple of 8. `));
  if (binary && dim > BINARY_DIM_MAX)
    return fail(invalid(`${start}binary vector dimension should be in range 2 ~ ${BINARY_DIM_MAX}`));
  if (!binary && dim > DENSE_DIM_MAX)
    return fail(invalid(`${start}float vector dimension should be in range 2 ~ ${DENSE_DIM_MAX}`));
  return succeed({ dim });
}

function lengthOf(name: string, text: string | undefined, collection: string): Outcome<Sizes> {
  if (text === undefined) {
    const message = `type param(max_length) should be specified for the field(${name}) of collection ${collection}`;
    return fail({ kind: "missingParameter", message });
  }
  const length = parseInteger(text);
  if (length === undefined) return fail(invalid(`the value for max_length of field ${name} must be an integer`));
  if (length > 0 && length <= LENGTH_MAX) return succeed({ lengthMax: length });
  return fail(
    invalid(
      `the maximum length specified for the field(${name}) should be in (0, ${LENGTH_MAX}], but got ${length} instead`,
    ),
  );
}

function capacityOf(name: string, text: string | undefined, collection: string): Outcome<Sizes> {
  if (text === undefined) {
    const message = `type param(max_capacity) should be specified for array field(${name}) of collection ${collection}`;
    return fail({ kind: "missingParameter", message });
  }
  const capacity = parseInteger(text);
  if (capacity === undefined) return fail(invalid(`the value for max_capacity of field ${name} must be an integer`));
  if (capacity > 0 && capacity <= CAPACITY_MAX) return succeed({ capacityMax: capacity });
  return fail(
    invalid(
      `the maximum capacity specified for a Array should be in (0, ${CAPACITY_MAX}], but got ${capacity} instead`,
    ),
  );
}

const integerRanges: Readonly<Record<number, readonly [bigint, bigint]>> = {
  [DataType.int8]: [-128n, 127n],
  [DataType.int16]: [-32_768n, 32_767n],
  [DataType.int32]: [-2_147_483_648n, 2_147_483_647n],
};

function defaultOf(field: schema.FieldSchema, lengthMax: number | undefined): Outcome<ScalarValue | undefined> {
  const given = field.defaultValue;
  if (given === undefined) return succeed(undefined);
  const type = field.dataType;
  if (isVector(type as DataType) || type === DataType.array || type === DataType.json) {
    return fail(invalid(`type not support default_value, type:${typeName(type)}`));
  }
  const value = valueOfType(given, type);
  if (value === undefined) {
    const found = givenTypeName(given);
    if (found === undefined) return succeed(undefined);
    return fail(
      invalid(`type (${typeName(type)}) of field (${field.name}) is not equal to the type(${found}) of default_value`),
    );
  }
  const range = integerRanges[type];
  if (range !== undefined && typeof value === "bigint" && (value < range[0] || value > range[1])) {
    return fail(
      invalid(`[${range[0]}, ${range[1]}] is the range of field (${field.name}), but the default_value is ${value}`),
    );
  }
  if (typeof value === "number" && !Number.isFinite(value))
    return fail(invalid(`value '${value}' is not a number or infinity`));
  if (typeof value === "string" && lengthMax !== undefined && new TextEncoder().encode(value).length > lengthMax) {
    const bytes = new TextEncoder().encode(value).length;
    return fail(
      invalid(
        `the length (${bytes}) of string exceeds max length (${lengthMax})`,
        `valid length string`,
        "string length exceeds max length",
      ),
    );
  }
  return succeed(value);
}

function valueOfType(given: schema.ValueField, type: number): ScalarValue | undefined {
  switch (type) {
    case DataType.bool:
      return given.boolData;
    case DataType.int8:
    case DataType.int16:
    case DataType.int32:
      return given.intData === undefined ? undefined : BigInt(given.intData);
    case DataType.int64:
      return given.longData;
    case DataType.float:
      return given.floatData;
    case DataType.double:
      return given.doubleData;
    case DataType.varChar:
      return given.stringData;
    default:
      return undefined;
  }
}

/** Undefined for a value message without a value: no default. */
function givenTypeName(given: schema.ValueField): string | undefined {
  if (given.boolData !== undefined) return "Bool";
  if (given.intData !== undefined) return "Int32";
  if (given.longData !== undefined) return "Int64";
  if (given.floatData !== undefined) return "Float";
  if (given.doubleData !== undefined) return "Double";
  if (given.stringData !== undefined) return "VarChar";
  if (given.bytesData !== undefined) return "JSON";
  return given.timestamptzData === undefined ? undefined : "Timestamptz";
}

function invalid(message: string, expected?: string, actual?: string): DbError {
  if (expected === undefined || actual === undefined) return { kind: "invalidParameter", message };
  return { kind: "invalidParameter", message, expected, actual };
}
