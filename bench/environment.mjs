/** Python environments of the benchmarks, under `bench/.cache`, made anew when their requirements change. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../scripts/setup.mjs";

/**
 * The interpreter of the environment `name`. A package that cannot be had is named and left out: a benchmark tells
 * what it could not measure and goes on.
 */
export function environment(name, requirements) {
  const folder = join(root, "bench/.cache", name);
  const python = join(folder, "bin/python");
  const wanted = readFileSync(join(root, requirements), "utf8");
  const stamp = join(folder, "requirements.stamp");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return python;
  process.stderr.write(`setting up: ${name}\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(root, "bench/.cache"), { recursive: true });
  if (!succeeds("python3", ["-m", "venv", folder])) throw new Error("python3 -m venv failed; its output is above");
  const install = (packages) => succeeds(python, ["-m", "pip", "install", "--quiet", ...packages]);
  const packages = wanted.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  if (!install(packages)) {
    const left = packages.filter((one) => !install([one]));
    process.stderr.write(`cannot be had: ${left.join(", ")}\n`);
  }
  writeFileSync(stamp, wanted);
  return python;
}

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: ["ignore", 2, 2] }).status === 0;
}
