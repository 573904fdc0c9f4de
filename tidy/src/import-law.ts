/**
 * The import law of STYLE.md 4.5, made from rooms.json and run by dependency-cruiser. Besides the violations
 * it counts the modules visited, because a law that sees nothing passes everything (R0).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cruise, type ICruiseOptions, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";

export type Rooms = Readonly<Record<string, { readonly does: string; readonly imports: readonly string[] }>>;

export interface Verdict {
  readonly violations: readonly string[];
  readonly visited: number;
  readonly files: number;
}

/** Node's own modules that reach files, sockets, processes, workers or time. */
const worldly = (
  "fs fs/promises net http http2 https tls dgram dns " +
  "child_process worker_threads cluster timers timers/promises os process"
).split(" ");

export async function checkImports(root: string): Promise<Verdict> {
  const rooms = JSON.parse(readFileSync(join(root, "rooms.json"), "utf8")) as Rooms;
  const sources = Object.keys(rooms).filter((room) => existsSync(join(root, "packages", room, "src")));
  const options: ICruiseOptions = {
    baseDir: root,
    ruleSet: { forbidden: rulesOf(rooms) },
    validate: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|gen)/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["source", "import", "default"],
      extensions: [".ts", ".js"],
    },
  };
  const result = await cruise(
    sources.map((room) => `packages/${room}/src`),
    options,
  );
  const output = result.output as ICruiseResult;
  return {
    violations: output.summary.violations.map((v) => `${v.rule.name}: ${v.from} -> ${v.to}`),
    visited: output.modules.filter((m) => m.source.startsWith("packages/")).length,
    files: sources.flatMap((room) => typescriptBelow(join(root, "packages", room, "src"))).length,
  };
}

function rulesOf(rooms: Rooms): IForbiddenRuleType[] {
  const vendors: Readonly<Record<string, string>> = {
    lmdb: "packages/platform/src/drivers/meta/lmdb",
    pino: "packages/platform/src/drivers/telemetry",
    "prom-client": "packages/platform/src/drivers/telemetry",
    chevrotain: "packages/query/src/filter/",
    protobufjs: "packages/(wire|engine)/src/",
    commander: "packages/cli/src/",
    zod: "packages/server/src/",
  };
  return [
    ...Object.entries(rooms).map(([room, { imports }]) => inward(room, imports)),
    { name: "R2-no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "R3-roles-are-strangers",
      severity: "error",
      from: { path: "^packages/roles/src/([^/]+)/.+", pathNot: "^packages/roles/src/testing/" },
      to: { path: "^packages/roles/src/[^/]+/.+", pathNot: "^packages/roles/src/$1/" },
    },
    {
      name: "R4-state-is-pure",
      severity: "error",
      from: { path: "^packages/roles/src/([^/]+)/state/", pathNot: "\\.(test|fuzz)\\.ts$" },
      to: { pathNot: ["^packages/(model|query)/src/", "^packages/roles/src/$1/state/"] },
    },
    {
      name: "R5-one-gate-to-the-world",
      severity: "error",
      from: {
        path: "^packages/",
        pathNot: [
          "^packages/(platform/src/drivers|server/src|cli/src)/",
          "^packages/engine/src/load\\.ts$",
          "^packages/sim/src/main\\.ts$",
          "\\.(test|sim|fuzz|live|bench)\\.ts$",
          "/testing/",
        ],
      },
      to: {
        dependencyTypes: ["core"],
        path: `^(node:)?(${worldly.join("|")})$`,
      },
    },
    ...Object.entries(vendors).map(
      ([vendor, home]): IForbiddenRuleType => ({
        name: `R6-vendor-stays-home-${vendor}`,
        severity: "error",
        from: { path: "^packages/", pathNot: [`^${home}`, "\\.(test|sim|fuzz|live|bench)\\.ts$"] },
        to: { path: `node_modules/${vendor}/` },
      }),
    ),
    {
      name: "R9-drivers-from-the-composition-root",
      severity: "error",
      from: {
        path: "^packages/",
        pathNot: ["^packages/(platform|server|cli|sim)/", "\\.(test|sim|fuzz|live|bench)\\.ts$", "/testing/"],
      },
      to: { path: "^packages/platform/src/drivers/" },
    },
    {
      name: "R11-tests-flow-one-way",
      severity: "error",
      from: { path: "^packages/", pathNot: ["\\.(test|sim|fuzz|live|bench)\\.ts$"] },
      to: { path: "\\.(test|sim|fuzz|live|bench)\\.ts$" },
    },
  ];
}

/** R1: a package imports only what rooms.json lists for it; `a/b` allows the part b of package a. */
function inward(room: string, imports: readonly string[]): IForbiddenRuleType {
  const allowed = [room, ...imports].map((entry) => {
    const [owner, part] = entry.split("/");
    return part === undefined ? `^packages/${owner}/src/` : `^packages/${owner}/src/${part}(/|\\.ts$)`;
  });
  return {
    name: `R1-inward-${room}`,
    severity: "error",
    from: { path: `^packages/${room}/src/`, pathNot: ["\\.(test|sim|fuzz|live|bench)\\.ts$", "/testing/"] },
    to: { path: "^packages/[^/]+/src/", pathNot: allowed },
  };
}

export function typescriptBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return entry.name === "gen" || entry.name === "dist" || entry.name === "node_modules"
        ? []
        : typescriptBelow(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}
