/** bondOptions as written to bond options in the kernel's terms. */
import { checkBond, type RawBondOptions } from "../../model/bond-checks.ts";
import {
  type BondMode,
  type BondOption,
  bondData,
  bondModes,
  bondOptionAliases,
  bondOptions,
} from "../../model/bond-options.ts";
import { formatIp, parseIp } from "../../model/ip.ts";
import type { BondOptions } from "../../model/resources.ts";
import type { Check } from "../validate.ts";

const DEFAULT_MODE: BondMode = "active-backup";
const PATH = ["spec", "uplink", "bondOptions"] as const;

type Value = string | number | boolean;

/** The raw options have passed the schema: what is checked here is whether they go together. */
export function readBondOptions(
  check: Check,
  raw: RawBondOptions,
  nics: readonly string[],
  hardwareAddress: string,
): BondOptions {
  const mode = modeOf(raw["mode"]);
  checkBond(mode, raw, { nics, hardwareAddress }, (path, reason) => check.refuse([...PATH, ...path], reason));
  const given: Record<string, Value> = {};
  const asked: string[] = [];
  for (const option of bondOptions) {
    const aliases = Object.keys(bondOptionAliases).filter((alias) => bondOptionAliases[alias] === option.name);
    const written = [option.name, ...aliases].map((name) => raw[name]).find((value) => value !== undefined);
    if (written === undefined || (option.name === "miimon" && written === -1)) continue;
    given[option.attribute] = kernelValue(option, written);
    asked.push(option.attribute);
  }
  return {
    mode,
    modeIsGiven: raw["mode"] !== undefined,
    data: bondData(mode, given),
    primary: String(raw["primary"] ?? ""),
    asked,
  };
}

function modeOf(raw: RawBondOptions[string] | undefined): BondMode {
  return bondModes.find((name, number) => raw === name || raw === number) ?? DEFAULT_MODE;
}

function kernelValue({ values }: BondOption, written: RawBondOptions[string]): Value {
  switch (values.kind) {
    case "choice":
      return typeof written === "string" ? values.choices.indexOf(written) : Number(written);
    case "switch":
      return written === true || written === 1 || written === "on";
    case "number":
      return Number(written);
    case "addresses": {
      const addresses = (Array.isArray(written) ? written : []) as readonly string[];
      return addresses
        .flatMap((text) => parseIp(text) ?? [])
        .map(formatIp)
        .join(",");
    }
    case "mac":
      return String(written).toLowerCase();
  }
}
