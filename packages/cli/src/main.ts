#!/usr/bin/env node
/** `elanus`: serve, and look at data folders. */
import { Command, InvalidArgumentError } from "commander";
import { explainRead, type ExplainOptions } from "./explain.ts";
import { serve } from "./serve.ts";

const program = new Command("elanus")
  .description("A vector database that speaks Milvus's gRPC and REST protocols")
  .showHelpAfterError();

program
  .command("serve", { isDefault: true })
  .description("serve a data folder")
  .option("--data <folder>", "data folder (ELANUS_DATA; default ./elanus-data)")
  .option("--port <number>", "gRPC and REST (ELANUS_PORT; default 19530)")
  .option("--metrics-port <number>", "health, metrics, status (ELANUS_METRICS_PORT; default 9091)")
  .option("--host <address>", "address to listen on (ELANUS_HOST; default 127.0.0.1)")
  .option("--insecure", "allow an address other than loopback without authentication")
  .option("--transport <name>", "native or node: who frames HTTP/2 and gRPC (ELANUS_TRANSPORT; default native)")
  .option("--proxies <number>", "threads of JavaScript at the front door, 1 to 64 (ELANUS_PROXIES; default 1)")
  .option("--tls-cert <file>", "PEM certificate and chain; the port then speaks TLS only (ELANUS_TLS_CERT)")
  .option("--tls-key <file>", "PEM private key (ELANUS_TLS_KEY)")
  .option("--threads <number>", "native threads (ELANUS_THREADS; default: all cores)")
  .option("--log-level <level>", "debug, info, warn, error or silent (ELANUS_LOG_LEVEL; default info)")
  .action(async (options: Record<string, string | boolean | undefined>) => {
    process.exitCode = await serve(options);
  });

program
  .command("explain")
  .description("show how a running server answers a search, or without a vector a query")
  .argument("<collection>", "name of the collection")
  .argument("[vector]", "one query vector, as JSON", json)
  .option("--uri <address>", "the server", "http://127.0.0.1:19530")
  .option("--database <name>", "database")
  .option("--field <name>", "vector field; needed when there are several")
  .option("--filter <expression>", "filter")
  .option("--limit <number>", "hits or rows wanted", count, 10)
  .option("--params <json>", 'search parameters, for instance {"ef":64}', json)
  .option("--token <text>", "credentials")
  .action(async (collection: string, vector: unknown, options: Omit<ExplainOptions, "collection" | "vector">) => {
    process.exitCode = await explainRead({ ...options, collection, vector });
  });

await program.parseAsync();

/** @throws InvalidArgumentError Commander refuses the argument by name. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError("It is no JSON.");
  }
}

/** @throws InvalidArgumentError */
function count(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("It is no positive whole number.");
}
