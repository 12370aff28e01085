/** Where a text stops being JSON (RFC 8259), for messages: JSON.parse says it only for some texts. */

const TOKEN =
  /[{}[\]:,]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const BLANK = /[ \t\n\r]*/y;

type Expected = "value" | "value or ]" | "name" | "name or }" | "colon" | "comma or ]" | "comma or }" | "nothing more";

const words: Readonly<Record<Expected, string>> = {
  value: "a value",
  "value or ]": "a value or ]",
  name: "a name in double quotes",
  "name or }": "a name in double quotes or }",
  colon: ":",
  "comma or ]": "a comma or ]",
  "comma or }": "a comma or }",
  "nothing more": "nothing more",
};

export interface JsonFault {
  readonly offset: number;
  /** "expected a value" */
  readonly reason: string;
}

/** null: the text is JSON. */
export function jsonFault(text: string): JsonFault | null {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  let offset = 0;
  const afterValue = (): Expected => {
    const inner = open.at(-1);
    return inner === undefined ? "nothing more" : inner === "{" ? "comma or }" : "comma or ]";
  };
  while (true) {
    offset = match(BLANK, text, offset)?.end ?? offset;
    const token = match(TOKEN, text, offset);
    const fault: JsonFault = { offset, reason: `expected ${words[expected]}` };
    if (token === null) return expected === "nothing more" && offset === text.length ? null : fault;
    const next = step(expected, token.text, open, afterValue);
    if (next === null) return fault;
    expected = next;
    offset = token.end;
  }
}

/** What may follow the token; null: it may not stand here. */
function step(expected: Expected, token: string, open: ("{" | "[")[], afterValue: () => Expected): Expected | null {
  switch (expected) {
    case "value":
    case "value or ]":
      if (token === "{" || token === "[") {
        open.push(token);
        return token === "{" ? "name or }" : "value or ]";
      }
      if (token === "]" && expected === "value or ]") break;
      return /^[}\]:,]/.test(token) ? null : afterValue();
    case "name":
    case "name or }":
      if (token.startsWith('"')) return "colon";
      if (token === "}" && expected === "name or }") break;
      return null;
    case "colon":
      return token === ":" ? "value" : null;
    case "comma or ]":
      if (token === ",") return "value";
      if (token === "]") break;
      return null;
    case "comma or }":
      if (token === ",") return "name";
      if (token === "}") break;
      return null;
    case "nothing more":
      return null;
  }
  open.pop();
  return afterValue();
}

function match(pattern: RegExp, text: string, at: number): { text: string; end: number } | null {
  pattern.lastIndex = at;
  const found = pattern.exec(text)?.[0];
  return found === undefined ? null : { text: found, end: at + found.length };
}
