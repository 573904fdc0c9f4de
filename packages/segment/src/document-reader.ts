/** Checked reading of a JSON document: a field of the wrong type is a named failure, never a wrong value. */
export class MalformedDocument extends Error {}

const INTEGER_64 = /^-?\d{1,20}$/;

export function readDocument(body: Uint8Array): DocumentReader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new MalformedDocument("document is not JSON");
  }
  return new DocumentReader(value, "document");
}

export class DocumentReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new MalformedDocument(`${path} is not an object`);
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") throw this.#wrong(name, "text");
    return value;
  }

  flag(name: string): boolean {
    const value = this.#fields[name];
    if (typeof value !== "boolean") throw this.#wrong(name, "a flag");
    return value;
  }

  number(name: string): number {
    const value = this.#fields[name];
    if (typeof value !== "number") throw this.#wrong(name, "a number");
    return value;
  }

  count(name: string): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < 0) throw this.#wrong(name, "a count");
    return value;
  }

  integer64(name: string): bigint {
    const value = this.#fields[name];
    if (typeof value !== "string" || !INTEGER_64.test(value)) throw this.#wrong(name, "a 64-bit number as text");
    return BigInt(value);
  }

  object(name: string): DocumentReader {
    return new DocumentReader(this.#fields[name], `${this.#path}.${name}`);
  }

  list<T>(name: string, read: (item: DocumentReader) => T): readonly T[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) throw this.#wrong(name, "a list");
    return value.map((item: unknown, index) => read(new DocumentReader(item, `${this.#path}.${name}[${index}]`)));
  }

  #wrong(name: string, expected: string): MalformedDocument {
    return new MalformedDocument(`${this.#path}.${name} is not ${expected}`);
  }
}
