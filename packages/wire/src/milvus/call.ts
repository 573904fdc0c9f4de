/** One decoded call on its way to a handler. */
import type { ProxyContract } from "@elanus/model/contract/proxy";
import type { CollectionRef } from "@elanus/model/contract/coordinator";
import type { Limits } from "@elanus/model/limits";
import { collectionNameError } from "@elanus/model/names";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Metadata } from "@elanus/platform/ports/transport";
import type { Clock, Telemetry } from "@elanus/platform/ports/world";
import type { Init } from "../protobuf/runtime.ts";

/** What all calls share. */
export interface Environment {
  readonly proxy: ProxyContract;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly limits: Limits;
  /** What GetVersion answers. */
  readonly version: string;
  readonly deployMode: "STANDALONE" | "DISTRIBUTED";
  /** For GetMetrics and GetComponentStates. */
  readonly nodeId: number;
  readonly startedAtMs: number;
}

export interface Call {
  readonly env: Environment;
  readonly metadata: Metadata;
  /** Absolute, by the clock. */
  readonly deadlineMs: number;
}

export type Handler<Request, Response> = (request: Request, call: Call) => Promise<Outcome<Init<Response>>>;

export const DEFAULT_DATABASE = "default";

/** A request's own database, else the connection's, else the default one. */
export function databaseOf(call: Call, named: string): string {
  if (named !== "") return named;
  const header = call.metadata.get("dbname") ?? "";
  return header === "" ? DEFAULT_DATABASE : header;
}

export function refOf(call: Call, database: string, collection: string): Outcome<CollectionRef> {
  const bad = collectionNameError(collection);
  return bad === undefined ? succeed({ database: databaseOf(call, database), name: collection }) : fail(bad);
}
