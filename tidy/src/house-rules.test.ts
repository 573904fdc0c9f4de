import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkHouse, filesOf, type Ratchet } from "./house-rules.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const none: Ratchet = { files: {}, functions: {} };

function breachesOf(path: string, text: string, ratchet = none): string[] {
  const tree = mkdtempSync(join(tmpdir(), "elanus-house-"));
  try {
    execFileSync("git", ["init", "-q"], { cwd: tree });
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
    return checkHouse(tree, filesOf(tree), ratchet).map((b) => b.rule);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

describe("the house check", () => {
  it("passes on this project", () => {
    const ratchet = JSON.parse(readFileSync(join(root, "tidy/ratchet.json"), "utf8")) as Ratchet;
    expect(checkHouse(root, filesOf(root), ratchet)).toEqual([]);
  });

  const longFunction = `export function f(): void {\n${"  f();\n".repeat(70)}}\n`;
  it.each([
    ["drawer", "packages/model/src/utils.ts", "export {};\n"],
    ["columns", "packages/model/src/a.ts", `// ${"x".repeat(130)}\n`],
    ["file-lines", "packages/model/src/a.ts", "//\n".repeat(601)],
    ["function-lines", "packages/model/src/a.ts", longFunction],
    ["ambient", "packages/roles/src/a.ts", "export const now = Date.now();\n"],
    ["secret", "docs/a.md", "see /home/me/notes\n"],
    ["stale-path", "docs/a.md", "see `packages/model/src/gone.ts`\n"],
  ])("%s catches a planted breach", (rule, path, text) => {
    expect(breachesOf(path, text)).toContain(rule);
  });

  it("lets an old giant be as long as it was, not longer", () => {
    const ratchet = { files: {}, functions: { "packages/model/src/a.ts#f": 72 } };
    expect(breachesOf("packages/model/src/a.ts", longFunction, ratchet)).toEqual([]);
    expect(breachesOf("packages/model/src/a.ts", longFunction.replace("{\n", "{\n  f();\n"), ratchet)).toContain(
      "function-lines",
    );
  });
});
