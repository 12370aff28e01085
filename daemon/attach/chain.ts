/**
 * A place in a chain of plugins: prevResult comes in, and goes out with what we added (CNI SPEC 1.1.0, section 2, "ADD").
 * What others said passes as it came, with members that nobody here knows. Pure.
 */
import type { JsonObject } from "../safe-json.ts";
import { isObject } from "../safe-json.ts";
import type { Fields } from "./decode.ts";
import { type CniResult, formatResult, hasDns, parseResult } from "./result.ts";
import { atLeast, type CniVersion } from "./version.ts";

export interface PreviousResult {
  readonly result: CniResult;
  /** as it came */
  readonly raw: JsonObject;
}

export function parsePrevious(fields: Fields, raw: JsonObject): PreviousResult {
  return { result: parseResult(fields), raw };
}

/** What goes to stdout. */
export function chainedResult(previous: PreviousResult | null, own: CniResult, version: CniVersion): object {
  if (previous === null) return formatResult(own, version);
  const before = inForm(previous, version);
  const offset = previous.result.interfaces.length;
  const ips = own.ips.map((ip) => (ip.interface === undefined ? ip : { ...ip, interface: ip.interface + offset }));
  const after: JsonObject = { ...formatResult({ ...own, ips }, version) };
  const dns = hasDns(own.dns) || !isObject(before.dns) ? own.dns : before.dns;
  const joined = { ...before, cniVersion: version, dns };
  // Up to 0.2.0 there is one address a family, and the one that was there first stays.
  if (!atLeast(version, "0.3.0")) return { ...after, ...joined };
  return {
    ...joined,
    ...append("interfaces", before, after),
    ...append("ips", before, after),
    ...append("routes", before, after),
  };
}

/** The runtime says it in the version of the configuration. If it does not, it is brought into that version's form. */
function inForm({ result, raw }: PreviousResult, version: CniVersion): JsonObject {
  const told = raw.cniVersion ?? version;
  const isOld = isObject(raw.ip4) || isObject(raw.ip6);
  const isNew = Array.isArray(raw.ips);
  const fits = told === version && (atLeast(version, "0.3.0") ? !isOld : !isNew);
  return fits ? raw : { ...formatResult(result, version) };
}

function append(key: string, before: JsonObject, after: JsonObject): JsonObject {
  const list = [before[key], after[key]].flatMap((part): readonly unknown[] => (Array.isArray(part) ? part : []));
  return list.length > 0 || Array.isArray(before[key]) ? { [key]: list } : {};
}
