/**
 * The house check (STYLE.md R5, R13): names, sizes, banned calls and stale paths, over every file that git
 * knows or would add. Sizes ratchet: what was too long before stands in ratchet.json and may only shrink.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import ts from "typescript";

export interface Breach {
  readonly rule: string;
  readonly file: string;
  readonly what: string;
}

export interface Ratchet {
  /** Files over the limit, with the lines they may have. */
  readonly files: Readonly<Record<string, number>>;
  /** `file#function` over the limit, with the lines it may have. */
  readonly functions: Readonly<Record<string, number>>;
}

const columnsMax = 120;
const fileLinesMax = 600;
const testLinesMax = 1_200;
const functionLinesMax = 70;

const drawers = new Set(["utils", "util", "common", "helpers", "helper", "shared", "misc", "manager", "base", "types"]);
const ambient: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(/, "Date.now"],
  [/\bnew Date\(\)/, "argless new Date"],
  [/\bperformance\.now\(/, "performance.now"],
  [/\bMath\.random\(/, "Math.random"],
  [/\brandomUUID\(/, "randomUUID"],
  [/(?<![.\w])set(Timeout|Interval|Immediate)\(/, "a timer"],
  [/\bprocess\.env\b/, "process.env"],
];
const outside = [
  /^packages\/platform\/src\/drivers\//,
  /^packages\/server\//,
  /^packages\/cli\//,
  /^packages\/sim\/src\/main\.ts$/,
  /^packages\/engine\/src\/load\.ts$/,
  /\.(test|sim|fuzz|live|bench)\.ts$/,
  /\/testing\//,
  /-contract\.ts$/,
  // Lets the event loop turn so that promises of the real drivers settle; no simulated time passes.
  /^packages\/sim\/src\/scheduler\.ts$/,
];
const secrets: readonly (readonly [RegExp, string])[] = [
  [/(^|[\s"'`(=])\/(work|root|home)\//, "an absolute machine path"],
  [
    /registry\.npmjs\.org|static\.crates\.io|pypi\.org|files\.pythonhosted\.org|proxy\.golang\.org/,
    "a registry host name",
  ],
];

export function filesOf(root: string): string[] {
  return execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => file !== "" && existsSync(join(root, file)));
}

export function checkHouse(root: string, files: readonly string[], ratchet: Ratchet): Breach[] {
  return files.flatMap((file) => {
    const breaches = checkName(file);
    if (!/\.(ts|rs|mjs|md|json|toml|yaml|py|go)$|(^|\/)\.npmrc$/.test(file)) return breaches;
    const text = readFileSync(join(root, file), "utf8");
    return [
      ...breaches,
      ...checkText(file, text),
      ...(/\.(ts|rs|mjs)$/.test(file) ? checkLines(file, text, ratchet) : []),
      ...(/^packages\/.*\.ts$/.test(file) ? [...checkAmbient(file, text), ...checkFunctions(file, text, ratchet)] : []),
      ...(file.endsWith(".md") ? checkPaths(root, file, text) : []),
    ];
  });
}

function checkName(file: string): Breach[] {
  const parts = file.split("/").map((part) => part.replace(/\.[a-z.]+$/, ""));
  return parts.filter((part) => drawers.has(part)).map((part) => ({ rule: "drawer", file, what: part }));
}

function checkText(file: string, text: string): Breach[] {
  if (file.startsWith("tidy/")) return [];
  const lines = text.split("\n");
  return lines.flatMap((line, i) =>
    secrets
      .filter(([pattern]) => pattern.test(line))
      .map(([, what]) => ({ rule: "secret", file, what: `${what} in line ${i + 1}` })),
  );
}

function checkLines(file: string, text: string, ratchet: Ratchet): Breach[] {
  const lines = text.split("\n");
  const limit = /\.(test|sim|fuzz|bench)\.ts$|\/tests?\//.test(file) ? testLinesMax : fileLinesMax;
  const count = file.endsWith(".rs") ? linesBeforeTests(lines) : lines.length;
  const allowed = Math.max(limit, ratchet.files[file] ?? 0);
  return [
    ...lines.flatMap((line, i) =>
      [...line].length > columnsMax ? [{ rule: "columns", file, what: `line ${i + 1}` }] : [],
    ),
    ...(count > allowed ? [{ rule: "file-lines", file, what: `${count} lines, at most ${allowed}` }] : []),
  ];
}

/** Tests stand at the end of a Rust file and do not count against its size. */
function linesBeforeTests(lines: readonly string[]): number {
  const at = lines.findIndex((line) => line.trim() === "#[cfg(test)]");
  return at < 0 ? lines.length : at;
}

function checkAmbient(file: string, text: string): Breach[] {
  if (outside.some((pattern) => pattern.test(file))) return [];
  return text.split("\n").flatMap((line, i) => {
    if (/^\s*(\*|\/\/|\/\*)/.test(line)) return [];
    return ambient
      .filter(([pattern]) => pattern.test(line))
      .map(([, what]) => ({ rule: "ambient", file, what: `${what} in line ${i + 1}` }));
  });
}

function checkFunctions(file: string, text: string, ratchet: Ratchet): Breach[] {
  if (/(\.(test|sim|fuzz|bench)|-contract)\.ts$/.test(file)) return [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  const breaches: Breach[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const body = node.body as ts.Node;
      const lines = lineOf(source, body.getEnd()) - lineOf(source, node.getStart()) + 1;
      const name = `${file}#${nameOf(node)}`;
      const allowed = Math.max(functionLinesMax, ratchet.functions[name] ?? 0);
      if (lines > allowed)
        breaches.push({ rule: "function-lines", file, what: `${nameOf(node)} has ${lines}, at most ${allowed}` });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return breaches;
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  const parent = node.parent;
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) ? parent.name.getText() : "(anonymous)";
}

function lineOf(source: ts.SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line;
}

/** Every path that a document names in backticks or links must exist. */
function checkPaths(root: string, file: string, text: string): Breach[] {
  const named = [
    ...text.matchAll(
      /`((?:packages|native|docs|conformance|fixtures|bench|tidy|scripts)\/[\w./-]+)`|\]\((?!https?:|#)([^)#\s]+)/g,
    ),
  ];
  return named.flatMap((match) => {
    const path = match[1] ?? join(dirname(file), match[2] ?? "");
    const clean = normalize(path).replace(/\/$/, "");
    return existsSync(join(root, clean)) || /^\.+$/.test(basename(clean))
      ? []
      : [{ rule: "stale-path", file, what: path }];
  });
}
