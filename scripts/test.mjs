#!/usr/bin/env node
/**
 * `npm test`: set up what changed, then every suite in turn. All suites run even when one fails, so that one
 * run shows all that is wrong; the exit code says whether any did.
 *
 *   npm test -- unit native        only the named suites
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

const bin = (name) => join(root, "node_modules", ".bin", name);
const python = (line) => join(root, ".elanus", `python-${line}`, "bin", "python");

const suites = [
  { name: "lint", command: bin("oxlint"), args: ["--deny-warnings", "packages", "tidy", "scripts"] },
  {
    name: "clippy",
    command: "cargo",
    args: ["clippy", "--release", "--all-targets", "--", "-D", "warnings"],
    folder: "native",
  },
  { name: "native", command: "cargo", args: ["test", "--release"], folder: "native" },
  { name: "unit", command: bin("vitest"), args: ["run"] },
  { name: "python-newest", command: python("newest"), args: ["-m", "pytest", "-q", "conformance/python"] },
  // Against several proxies, where the other line of clients meets one.
  {
    name: "python-2.5",
    command: python("2.5"),
    args: ["-m", "pytest", "-q", "conformance/python"],
    env: { ELANUS_PROXIES: "2" },
  },
  { name: "node-sdk", command: process.execPath, args: ["--test", "conformance/node/"] },
  { name: "go-sdk", command: "go", args: ["test", "-count=1", "./..."], folder: "conformance/go" },
  { name: "durability", command: process.execPath, args: ["--test", "conformance/durability/"] },
];

const wanted = process.argv.slice(2);
const started = Date.now();
await setUp({ forTests: true }).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});

const failed = [];
const ran = [];
for (const suite of suites) {
  if (wanted.length > 0 && !wanted.includes(suite.name)) continue;
  const suiteStarted = Date.now();
  process.stdout.write(`\n--- ${suite.name}\n`);
  const result = spawnSync(suite.command, suite.args, {
    cwd: join(root, suite.folder ?? "."),
    stdio: "inherit",
    env: { ...process.env, CARGO_BUILD_JOBS: "2", ...suite.env },
  });
  ran.push(suite.name);
  const passed = result.status === 0;
  if (!passed) failed.push(suite.name);
  process.stdout.write(
    `--- ${suite.name}: ${passed ? "passed" : "FAILED"} in ${((Date.now() - suiteStarted) / 1000).toFixed(0)} s\n`,
  );
}

process.stdout.write(`\n${ran.length - failed.length} passed, ${failed.length} failed\n`);
process.stdout.write(
  `${failed.length > 0 ? `failed: ${failed.join(", ")}; ` : ""}${((Date.now() - started) / 60_000).toFixed(1)} min\n`,
);
process.exit(failed.length > 0 || ran.length === 0 ? 1 : 0);
