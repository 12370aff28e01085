/** Which hosts a resource is for: a plain map of labels, or a label selector as Kubernetes has it. Pure. */
import { isObject } from "../safe-json.ts";
import type { RawLabelSelector } from "./schemas/host-network-config.ts";

export type Labels = Readonly<Record<string, string>>;
export type NodeSelector = (labels: Labels) => boolean;

/** A map whose values are no texts is a selector: labels are always texts. */
export function nodeSelector(raw: RawLabelSelector | Labels | null | undefined): NodeSelector {
  if (raw === null || raw === undefined) return () => true;
  if (!isSelector(raw)) return (labels) => hasAll(labels, raw);
  const { matchLabels = {}, matchExpressions = [] } = raw;
  return (labels) =>
    hasAll(labels, matchLabels) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
      switch (operator) {
        case "In":
          return value !== undefined && values.includes(value);
        case "NotIn":
          return value === undefined || !values.includes(value);
        case "Exists":
          return value !== undefined;
        case "DoesNotExist":
          return value === undefined;
      }
    });
}

function isSelector(raw: RawLabelSelector | Labels): raw is RawLabelSelector {
  return isObject(raw["matchLabels" as keyof typeof raw]) || Array.isArray(raw["matchExpressions" as keyof typeof raw]);
}

function hasAll(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([label, value]) => Object.hasOwn(labels, label) && labels[label] === value);
}
