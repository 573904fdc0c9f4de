#!/usr/bin/env node
/**
 * Builds the native engine and puts it where `packages/engine/src/load.ts` looks. The copy is renamed into place,
 * so that a running process keeps the library it has mapped.
 *
 *   node scripts/build-addon.mjs [--profile release|dist]
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** napi-rs's name of this platform, for instance `linux-x64-gnu`. */
export function platformName() {
  const { platform, arch } = process;
  if (platform === "linux")
    return `linux-${arch}-${process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl"}`;
  if (platform === "win32") return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

export function buildAddon(profile) {
  const args = ["build", "--profile", profile, "--package", "elanus-addon"];
  const built = spawnSync("cargo", args, { cwd: join(root, "native"), stdio: ["ignore", 2, 2] });
  if (built.error) throw new Error(`could not run cargo: ${built.error.message}`);
  if (built.status !== 0) throw new Error("the native engine did not build; cargo's words are above");
  const library = { linux: "libelanus_addon.so", darwin: "libelanus_addon.dylib", win32: "elanus_addon.dll" }[
    process.platform
  ];
  if (library === undefined) throw new Error(`Elanus does not know how to load native code on ${process.platform}`);
  const folder = join(root, "packages/engine/native");
  const target = join(folder, `elanus.${platformName()}.node`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, "native/target", profile, library), `${target}.new`);
  renameSync(`${target}.new`, target);
  return target;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--profile");
  try {
    buildAddon(at < 0 ? "release" : process.argv[at + 1]);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
