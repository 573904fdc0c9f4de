/** Syntax of well-known text (OGC 06-103r4, clause 7): a wrong constant is refused before any node is asked. */

const KINDS = ["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"];
/** Spaces are ASCII's, and a number ends where it cannot go on, as native code reads them. */
const TOKEN = /[ \t\n\f\r]*([A-Za-z]+|[(),]|[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![-+.\w]))[ \t\n\f\r]*/y;
/** Geometries may stand in collections so deep; native code has the same bound. */
const DEPTH_MAX = 32;

/** Kind of the geometry that `text` spells, in capitals; undefined when it spells none. */
export function geometryKind(text: string): string | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  const reader = new WktReader(tokens);
  return reader.geometry(0) && reader.isAtEnd() ? tokens[0]?.toUpperCase() : undefined;
}

function tokensOf(text: string): readonly string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) return undefined;
    tokens.push(token);
  }
  return tokens;
}

/** Every method tells whether what it reads stands next, and goes behind it. */
class WktReader {
  private readonly tokens: readonly string[];
  private at = 0;

  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
  }

  isAtEnd(): boolean {
    return this.at === this.tokens.length;
  }

  geometry(depth: number): boolean {
    const kind = this.tokens[this.at]?.toUpperCase() ?? "";
    if (depth >= DEPTH_MAX || !KINDS.includes(kind)) return false;
    this.at++;
    switch (kind) {
      case "POINT":
        return this.point();
      case "LINESTRING":
        return this.points(2, false);
      case "POLYGON":
        return this.rings();
      case "MULTIPOINT":
        return this.list(() =>
          /^[-+.\d]/.test(this.tokens[this.at] ?? "") ? this.pair() !== undefined : this.point(),
        );
      case "MULTILINESTRING":
        return this.list(() => this.points(2, false));
      case "MULTIPOLYGON":
        return this.list(() => this.rings());
      default:
        return this.list(() => this.geometry(depth + 1));
    }
  }

  private accept(token: string): boolean {
    if (this.tokens[this.at]?.toUpperCase() !== token) return false;
    this.at++;
    return true;
  }

  private list(item: () => boolean): boolean {
    if (this.accept("EMPTY")) return true;
    if (!this.accept("(")) return false;
    do if (!item()) return false;
    while (this.accept(","));
    return this.accept(")");
  }

  private point(): boolean {
    return this.accept("EMPTY") || (this.accept("(") && this.pair() !== undefined && this.accept(")"));
  }

  private rings(): boolean {
    return this.list(() => this.points(4, true));
  }

  private points(least: number, ring: boolean): boolean {
    const points: string[] = [];
    const read = this.list(() => {
      const point = this.pair();
      points.push(point ?? "");
      return point !== undefined;
    });
    if (!read || points.length === 0) return read;
    return points.length >= least && (!ring || points[0] === points.at(-1));
  }

  /** Two finite numbers as text. */
  private pair(): string | undefined {
    const numbers = this.tokens.slice(this.at, this.at + 2).map(Number);
    if (numbers.length < 2 || !numbers.every(Number.isFinite)) return undefined;
    this.at += 2;
    return numbers.join(" ");
  }
}
