/** REST v2: finds the call, runs it, and puts the answer into Milvus's envelope. */
import type { HttpAnswer, HttpRequest } from "@elanus/platform/ports/transport";
import type { Random } from "@elanus/platform/ports/world";
import type { CallFigures } from "../call-figures.ts";
import { DEFAULT_DATABASE, type Environment } from "../milvus/call.ts";
import { Body } from "./body.ts";
import { catalogEndpoints } from "./catalog.ts";
import { collectionEndpoints } from "./collections.ts";
import type { Endpoint, RestCall } from "./endpoint.ts";
import { entityEndpoints } from "./entities.ts";
import { notFound, preflight, refusedWith, replied, type RestReply } from "./envelope.ts";
import { failed, invalid, type RestOutcome } from "./failure.ts";
import { searchEndpoints } from "./search.ts";

const BASE = "/v2/vectordb/";
const TIMEOUT_SECONDS_DEFAULT = 30;

const endpoints: ReadonlyMap<string, Endpoint> = new Map(
  Object.entries({
    ...collectionEndpoints,
    ...entityEndpoints,
    ...searchEndpoints,
    ...catalogEndpoints,
  }),
);

/** Calls of Milvus's REST API that are not served yet; any other path is unknown. */
export const restGaps: readonly string[] = `
  collections/truncate collections/add_function collections/alter_function collections/drop_function
  collections/add_function_field collections/drop_function_field collections/fields/alter_properties
  collections/fields/add collections/fields/drop collections/struct_fields/add
  users/list users/describe users/create users/update_password users/drop
  users/grant_role users/revoke_role roles/list roles/describe roles/create roles/alter roles/drop
  roles/grant_privilege roles/revoke_privilege roles/grant_privilege_v2 roles/revoke_privilege_v2
  privilege_groups/list privilege_groups/create privilege_groups/drop privilege_groups/add_privileges_to_group
  privilege_groups/remove_privileges_from_group resource_groups/list resource_groups/describe
  resource_groups/create resource_groups/drop resource_groups/alter resource_groups/transfer_replica
  jobs/import/list jobs/import/create jobs/import/describe jobs/import/get_progress jobs/import/commit
  jobs/import/abort jobs/snapshot/restore_external jobs/snapshot/export jobs/snapshot/describe
  jobs/snapshot/list jobs/snapshot/export/describe snapshots/create snapshots/drop snapshots/list
  snapshots/describe snapshots/restore snapshots/pin snapshots/unpin jobs/external_collection/refresh
  jobs/external_collection/describe jobs/external_collection/list file_resources/add file_resources/remove
  file_resources/list segments/describe quotacenter/describe common/run_analyzer
`
  .trim()
  .split(/\s+/);

const gaps = new Set(restGaps);

export interface RestTools {
  readonly random: Random;
  readonly figures: CallFigures;
}

export async function answerHttp(request: HttpRequest, env: Environment, tools: RestTools): Promise<HttpAnswer> {
  if (request.method === "OPTIONS") return preflight();
  const name = request.path.startsWith(BASE) ? request.path.slice(BASE.length) : "";
  const endpoint = endpoints.get(name);
  if (request.method !== "POST" || (endpoint === undefined && !gaps.has(name))) return notFound();
  const startedMs = tools.figures.start();
  const reply = endpoint === undefined ? notServed(name) : await guarded(name, endpoint, request, env);
  tools.figures.end(`rest ${name}`, reply.ok ? 0 : reply.failure.code, startedMs);
  const traceId = `${hex(tools.random)}${hex(tools.random)}`;
  return reply.ok ? replied(reply.value, traceId) : refusedWith(reply.failure, traceId);
}

function notServed(name: string): RestOutcome<RestReply> {
  return failed({ kind: "notImplemented", call: name });
}

/** A broken invariant fails its own call and nothing else. */
async function guarded(
  name: string,
  endpoint: Endpoint,
  request: HttpRequest,
  env: Environment,
): Promise<RestOutcome<RestReply>> {
  try {
    return await run(name, endpoint, request, env);
  } catch (thrown) {
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    env.telemetry.log("error", "a call met a bug", { call: name, what, stack });
    return failed({ kind: "internal", message: `${name}: ${what}` });
  }
}

async function run(
  name: string,
  endpoint: Endpoint,
  request: HttpRequest,
  env: Environment,
): Promise<RestOutcome<RestReply>> {
  const seconds = request.headers.get("request-timeout");
  if (seconds !== undefined && !/^\d{1,9}$/.test(seconds)) return invalid(`invalid Request-Timeout: ${seconds}`);
  const body = new Body(request.body, structOf(name));
  const named = body.text("dbName");
  const call: RestCall = {
    env,
    metadata: request.headers,
    deadlineMs: env.clock.nowMs() + Number(seconds ?? TIMEOUT_SECONDS_DEFAULT) * 1_000,
    database: named === "" ? (headerOf(request, "db-name") ?? DEFAULT_DATABASE) : named,
    int64AsText: headerOf(request, "accept-type-allow-int64")?.toLowerCase() === "false",
  };
  const work = endpoint(body, call);
  return body.problem === undefined ? work() : { ok: false, failure: body.problem };
}

function headerOf(request: HttpRequest, name: string): string | undefined {
  const value = request.headers.get(name);
  return value === "" ? undefined : value;
}

/** `entities/insert` → `EntitiesInsertReq`, as Milvus's messages name a request. */
function structOf(name: string): string {
  const words = name.split(/[/_]/).map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));
  return `${words.join("")}Req`;
}

function hex(random: Random): string {
  return BigInt.asUintN(64, random.bits64()).toString(16).padStart(16, "0");
}
