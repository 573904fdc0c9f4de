import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { Rooms } from "./import-law.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const rooms = JSON.parse(readFileSync(join(root, "rooms.json"), "utf8")) as Rooms;

it("ARCHITECTURE.md shows the rooms as rooms.json has them", () => {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const shown = /<!-- rooms -->\n([\s\S]*?)<!-- \/rooms -->/.exec(text)?.[1];
  const rows = Object.entries(rooms).map(
    ([name, { does, imports }]) => `| \`packages/${name}\` | ${does} | ${imports.join(", ") || "nothing"} |`,
  );
  expect(shown?.trim().split("\n").slice(2)).toEqual(rows);
});

it("a package depends on just the packages it may import", () => {
  for (const [name, { imports }] of Object.entries(rooms)) {
    const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as {
      dependencies?: Record<string, string>;
    };
    const own = Object.keys(manifest.dependencies ?? {})
      .filter((dependency) => dependency.startsWith("@elanus/") || dependency === "elanus")
      .map((dependency) => (dependency === "elanus" ? "server" : dependency.slice("@elanus/".length)));
    expect(own.sort(), name).toEqual([...new Set(imports.map((entry) => entry.split("/")[0]))].sort());
  }
});
