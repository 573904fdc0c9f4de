#!/usr/bin/env node
/**
 * Filters beside DuckDB: a million rows, one thread each, the same predicates, best of seven. Prints JSON.
 *
 *   node bench/filters.mjs [--python PATH]   a Python that has the package duckdb; default python3
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { python: { type: "string", default: "python3" } } });

function output(command, args, cwd) {
  const { status, stdout, error } = spawnSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", 2] });
  if (error !== undefined || status !== 0) throw new Error(`${command} did not run`, { cause: error });
  return stdout;
}

const example = ["run", "--release", "--quiet", "--package", "elanus-filter", "--example", "scan_speed"];
const lines = output("cargo", example, join(here, "../native")).matchAll(/^(.+?) +(\d+) M rows\/s/gm);
const own = new Map(Array.from(lines, ([, name, millions]) => [name, Number(millions) * 1e6]));
const peer = JSON.parse(output(values.python, [join(here, "filters.py")], here));
const predicates = Object.entries(peer.rowsPerSecond).map(([name, duckdb]) => {
  const elanus = own.get(name);
  return { name, elanus, duckdb: Math.round(duckdb), ratio: Number((elanus / duckdb).toFixed(2)) };
});
process.stdout.write(`${JSON.stringify({ rows: 1 << 20, duckdb: peer.version, predicates }, undefined, 2)}\n`);
