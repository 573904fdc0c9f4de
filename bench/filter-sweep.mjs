#!/usr/bin/env node
/**
 * `node bench/filter-sweep.mjs SOURCE [ROWS]`: filtered searches of every selectivity beside exact and unfiltered ones
 * (`native/index/examples/filter_sweep.rs`), into `bench/results/filter-sweep-<dim>.json`, which names machine and
 * commit, and a plot of the ratio to the better of the two; prints a table for each `ef`. SOURCE is a NumPy file of
 * rows, or a folder that `bench/datasets.py` has made. `--plot FILE.json` draws only.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [source, given] = process.argv.slice(2);
if (source === undefined) throw new Error("say which rows: a .npy file, or a folder");
/** The widths that are drawn. */
const DRAWN = [24, 64];

const path = source === "--plot" ? given : measure(resolve(source), given ?? "1000000");
const swept = JSON.parse(readFileSync(path, "utf8"));
writeFileSync(path.replace(/\.json$/, ".svg"), plot(swept));
for (const ef of new Set(swept.points.map((point) => point.ef)))
  process.stdout.write(`${table(swept.points.filter((point) => point.ef === ef))}\n`);

function measure(rows, count) {
  const native = join(here, "..", "native");
  const raw = join(here, "results", "filter-sweep.json");
  const args = ["run", "--release", "-p", "elanus-index", "--example", "filter_sweep", "--", rows, count, raw];
  if (spawnSync("cargo", args, { cwd: native, stdio: "inherit" }).status !== 0) process.exit(1);
  const { points, ...what } = JSON.parse(readFileSync(raw, "utf8"));
  rmSync(raw);
  const [{ model }, ...others] = cpus();
  const commit = spawnSync("git", ["describe", "--always", "--dirty"], { cwd: here, encoding: "utf8" }).stdout.trim();
  const text = points.map((point) => JSON.stringify(point)).join(",\n");
  const head = JSON.stringify({ machine: `${others.length + 1} x ${model}`, commit, ...what }).slice(0, -1);
  const named = join(here, "results", `filter-sweep-${what.dim}.json`);
  writeFileSync(named, `${head},"points":[\n${text}\n]}\n`);
  return named;
}

/** The points of each kind of filter and `ef`, with its label. */
function lines(points) {
  const labelled = new Map();
  for (const point of points) {
    const label = `${point.filter}, ef ${point.ef}`;
    labelled.set(label, [...(labelled.get(label) ?? []), point]);
  }
  return [...labelled];
}

/** A row for each share, a column for each kind of filter: the ratio, and recall with and without a filter. */
function table(points) {
  const columns = lines(points);
  const cell = ({ ratio, recall, unfilteredRecall }) =>
    `${ratio.toFixed(2)} (${recall.toFixed(3)} / ${unfilteredRecall.toFixed(3)})`;
  const rows = columns[0][1].map(({ share }, at) => [`${share * 100} %`, ...columns.map(([, line]) => cell(line[at]))]);
  const head = ["passes", ...columns.map(([label]) => label)];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

/** Ratio against share of rows, both by orders of magnitude; one line for each kind of filter and `ef`. */
function plot({ rows, dim, points }) {
  const colours = { random: "#1f77b4", correlated: "#2ca02c", "anti-correlated": "#d62728" };
  const x = (share) => 60 + (Math.log10(share) + 3) * 180;
  const y = (ratio) => 170 - Math.log10(Math.max(ratio, 0.01)) * 70;
  const curves = lines(points.filter(({ ef }) => DRAWN.includes(ef)));
  const drawn = curves.map(([label, line], at) => {
    const [{ filter, ef }] = line;
    const dash = ef === DRAWN[0] ? "" : ' stroke-dasharray="5 3"';
    const path = line.map(({ share, ratio }) => `${x(share).toFixed(0)},${y(ratio).toFixed(0)}`).join(" ");
    const text = `<text x="460" y="${40 + at * 16}" fill="${colours[filter]}">${label}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colours[filter]}"${dash}/>${text}`;
  });
  const line = `<line x1="60" x2="600" y1="${y(0.8)}" y2="${y(0.8)}" stroke="#999"/>`;
  const goal = `${line}<text x="605" y="${y(0.8)}">0.8</text>`;
  const ticks = [0.001, 0.01, 0.1, 0.5].map((share) => `<text x="${x(share) - 12}" y="335">${share * 100} %</text>`);
  const title = `Queries/s to the better of exact and unfiltered search, ${rows} x ${dim}`;
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" width="660" height="350" font-family="sans-serif" font-size="12">',
    `<rect width="660" height="350" fill="#fff"/><text x="60" y="20">${title}</text>`,
    goal,
    ...ticks,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}
