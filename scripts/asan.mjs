#!/usr/bin/env node
/**
 * Runs the native tests that touch raw memory under the address sanitizer: every kernel, and the readers of index
 * files over damaged ones. The sanitizer comes with the stable toolchain but hides behind a switch of unstable ones.
 *
 *   node scripts/asan.mjs [FILTER of tests of elanus-index; default: catalog sparse binary flat]
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const native = join(dirname(dirname(fileURLToPath(import.meta.url))), "native");
const environment = {
  ...process.env,
  RUSTC_BOOTSTRAP: "1",
  RUSTFLAGS: "-Zsanitizer=address",
  ASAN_OPTIONS: "detect_leaks=1:halt_on_error=1",
};

function hostTarget() {
  const { stdout } = spawnSync("rustc", ["-vV"], { encoding: "utf8" });
  const host = /^host: (.+)$/m.exec(stdout)?.[1];
  if (host === undefined) throw new Error("rustc does not say what it builds for");
  return host;
}

function test(crate, filters) {
  // A target of its own keeps build scripts out of the sanitizer; a folder of its own keeps the usual build.
  const args = ["test", "--release", "--target", hostTarget(), "--target-dir", "target/asan", "--lib", "-p", crate];
  const done = spawnSync("cargo", [...args, "--", ...filters], { cwd: native, env: environment, stdio: "inherit" });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

const asked = process.argv.slice(2);
test("elanus-kernels", []);
test("elanus-index", asked.length > 0 ? asked : ["catalog", "sparse", "binary", "flat"]);
