#!/usr/bin/env node
/**
 * Brings a fresh checkout to a state in which Elanus runs, and does nothing when nothing changed.
 *
 * Plain JavaScript without dependencies, because it runs before `npm ci`. Each step is guarded by a stamp: a
 * hash of everything the step reads. A stamp is written after its step, so an interrupted run is repeated.
 * An exclusive lock keeps two commands apart.
 *
 *   node scripts/setup.mjs              what `npm start` needs
 *   node scripts/setup.mjs --for=test   also the Python clients and the Go module of the conformance tests
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFolder = join(root, ".elanus");

/** Runs every step whose inputs changed. */
export async function setUp({ forTests = false, quiet = false } = {}) {
  mkdirSync(stampFolder, { recursive: true });
  const unlock = await lock();
  try {
    const say = quiet ? () => {} : (text) => process.stderr.write(`${text}\n`);
    checkTools();
    step(
      "packages",
      [["package-lock.json"], [process.version.split(".")[0], process.platform, process.arch]],
      say,
      () => run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
    );
    step(
      "native",
      [filesBelow("native", /\.(rs|toml|lock)$/, /(^|\/)(target|benches|examples)(\/|$)/), [toolVersion("rustc")]],
      say,
      () => run("node", ["scripts/build-addon.mjs"]),
    );
    step("protocol", [["package-lock.json", "scripts/generate-proto.mjs"], []], say, () =>
      run("node", ["scripts/generate-proto.mjs"]),
    );
    step(
      "typescript",
      [
        [
          ...filesBelow("packages", /\.(ts|json)$/, /(^|\/)(node_modules|dist)(\/|$)/),
          "tsconfig.base.json",
          "tsconfig.json",
        ],
        [],
      ],
      say,
      () => run("node", ["node_modules/typescript/bin/tsc", "-b"]),
    );
    if (forTests) setUpConformance(say);
  } finally {
    unlock();
  }
}

function setUpConformance(say) {
  for (const line of ["newest", "2.5"]) {
    const requirements = `conformance/python/requirements-${line}.txt`;
    step(`python-${line}`, [[requirements], [toolVersion("python3")]], say, () => {
      const venv = join(stampFolder, `python-${line}`);
      rmSync(venv, { recursive: true, force: true });
      run("python3", ["-m", "venv", venv]);
      run(join(venv, "bin", "python"), [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        requirements,
      ]);
    });
  }
}

function step(name, [files, values], say, work) {
  const stampFile = join(stampFolder, `${name}.stamp`);
  const stamp = hashOf(files, values);
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say(`setting up: ${name}`);
  work();
  writeFileSync(`${stampFile}.new`, stamp);
  renameSync(`${stampFile}.new`, stampFile);
}

/** Content, not time: a checkout or a touch changes nothing. */
function hashOf(files, values) {
  const hash = createHash("sha256");
  for (const file of files) {
    const path = join(root, file);
    hash.update(file);
    hash.update(existsSync(path) ? readFileSync(path) : "absent");
  }
  for (const value of values) hash.update(`\0${value}`);
  return hash.digest("hex");
}

function filesBelow(folder, wanted, skipped) {
  const found = [];
  const visit = (path) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      const child = `${path}/${entry.name}`;
      if (skipped.test(child)) continue;
      if (entry.isDirectory()) visit(child);
      else if (wanted.test(entry.name)) found.push(child);
    }
  };
  visit(folder);
  return found.sort();
}

function checkTools() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 15)) {
    throw new Error(`Elanus needs Node 20.15 or newer, this is ${process.versions.node}`);
  }
  if (toolVersion("rustc") === "" && !existsSync(join(root, "packages/engine/native"))) {
    throw new Error(
      "Elanus builds its engine with Rust, and no rustc was found: install Rust (1.89 or newer) and run this again",
    );
  }
}

function toolVersion(tool) {
  const result = spawnSync(tool, ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : "";
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.error) throw new Error(`could not run ${command}: ${result.error.message}`);
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(" ")} failed (exit ${result.status}); its output is above`);
}

async function lock() {
  const path = join(stampFolder, "setup.lock");
  for (;;) {
    try {
      const file = openSync(path, "wx");
      writeFileSync(file, String(process.pid));
      closeSync(file);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (isStale(path)) rmSync(path, { force: true });
      else await new Promise((wake) => setTimeout(wake, 200));
    }
  }
}

function isStale(path) {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    if (pid === 0) return Date.now() - statSync(path).mtimeMs > 5_000;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

if (process.argv[1] && relative(process.argv[1], fileURLToPath(import.meta.url)) === "") {
  setUp({ forTests: process.argv.includes("--for=test") }).catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}
