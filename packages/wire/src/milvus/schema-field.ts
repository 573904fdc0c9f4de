/** One field of a new collection, from Milvus's message to the model's. The coordinator checks it. */
import { type DbError, invalid } from "@elanus/model/error";
import type { FieldId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { DataType, type FieldSchema, isVector, type ScalarValue } from "@elanus/model/schema";
import type * as schema from "../gen/schema.ts";
import { parseInteger, toRecord } from "./key-values.ts";
import { isSupportedType, typeName } from "./type-names.ts";

/** Refused is what the model has no words for. */
export function toFieldSchema(field: schema.FieldSchema, id: FieldId): Outcome<FieldSchema> {
  const type = field.dataType;
  const problem = typeProblem(field) ?? kindProblem(field);
  if (problem !== undefined) return fail(problem);
  if (!isSupportedType(type)) return fail({ kind: "notImplemented", call: `a field of type ${typeName(type)}` });
  const value = defaultOf(field);
  if (!value.ok) return value;
  const typeParams = toRecord(field.typeParams);
  return succeed({
    id,
    name: field.name,
    description: field.description,
    type,
    ...(type === DataType.array ? { elementType: field.elementType as DataType } : {}),
    ...sizesOf(field, typeParams),
    primaryKey: field.isPrimaryKey,
    autoId: field.autoID,
    partitionKey: field.isPartitionKey,
    clusteringKey: field.isClusteringKey,
    nullable: field.nullable,
    ...(value.value === undefined ? {} : { defaultValue: value.value }),
    dynamic: false,
    typeParams,
  });
}

function typeProblem(field: schema.FieldSchema): DbError | undefined {
  const { dataType: type, elementType: element } = field;
  if (type === 0) return invalid("data type None is not valid");
  if (type === 20) return invalid("string data type not supported yet, please use VarChar type instead");
  if (type !== DataType.array) return undefined;
  if (isSupportedType(element) && element !== DataType.geometry) return undefined;
  return invalid(`element type ${typeName(element)} is not supported`);
}

function kindProblem(field: schema.FieldSchema): DbError | undefined {
  if (field.isDynamic) return invalid("cannot explicitly set a field as a dynamic field");
  return field.isFunctionOutput ? { kind: "notImplemented", call: "a function output field" } : undefined;
}

type Sizes = Partial<Pick<FieldSchema, "dim" | "lengthMax" | "capacityMax">>;

/** Sizes that are whole numbers; others stay among the type parameters only. */
function sizesOf(field: schema.FieldSchema, params: FieldSchema["typeParams"]): Sizes {
  const size = (name: keyof Sizes, key: string): Sizes => {
    const text = params[key];
    const number = text === undefined ? undefined : parseInteger(text);
    return number === undefined ? {} : { [name]: number };
  };
  const isArray = field.dataType === DataType.array;
  const isText = (isArray ? field.elementType : field.dataType) === DataType.varChar;
  return {
    ...(isVector(field.dataType as DataType) ? size("dim", "dim") : {}),
    ...(isText ? size("lengthMax", "max_length") : {}),
    ...(isArray ? size("capacityMax", "max_capacity") : {}),
  };
}

function defaultOf(field: schema.FieldSchema): Outcome<ScalarValue | undefined> {
  const given = field.defaultValue;
  if (given === undefined) return succeed(undefined);
  const type = field.dataType;
  if (isVector(type as DataType) || type === DataType.array || type === DataType.json) {
    return fail(invalid(`type not support default_value, type:${typeName(type)}`));
  }
  const value = valueOfType(given, type);
  const found = givenTypeName(given);
  if (value !== undefined || found === undefined) return succeed(value);
  return fail(
    invalid(`type (${typeName(type)}) of field (${field.name}) is not equal to the type(${found}) of default_value`),
  );
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
    case DataType.geometry:
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
