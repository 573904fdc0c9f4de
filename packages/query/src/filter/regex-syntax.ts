/**
 * Checks a pattern against RE2's syntax and writes it in the dialect of the native engine. The two differ in small
 * things: RE2's `\d \w \s \b` are ASCII, brackets inside a class are plain characters, `\Q…\E` quotes.
 */
import { FilterRefusal } from "./syntax.ts";

const REPEAT_MAX = 1000;
const NESTING_MAX = 200;
const CLASSES: ReadonlyMap<string, string> = new Map([
  ["d", "[0-9]"],
  ["D", "[^0-9]"],
  ["s", "[\\t\\n\\f\\r ]"],
  ["S", "[^\\t\\n\\f\\r ]"],
  ["w", "[0-9A-Za-z_]"],
  ["W", "[^0-9A-Za-z_]"],
]);
const CONTROL: ReadonlyMap<string, string> = new Map([
  ["a", "\\x07"],
  ["f", "\\x0C"],
  ["t", "\\t"],
  ["n", "\\n"],
  ["r", "\\r"],
  ["v", "\\x0B"],
]);
const POSIX_NAMES: ReadonlySet<string> = new Set(
  "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split(" "),
);

/** @throws FilterRefusal when RE2 would not take the pattern. */
export function checkRegex(pattern: string): string {
  return new RegexReader(pattern).read();
}

class RegexReader {
  private readonly pattern: string;
  private readonly names = new Set<string>();
  private at = 0;
  private depth = 0;
  /** Whether the last piece can be repeated, and whether it was already. */
  private last: "nothing" | "atom" | "repeated" = "nothing";
  private out = "";

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  read(): string {
    while (this.at < this.pattern.length) this.piece();
    if (this.depth > 0) throw this.refusal("missing closing )", this.pattern);
    return this.out;
  }

  private refusal(what: string, part: string): FilterRefusal {
    return new FilterRefusal(`invalid regex pattern: ${this.pattern}, error parsing regexp: ${what}: \`${part}\``);
  }

  private emit(text: string, last: "nothing" | "atom" | "repeated"): void {
    this.out += text;
    this.last = last;
  }

  private piece(): void {
    const char = String.fromCodePoint(this.pattern.codePointAt(this.at) ?? 0);
    switch (char) {
      case "(":
        return this.open();
      case ")":
        if (this.depth === 0) throw this.refusal("unexpected )", this.pattern);
        this.depth--;
        this.at++;
        return this.emit(")", "atom");
      case "|":
        this.at++;
        return this.emit("|", "nothing");
      case "[":
        return this.characterClass();
      case "*":
      case "+":
      case "?":
        return this.repeat(char);
      case "{":
        return this.counted();
      case "\\":
        return this.escape();
      case ".":
      case "^":
      case "$":
        this.at++;
        return this.emit(char, "atom");
      default:
        this.at += char.length;
        return this.emit(quoted(char), "atom");
    }
  }

  private open(): void {
    if (++this.depth > NESTING_MAX) throw this.refusal("expression nests too deeply", this.pattern);
    const rest = this.pattern.slice(this.at);
    const named = /^\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>/.exec(rest);
    if (named !== null) {
      const [whole, name = ""] = named;
      if (this.names.has(name)) throw this.refusal("duplicate capture group name", name);
      this.names.add(name);
      this.at += whole.length;
      return this.emit("(", "nothing");
    }
    const flags = /^\(\?([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest);
    if (flags !== null) {
      const [whole, on = "", off = "", end] = flags;
      if (end === ")" && on === "" && off === "") throw this.refusal("missing argument to repetition operator", "?");
      if (end === ")") this.depth--;
      this.at += whole.length;
      return this.emit(`(?${distinct(on)}${off === "" ? "" : `-${distinct(off)}`}${end}`, "nothing");
    }
    if (rest.startsWith("(?")) throw this.refusal("invalid or unsupported Perl syntax", rest.slice(0, 3));
    this.at++;
    this.emit("(", "nothing");
  }

  private repeat(operator: string): void {
    this.checkRepeatable(operator);
    this.at++;
    const lazy = this.pattern[this.at] === "?" ? "?" : "";
    this.at += lazy.length;
    this.emit(operator + lazy, "repeated");
  }

  private checkRepeatable(operator: string): void {
    if (this.last === "nothing") throw this.refusal("missing argument to repetition operator", operator);
    if (this.last === "repeated") throw this.refusal("invalid nested repetition operator", operator);
  }

  /** `{n}`, `{n,}`, `{n,m}`; any other brace is a plain character. */
  private counted(): void {
    const match = /^\{(\d+)(?:(,)(\d*))?\}\??/.exec(this.pattern.slice(this.at));
    if (match === null) {
      this.at++;
      return this.emit("\\{", "atom");
    }
    const [whole, low = "0", , high] = match;
    this.checkRepeatable(whole);
    const [least, most] = [Number(low), high === undefined || high === "" ? Number(low) : Number(high)];
    if (least > REPEAT_MAX || most > REPEAT_MAX || least > most) throw this.refusal("invalid repeat count", whole);
    this.at += whole.length;
    this.emit(whole, "repeated");
  }

  private escape(): void {
    const rest = this.pattern.slice(this.at);
    const next = rest[1];
    if (next === undefined) throw this.refusal("trailing backslash at end of expression", "");
    if (next === "Q") {
      const end = rest.indexOf("\\E", 2);
      const text = end < 0 ? rest.slice(2) : rest.slice(2, end);
      this.at += end < 0 ? rest.length : end + 2;
      return this.emit(Array.from(text, quoted).join(""), text === "" ? this.last : "atom");
    }
    if (next === "b" || next === "B") {
      this.at += 2;
      return this.emit(`(?-u:\\${next})`, "atom");
    }
    if (next === "A" || next === "z") {
      this.at += 2;
      return this.emit(`\\${next}`, "atom");
    }
    this.emit(this.escapedCharacter(), "atom");
  }

  /** An escape that stands for a character or a set of them, in or outside a class. */
  private escapedCharacter(): string {
    const rest = this.pattern.slice(this.at);
    const next = rest[1] ?? "";
    const take = (length: number, text: string): string => {
      this.at += length;
      return text;
    };
    const set = CLASSES.get(next);
    if (set !== undefined) return take(2, set);
    const control = CONTROL.get(next);
    if (control !== undefined) return take(2, control);
    const hex = /^\\x(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2}))/.exec(rest);
    if (hex !== null) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) throw this.refusal("invalid escape sequence", hex[0]);
      return take(hex[0].length, `\\x{${code.toString(16)}}`);
    }
    const property = /^\\([pP])(?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))/.exec(rest);
    if (property !== null) {
      const [whole, sign = "", caret, name, letter = ""] = property;
      const negated = (sign === "P") !== (caret === "^");
      return take(whole.length, `\\${negated ? "P" : "p"}${name === undefined ? letter : `{${name}}`}`);
    }
    const octal = /^\\(0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest);
    if (octal !== null) return take(octal[0].length, `\\x{${Number.parseInt(octal[1] ?? "0", 8).toString(16)}}`);
    if (/^[!-/:-@[-`{-~]$/.test(next)) return take(2, quoted(next));
    throw this.refusal("invalid escape sequence", rest.slice(0, 2));
  }

  private characterClass(): void {
    const start = this.at;
    const negated = this.pattern[this.at + 1] === "^";
    this.at += negated ? 2 : 1;
    let body = "";
    let first = true;
    for (;;) {
      const char = this.pattern[this.at];
      if (char === undefined) throw this.refusal("missing closing ]", this.pattern.slice(start));
      if (char === "]" && !first) break;
      first = false;
      body += this.classItem(start);
    }
    this.at++;
    this.emit(`[${negated ? "^" : ""}${body}]`, "atom");
  }

  private classItem(start: number): string {
    const rest = this.pattern.slice(this.at);
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(rest);
    if (posix !== null) {
      if (!POSIX_NAMES.has(posix[2] ?? "")) throw this.refusal("invalid character class range", posix[0]);
      this.at += posix[0].length;
      return posix[0].startsWith("[:^") ? `[${posix[0]}]` : posix[0];
    }
    const low = this.classCharacter();
    if (low.code === undefined || this.pattern[this.at] !== "-") return low.text;
    const after = this.pattern[this.at + 1];
    if (after === undefined || after === "]") return low.text;
    this.at++;
    const high = this.classCharacter();
    if (high.code === undefined || high.code < low.code) {
      throw this.refusal("invalid character class range", this.pattern.slice(start, this.at));
    }
    return `${low.text}-${high.text}`;
  }

  /** `code` is absent for sets such as `\d`. */
  private classCharacter(): { text: string; code: number | undefined } {
    if (this.pattern[this.at] === "\\") {
      if (this.at + 1 >= this.pattern.length) throw this.refusal("trailing backslash at end of expression", "");
      const from = this.at;
      const text = this.escapedCharacter();
      const letter = this.pattern[from + 1] ?? "";
      if (CLASSES.has(letter) || letter === "p" || letter === "P") return { text, code: undefined };
      const numeric = /^\\x\{?([0-9a-fA-F]+)\}?$/.exec(text);
      const control = "tnr".indexOf(letter);
      const code =
        numeric !== null ? Number.parseInt(numeric[1] ?? "0", 16) : ([9, 10, 13][control] ?? letter.charCodeAt(0));
      return { text, code };
    }
    const char = String.fromCodePoint(this.pattern.codePointAt(this.at) ?? 0);
    this.at += char.length;
    return { text: quoted(char), code: char.codePointAt(0) };
  }
}

function distinct(flags: string): string {
  return [...new Set(flags)].join("");
}

/** A character that means itself, in and outside classes. */
function quoted(char: string): string {
  return /^[\\.+*?()|[\]{}^$#&\-~]$/.test(char) ? `\\${char}` : char;
}
