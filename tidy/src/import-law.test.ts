import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { checkImports } from "./import-law.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const rooms = {
  model: { does: "", imports: [] },
  platform: { does: "", imports: ["model"] },
  roles: { does: "", imports: ["model", "platform/ports"] },
};
const trees: string[] = [];
afterAll(() => trees.forEach((tree) => rmSync(tree, { recursive: true, force: true })));

/** A small tree of packages that obeys the law, plus the given files. */
function plant(files: Readonly<Record<string, string>>): string {
  const tree = mkdtempSync(join(tmpdir(), "elanus-tidy-"));
  trees.push(tree);
  const all: Record<string, string> = {
    "rooms.json": JSON.stringify(rooms),
    "packages/model/src/id.ts": "export const id = 1;\n",
    "packages/platform/src/ports/clock.ts": 'import { id } from "@elanus/model/id";\nexport const port = id;\n',
    "packages/platform/src/drivers/clock.ts":
      'import { readFileSync } from "node:fs";\nexport const clock = readFileSync;\n',
    "packages/roles/src/proxy/role.ts":
      'import { port } from "@elanus/platform/ports/clock";\nexport const proxy = port;\n',
    "packages/roles/src/query-node/role.ts": 'import { limit } from "./state/limit.ts";\nexport const node = limit;\n',
    "packages/roles/src/query-node/state/limit.ts":
      'import { id } from "@elanus/model/id";\nexport const limit = id;\n',
    ...files,
  };
  for (const name of Object.keys(rooms)) {
    all[`packages/${name}/package.json`] = JSON.stringify({
      name: `@elanus/${name}`,
      type: "module",
      exports: { "./*": { source: "./src/*.ts" } },
    });
    mkdirSync(join(tree, "node_modules/@elanus"), { recursive: true });
    symlinkSync(join(tree, "packages", name), join(tree, "node_modules/@elanus", name));
  }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  return tree;
}

describe("the import law", () => {
  it("holds in this project, and sees all of it", async () => {
    const verdict = await checkImports(root);
    expect(verdict.visited).toBeGreaterThanOrEqual(verdict.files);
    expect(verdict.violations).toEqual([]);
  }, 120_000);

  it("accepts a tree that obeys it", async () => {
    const verdict = await checkImports(plant({}));
    expect(verdict.violations).toEqual([]);
    expect(verdict.visited).toBe(verdict.files);
  });

  it.each([
    [
      "R1-inward-model",
      "packages/model/src/leak.ts",
      'import { port } from "@elanus/platform/ports/clock";\nexport const x = port;\n',
    ],
    [
      "R1-inward-roles",
      "packages/roles/src/proxy/leak.ts",
      'import { clock } from "@elanus/platform/drivers/clock";\nexport const x = clock;\n',
    ],
    ["R2-no-cycles", "packages/model/src/a.ts", 'import type { B } from "./b.ts";\nexport type A = B;\n'],
    [
      "R3-roles-are-strangers",
      "packages/roles/src/proxy/leak.ts",
      'import { node } from "../query-node/role.ts";\nexport const x = node;\n',
    ],
    [
      "R4-state-is-pure",
      "packages/roles/src/proxy/state/leak.ts",
      'import { port } from "@elanus/platform/ports/clock";\nexport const x = port;\n',
    ],
    [
      "R5-one-gate-to-the-world",
      "packages/model/src/leak.ts",
      'import { readFileSync } from "node:fs";\nexport const x = readFileSync;\n',
    ],
    [
      "R9-drivers-from-the-composition-root",
      "packages/roles/src/proxy/leak.ts",
      'import { clock } from "@elanus/platform/drivers/clock";\nexport const x = clock;\n',
    ],
    ["R11-tests-flow-one-way", "packages/model/src/leak.ts", 'import { y } from "./y.test.ts";\nexport const x = y;\n'],
  ])("%s catches a planted breach", async (rule, path, text) => {
    const extra = {
      "packages/model/src/b.ts":
        rule === "R2-no-cycles" ? 'import type { A } from "./a.ts";\nexport type B = A;\n' : "export {};\n",
      "packages/model/src/y.test.ts": "export const y = 1;\n",
    };
    const verdict = await checkImports(plant({ ...extra, [path]: text }));
    expect(verdict.violations.map((v) => v.split(":")[0])).toContain(rule);
  });
});
