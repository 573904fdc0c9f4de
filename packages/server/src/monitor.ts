/**
 * The metrics port: liveness, readiness, metrics and a status page for people and machines. It only reads:
 * no route changes anything, and no configuration value or secret is shown.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface MonitorSources {
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** Plain facts about the server. */
  status(): Promise<Readonly<Record<string, unknown>>>;
  healthy(): boolean;
}

export interface Monitor {
  readonly port: number;
  close(): Promise<void>;
}

/** Every route of the port; a test holds the list. */
export const monitorRoutes: readonly string[] = ["/healthz", "/livez", "/readyz", "/metrics", "/status", "/"];

export async function startMonitor(host: string, port: number, sources: MonitorSources): Promise<Monitor> {
  const server = createServer((request, response) => {
    answer(request, response, sources).catch(() => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
      response.end("the status could not be read; the server's log says why\n");
    });
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  const bound = await listen(server, host, port);
  return {
    port: bound,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, sources: MonitorSources): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return send(response, 405, "text/plain", "only GET\n");
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  switch (path) {
    case "/healthz":
    case "/livez":
    case "/readyz":
      return sources.healthy()
        ? send(response, 200, "text/plain", "OK\n")
        : send(response, 503, "text/plain", "stopping\n");
    case "/metrics":
      return send(response, 200, "text/plain; version=0.0.4; charset=utf-8", await sources.metrics());
    case "/status":
      return send(response, 200, "application/json", `${JSON.stringify(await sources.status(), null, 2)}\n`);
    case "/":
      return send(response, 200, "text/html; charset=utf-8", statusPage(await sources.status()));
    default:
      return send(response, 404, "text/plain", `no such page; there are: ${monitorRoutes.join(" ")}\n`);
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "cache-control": "no-store",
  });
  response.end(body);
}

function statusPage(status: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(status)
    .map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td><pre>${escapeHtml(textOf(value))}</pre></td></tr>`)
    .join("");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Elanus</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2430}
h1{font-weight:600}table{border-collapse:collapse;width:100%}th{text-align:left;vertical-align:top;
padding:.4rem 1rem .4rem 0;font-weight:500;white-space:nowrap}td{padding:.4rem 0}tr+tr{border-top:1px solid #dde3ea}
pre{margin:0;font:inherit;white-space:pre-wrap}</style>
<h1>Elanus</h1><table>${rows}</table>
<p>More: <a href="/metrics">metrics</a>, <a href="/status">status as JSON</a>.</p></html>\n`;
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : JSON.stringify(value, null, 1);
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
