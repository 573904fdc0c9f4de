/**
 * Finds the native library: the one built in this checkout, or the prebuilt package of this platform (how a
 * published Elanus ships it).
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Addon } from "./addon.ts";

let loaded: Addon | undefined;

/** The addon; one per process. Throws when there is none for this platform. */
export function loadAddon(): Addon {
  loaded ??= requireAddon();
  return loaded;
}

function requireAddon(): Addon {
  const require = createRequire(import.meta.url);
  const platform = platformName();
  const local = fileURLToPath(new URL(`../native/elanus.${platform}.node`, import.meta.url));
  if (existsSync(local)) return require(local) as Addon;
  const prebuilt = `@elanus/engine-${platform}`;
  try {
    return require(prebuilt) as Addon;
  } catch (cause) {
    throw new Error(
      `no native engine for ${platform}: neither the package ${prebuilt} nor the local build ${local} is there. ` +
        "In a checkout, `npm run setup` builds it (Rust 1.89 or newer)",
      { cause },
    );
  }
}

/** napi-rs's name of this platform, for instance `linux-x64-gnu`. */
function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") return `linux-${arch}-${usesGlibc() ? "gnu" : "musl"}`;
  if (platform === "win32") return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

function usesGlibc(): boolean {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}
