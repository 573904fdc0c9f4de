/** Page and iterator of a query, from its flat parameters (contract/grpc.md 6.5). */
import type { SearchParams } from "@elanus/model/contract/proxy";
import type { CollectionId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";

export interface QueryShape {
  /** Absent: every match. */
  readonly limit?: number;
  readonly offset: number;
  readonly iterator: boolean;
}

const WINDOW_MAX = 16_384;

export function queryShape(params: SearchParams, collection: CollectionId, counting: boolean): Outcome<QueryShape> {
  const iterator = /^(1|t|true)$/i.test(params.get("iterator") ?? "");
  const id = value(params, "collection_id");
  if (iterator && id !== undefined && id !== "0" && id !== String(collection)) {
    return refuse(
      `collection id:${id} in the request is not consistent to that in the query context,` +
        `alias or database may have been changed: ${collection}`,
    );
  }
  const text = value(params, "limit");
  if (text === undefined) return succeed({ offset: 0, iterator });
  if (counting) return refuse("count entities with pagination is not allowed");
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit <= 0) return refuse(`limit [${text}] is invalid, should be greater than 0`);
  const offsetText = value(params, "offset") ?? "0";
  const offset = Number(offsetText);
  if (!Number.isInteger(offset) || offset < 0) return refuse(`offset [${offsetText}] is invalid, should be gte than 0`);
  if (offset + limit > WINDOW_MAX) {
    return refuse(
      `invalid max query result window, (offset+limit) should be in range [1, ${WINDOW_MAX}], but got ${offset + limit}`,
    );
  }
  return succeed({ limit, offset, iterator });
}

function value(params: SearchParams, key: string): string | undefined {
  const text = params.get(key);
  return text === undefined || text === "" ? undefined : text;
}

function refuse(message: string): ReturnType<typeof fail> {
  return fail({ kind: "invalidParameter", message });
}
