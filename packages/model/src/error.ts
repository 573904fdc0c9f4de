/**
 * Every failure that a user can meet, in the user's own names. The edge (`wire/milvus/status.ts`) maps a
 * kind to Milvus's code and words; nothing inward of it knows a code.
 */
export type DbError =
  | { readonly kind: "collectionNotFound"; readonly database: string; readonly collection: string }
  | { readonly kind: "collectionNotLoaded"; readonly collection: string }
  | { readonly kind: "collectionNotFullyLoaded"; readonly collection: string }
  | { readonly kind: "collectionSchemaMismatch"; readonly collection: string }
  | { readonly kind: "collectionLimit"; readonly limit: number }
  | { readonly kind: "illegalSchema"; readonly message: string }
  | { readonly kind: "partitionNotFound"; readonly partition: string }
  | { readonly kind: "partitionNotLoaded"; readonly partition: string }
  | { readonly kind: "databaseNotFound"; readonly database: string }
  | { readonly kind: "databaseLimit"; readonly limit: number }
  | { readonly kind: "invalidDatabaseName"; readonly database: string; readonly message: string }
  | { readonly kind: "aliasNotFound"; readonly database: string; readonly alias: string }
  | { readonly kind: "aliasCollectionConflict"; readonly database: string; readonly alias: string }
  | { readonly kind: "aliasExists"; readonly database: string; readonly alias: string; readonly message: string }
  | { readonly kind: "indexNotFound"; readonly collection: string; readonly index?: string }
  | { readonly kind: "indexDuplicate"; readonly message: string }
  | { readonly kind: "indexOnLoadedCollection"; readonly collection: string; readonly message: string }
  | { readonly kind: "fieldNotFound"; readonly field: string; readonly message: string }
  | { readonly kind: "fieldNameInvalid"; readonly field: string; readonly message: string }
  /** The caller's arguments are wrong; `message` is the whole explanation without Milvus's suffix. */
  | {
      readonly kind: "invalidParameter";
      readonly message: string;
      readonly expected?: string;
      readonly actual?: string;
    }
  | { readonly kind: "missingParameter"; readonly message: string }
  | { readonly kind: "parameterTooLarge"; readonly message: string }
  | { readonly kind: "planFailed"; readonly message: string }
  | { readonly kind: "notImplemented"; readonly call: string }
  | { readonly kind: "notReady"; readonly message: string }
  | { readonly kind: "overloaded"; readonly what: string }
  | { readonly kind: "rateLimited"; readonly message: string }
  | { readonly kind: "memoryLimit"; readonly message: string }
  | { readonly kind: "diskLimit"; readonly message: string }
  /** A stored file is damaged; `file` is its path below the data folder. */
  | { readonly kind: "fileCorrupt"; readonly file: string; readonly message: string }
  | { readonly kind: "ioFailed"; readonly message: string }
  /**
   * This node no longer owns the log it tried to append to. The caller looks the owner up again. `term`: the newer
   * owner's, where it is known.
   */
  | { readonly kind: "fenced"; readonly channel: string; readonly term?: number }
  /** Another commit came first. The caller looks at what it made and does its own again. */
  | { readonly kind: "overtaken"; readonly message: string }
  /** An object waited so long for the commit that names it that it was collected as garbage. */
  | { readonly kind: "objectCollected"; readonly key: string }
  | { readonly kind: "deadlineExceeded"; readonly message: string }
  | { readonly kind: "cancelled"; readonly message: string }
  | { readonly kind: "internal"; readonly message: string };

export type DbErrorKind = DbError["kind"];

/** The caller's arguments are wrong. */
export function invalid(message: string): DbError {
  return { kind: "invalidParameter", message };
}

/** Carries a `DbError` through code that must throw (streams, callbacks of libraries). */
export class DbFailure extends Error {
  readonly error: DbError;
  constructor(error: DbError) {
    super(describeError(error));
    this.name = "DbFailure";
    this.error = error;
  }
}

/** A plain sentence for logs; clients get Milvus's words from the wire's map. */
export function describeError(error: DbError): string {
  const { kind, ...fields } = error;
  return `${kind} ${JSON.stringify(fields)}`;
}
