/** Columns of a write as Milvus's `FieldData` messages: vectors' bytes go as they are, other values by the codec. */
import { delimited, joined, varint } from "@elanus/model/delimited";
import { type CollectionSchema, DataType, type FieldSchema, isVector } from "@elanus/model/schema";
import { FieldDataCodec, type ScalarField } from "@elanus/wire/gen/schema";
import { encode, type Init } from "@elanus/wire/protobuf/runtime";
import { done, invalid, type RestOutcome } from "@elanus/wire/rest/failure";

/**
 * All values of one field. Vectors lie behind one another: `Float32Array` for float vectors, `Int8Array` for int8
 * ones, `Uint8Array` with their bytes for binary, float16 and bfloat16 ones.
 */
export type Column =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | readonly (number | bigint | string | boolean)[];

interface ColumnData {
  readonly fields: readonly Uint8Array[];
  readonly rowCount: number;
}

export function columnData(
  columns: Readonly<Record<string, Column>>,
  schema: CollectionSchema,
): RestOutcome<ColumnData> {
  const fields: Uint8Array[] = [];
  let rowCount = 0;
  for (const [name, column] of Object.entries(columns)) {
    const field = schema.fields.find((one) => one.name === name);
    if (field === undefined) return invalid(`the collection ${schema.name} has no field ${name}`);
    const message = isVector(field.type) ? vectors(field, column) : scalars(field, column);
    if (message === undefined) {
      const what = column.constructor.name;
      return invalid(`the field ${name} cannot be given as a column in ${what}; give its values in rows`);
    }
    fields.push(message);
    const count = isVector(field.type) ? bytesOf(column).length / vectorBytes(field) : column.length;
    if (!Number.isInteger(count)) return invalid(`the column ${name} does not hold whole vectors of ${field.dim}`);
    if (fields.length > 1 && count !== rowCount) {
      return invalid(`the column ${name} has ${count} rows where those before have ${rowCount}`);
    }
    rowCount = count;
  }
  return done({ fields, rowCount });
}

/** Field of `VectorField`, bytes of an element, and the array that holds it. */
const vectorForms: ReadonlyMap<DataType, { readonly tag: number; readonly bytes: number; readonly of: string }> =
  new Map([
    [DataType.floatVector, { tag: 2, bytes: 4, of: "Float32Array" }],
    [DataType.binaryVector, { tag: 3, bytes: 1 / 8, of: "Uint8Array" }],
    [DataType.float16Vector, { tag: 4, bytes: 2, of: "Uint8Array" }],
    [DataType.bfloat16Vector, { tag: 5, bytes: 2, of: "Uint8Array" }],
    [DataType.int8Vector, { tag: 7, bytes: 1, of: "Int8Array" }],
  ]);

function vectorBytes(field: FieldSchema): number {
  return (field.dim ?? 0) * (vectorForms.get(field.type)?.bytes ?? 0);
}

function bytesOf(column: Column): Uint8Array {
  return ArrayBuffer.isView(column)
    ? new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
    : new Uint8Array(0);
}

function vectors(field: FieldSchema, column: Column): Uint8Array | undefined {
  const form = vectorForms.get(field.type);
  if (form === undefined || column.constructor.name !== form.of) return undefined;
  const bytes = bytesOf(column);
  // Floats are a list of their own inside the message.
  const value = delimited(form.tag, field.type === DataType.floatVector ? [delimited(1, [bytes])] : [bytes]);
  const named = encode(FieldDataCodec, { type: field.type, fieldName: field.name });
  const dim = [Uint8Array.of(0x08), varint(field.dim ?? 0)];
  return joined([named, delimited(4, [...dim, value])]);
}

function scalars(field: FieldSchema, column: Column): Uint8Array | undefined {
  const data = scalarData(field.type, column);
  return data && encode(FieldDataCodec, { type: field.type, fieldName: field.name, scalars: data });
}

function scalarData(type: DataType, column: Column): Init<ScalarField> | undefined {
  const values: readonly (number | bigint | string | boolean)[] = Array.isArray(column)
    ? column
    : Array.from(column as Iterable<number | bigint>);
  switch (type) {
    case DataType.bool:
      return all(values, isBoolean) ? { boolData: { data: values } } : undefined;
    case DataType.int8:
    case DataType.int16:
    case DataType.int32:
      return all(values, isInteger) ? { intData: { data: values } } : undefined;
    case DataType.int64:
      return all(values, isWhole) ? { longData: { data: values.map(BigInt) } } : undefined;
    case DataType.float:
      return all(values, isNumber) ? { floatData: { data: values } } : undefined;
    case DataType.double:
      return all(values, isNumber) ? { doubleData: { data: values } } : undefined;
    case DataType.varChar:
      return all(values, isText) ? { stringData: { data: values } } : undefined;
    default:
      return undefined;
  }
}

function all<T>(values: readonly unknown[], is: (value: unknown) => value is T): values is readonly T[] {
  return values.every(is);
}
const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
const isNumber = (value: unknown): value is number => typeof value === "number";
const isInteger = (value: unknown): value is number => Number.isInteger(value);
const isWhole = (value: unknown): value is number | bigint => typeof value === "bigint" || Number.isSafeInteger(value);
const isText = (value: unknown): value is string => typeof value === "string";
