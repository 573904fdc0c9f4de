/** One plain HTTP request, over HTTP/1.1 or over an HTTP/2 stream that is not gRPC. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { HttpAnswer, HttpRequest, ListenOptions, TransportHandlers } from "../../ports/transport.ts";

export function exchangeHttp1(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  options: ListenOptions,
  handlers: TransportHandlers,
): void {
  const abort = new AbortController();
  outgoing.on("close", () => abort.abort());
  outgoing.on("error", () => abort.abort());
  const head = headOf(incoming.method, incoming.url, incoming.headers, abort.signal);
  receive(incoming, head, options, handlers, (answer) => {
    if (outgoing.headersSent || outgoing.destroyed) return;
    outgoing.writeHead(answer.status, { ...answer.headers, "content-length": String(lengthOf(answer)) });
    for (const part of answer.body) outgoing.write(part);
    outgoing.end();
  });
}

export function exchangeHttp2(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: ListenOptions,
  handlers: TransportHandlers,
): void {
  const abort = new AbortController();
  stream.on("close", () => abort.abort());
  const head = headOf(headers[":method"], headers[":path"], headers, abort.signal);
  receive(stream, head, options, handlers, (answer) => {
    if (stream.headersSent || stream.destroyed || stream.closed) return;
    const { connection: _onlyHttp1, ...kept } = answer.headers;
    stream.respond({ ":status": answer.status, ...kept, "content-length": String(lengthOf(answer)) });
    for (const part of answer.body) stream.write(part);
    stream.end();
  });
}

type Head = Omit<HttpRequest, "body">;

function headOf(
  method: string | undefined,
  url: string | undefined,
  all: NodeJS.Dict<string | string[]>,
  signal: AbortSignal,
): Head {
  const [path = "", query = ""] = (url ?? "").split("?", 2);
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(all)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined && !name.startsWith(":")) headers.set(name, first);
  }
  return { method: method ?? "", path, query, headers, signal };
}

function receive(
  from: Readable,
  head: Head,
  options: ListenOptions,
  handlers: TransportHandlers,
  send: (answer: HttpAnswer) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let refused = false;
  from.on("error", () => {});
  from.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (refused) return;
    if (bytes <= options.requestBytesMax) {
      chunks.push(chunk);
      return;
    }
    refused = true;
    chunks.length = 0;
    send({ status: 413, headers: { connection: "close" }, body: [] });
  });
  from.on("end", () => {
    if (refused) return;
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    handlers.http({ ...head, body }).then(send, () => send({ status: 500, headers: {}, body: [] }));
  });
}

function lengthOf(answer: HttpAnswer): number {
  return answer.body.reduce((sum, part) => sum + part.length, 0);
}
