/** The library exports what the interface says, no more and no less. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loadAddon } from "./load.ts";

const source = readFileSync(new URL("./addon.ts", import.meta.url), "utf8");

/** Names of the members that stand directly in an interface (two spaces deep). */
function membersOf(name: string, indent = "  "): string[] {
  const body = source.split(`export interface ${name} {\n`)[1]?.split("\n}\n")[0] ?? "";
  const member = new RegExp(`^${indent}(?:readonly )?(\\w+)\\??[(:]`, "gm");
  return [...body.matchAll(member)].map((match) => match[1] ?? "").sort();
}

function staticMembersOf(name: string): string[] {
  const body = source.split(`\n  ${name}: {\n`)[1]?.split("\n  };")[0] ?? "";
  return [...body.matchAll(/^ {4}(\w+)\(/gm)].map((match) => match[1] ?? "").sort();
}

function own(of: object, but: readonly string[]): string[] {
  return Object.getOwnPropertyNames(of)
    .filter((name) => !but.includes(name))
    .sort();
}

describe("the addon", () => {
  const addon = loadAddon();

  it("exports the interface", () => {
    // The class behind `lockFile`'s handle is exported too; nobody constructs it.
    expect(own(addon, ["HeldLock"])).toEqual(membersOf("Addon"));
  });

  it.each([
    ["Rows", "NativeRows"],
    ["Segment", "NativeSegment"],
    ["Pool", "NativePool"],
    ["Schema", "NativeSchema"],
    ["Progress", "NativeProgress"],
    ["AnswerShape", "NativeAnswerShape"],
    ["Callers", "NativeCallers"],
    ["PreparedSearch", "NativePreparedSearch"],
  ] as const)("%s has the members of %s", (exported, face) => {
    expect(own(addon[exported as "Pool"].prototype, ["constructor"])).toEqual(membersOf(face));
  });

  it.each(["Rows", "Segment"] as const)("%s has its makers", (exported) => {
    expect(own(addon[exported], ["length", "name", "prototype", "arguments", "caller"])).toEqual(
      staticMembersOf(exported),
    );
  });
});
