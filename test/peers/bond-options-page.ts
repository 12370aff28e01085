/** The table of bond options as a page for people. */
import { type BondOption, bondModes, bondOptions } from "../../daemon/model/bond-options.ts";

export function bondOptionsPage(): string {
  const rows = bondOptions.map((option) => {
    const { name, modes, need, since, meaning } = option;
    const where = modes.length === bondModes.length ? "all" : modes.join(", ");
    const how = need === "nothing" ? "in place" : need === "down" ? "bond down" : "without members";
    const notes = since === undefined ? meaning : `${meaning} (Linux ${since})`;
    return `| \`${name}\` | ${values(option)} | ${where} | ${how} | ${notes} |`;
  });
  return `# Options of a bond

\`spec.uplink.bondOptions\` of a VlanConfig. Made from \`daemon/model/bond-options.ts\`; a test compares.

- \`mode\`: ${bondModes.map((mode, number) => `\`${mode}\` (${number})`).join(", ")}. Default \`active-backup\`. Changed without members.
- \`primary\`: one of \`nics\`, written as there; in active-backup, balance-tlb and balance-alb. Changed in place.
- \`numGratArp\` and \`numUnsolNa\` are other names of \`numPeerNotif\`.
- \`miimon\` is 100 unless given, or 0 where \`arpInterval\` is; -1 means the default.

| option | values (default first or in brackets) | modes | changed | meaning |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

function values({ values: v }: BondOption): string {
  switch (v.kind) {
    case "choice":
      return v.choices.map((choice) => `\`${choice}\``).join(", ");
    case "switch":
      return v.default ? "`true`, `false`" : "`false`, `true`";
    case "number":
      return `${v.min} to ${v.max}${v.unit === "" ? "" : ` ${v.unit}`} (${v.default})`;
    case "addresses":
      return `IPv${v.family} addresses (none)`;
    case "mac":
      return "MAC address (all zero: the bond's own)";
  }
}
