/** Page and iterator of a query, from its flat parameters (contract/grpc.md 6.5). */
import type { SearchParams } from "@elanus/model/contract/proxy";
import type { CollectionId } from "@elanus/model/id";
import { succeed, type Outcome } from "@elanus/model/outcome";
import { isTrue, parseFlag, refuse, textParam, WINDOW_MAX } from "./flat-params.ts";
import { sameCollection } from "./search-shape.ts";

export interface QueryShape {
  /** Absent: every match. */
  readonly limit?: number;
  readonly offset: number;
  readonly iterator: boolean;
  readonly ignoreGrowing: boolean;
  readonly explain: boolean;
}

export function queryShape(params: SearchParams, collection: CollectionId, counting: boolean): Outcome<QueryShape> {
  const iterator = isTrue(params, "iterator");
  if (iterator) {
    const same = sameCollection(params, collection, "query");
    if (!same.ok) return same;
  }
  const ignoreGrowing = parseFlag(textParam(params, "ignore_growing") ?? "false");
  if (ignoreGrowing === undefined) return refuse("parse ignore growing field failed");
  const common = { iterator, ignoreGrowing, explain: isTrue(params, "explain") };
  const text = textParam(params, "limit");
  if (text === undefined) return succeed({ offset: 0, ...common });
  if (counting) return refuse("count entities with pagination is not allowed");
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit <= 0) return refuse(`limit [${text}] is invalid, should be greater than 0`);
  const offsetText = textParam(params, "offset") ?? "0";
  const offset = Number(offsetText);
  if (!Number.isInteger(offset) || offset < 0) return refuse(`offset [${offsetText}] is invalid, should be gte than 0`);
  if (offset + limit > WINDOW_MAX) {
    return refuse(
      `invalid max query result window, (offset+limit) should be in range [1, ${WINDOW_MAX}], ` +
        `but got ${offset + limit}`,
    );
  }
  return succeed({ limit, offset, ...common });
}
