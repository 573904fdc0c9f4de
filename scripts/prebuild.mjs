#!/usr/bin/env node
/**
 * Packs prebuilt engines (npm/README.md).
 *
 *   node scripts/prebuild.mjs [--platform NAME] [--profile NAME]
 *                                        the engine of a platform; by default this machine's, with profile `dist`
 *   node scripts/prebuild.mjs --release  @elanus/engine with all platforms as optional dependencies
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { platformName } from "./build-addon.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const platforms = JSON.parse(readFileSync(join(root, "npm/platforms.json"), "utf8"));
const engine = JSON.parse(readFileSync(join(root, "packages/engine/package.json"), "utf8"));
const libraries = { linux: "libelanus_addon.so", darwin: "libelanus_addon.dylib", win32: "elanus_addon.dll" };

function run(command, args, cwd) {
  const done = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (done.error) throw new Error(`could not run ${command}: ${done.error.message}`);
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")} failed; its words are above`);
}

/** Packs what `fill` puts into an empty folder. */
function pack(fill) {
  const folder = mkdtempSync(join(tmpdir(), "elanus-pack-"));
  const target = join(root, "npm/dist");
  mkdirSync(target, { recursive: true });
  try {
    fill(folder);
    run("npm", ["pack", "--pack-destination", target], folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function writeManifest(folder, manifest) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Builds and packs the engine of one platform. */
function packPlatform(name, profile) {
  const platform = platforms.find((known) => known.name === name);
  if (platform === undefined) throw new Error(`npm/platforms.json has no platform ${name}`);
  const own = name === platformName();
  const target = own ? [] : ["--target", platform.target];
  run("cargo", ["build", "--profile", profile, "--package", "elanus-addon", ...target], join(root, "native"));
  const built = join(root, "native/target", own ? "" : platform.target, profile, libraries[platform.os]);
  const main = `elanus.${name}.node`;
  const manifest = {
    name: `${engine.name}-${name}`,
    version: engine.version,
    description: `${engine.description} Prebuilt for ${name}.`,
    license: engine.license,
    engines: engine.engines,
    main,
    files: [main],
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc === undefined ? {} : { libc: [platform.libc] }),
  };
  pack((folder) => {
    copyFileSync(built, join(folder, main));
    copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
    writeManifest(folder, manifest);
  });
}

/** Tests and the compiler's notes stay at home. */
function isPublished(path) {
  return !/\.test\.|\.tsbuildinfo$/.test(path);
}

/** Packs the typed face; its platform packages must be published first. */
function packEngine() {
  const optionalDependencies = Object.fromEntries(
    platforms.map(({ name }) => [`${engine.name}-${name}`, engine.version]),
  );
  const { devDependencies: _, ...manifest } = engine;
  pack((folder) => {
    cpSync(join(root, "packages/engine/dist"), join(folder, "dist"), { recursive: true, filter: isPublished });
    copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
    writeManifest(folder, { ...manifest, optionalDependencies });
  });
}

/** The word behind a flag, or `otherwise`. */
function option(flag, otherwise) {
  const at = process.argv.indexOf(flag);
  return at < 0 ? otherwise : process.argv[at + 1];
}

try {
  if (process.argv.includes("--release")) packEngine();
  else packPlatform(option("--platform", platformName()), option("--profile", "dist"));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
