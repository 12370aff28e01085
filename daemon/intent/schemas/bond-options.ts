/** The schema of bondOptions, made of the one table of options (model/bond-options.ts). */
import { type BondOption, bondModes, bondOptionAliases, bondOptions } from "../../model/bond-options.ts";

type Property = Readonly<Record<string, unknown>>;

const SWITCH: Property = { enum: [true, false, 1, 0, "on", "off"], "x-must": "be true or false" };

export const bondOptionsSchema = {
  type: "object",
  "x-must": "be a map",
  additionalProperties: false,
  properties: {
    mode: {
      description: "Default active-backup",
      enum: [...bondModes, ...bondModes.keys(), ""],
      "x-must": `be one of ${bondModes.join(", ")}, or its number, 0 to 6`,
    },
    primary: {
      description: "The NIC that carries while it can, as written in nics; for active-backup, balance-tlb, balance-alb",
      type: "string",
      minLength: 1,
      "x-must": "be one of nics",
    },
    ...Object.fromEntries(bondOptions.map((option) => [option.name, property(option)])),
    ...Object.fromEntries(
      Object.entries(bondOptionAliases).map(([alias, name]) => {
        const option = bondOptions.find((one) => one.name === name);
        return [alias, { ...(option && property(option)), description: `Another name of ${name}` }];
      }),
    ),
  } as Readonly<Record<string, Property>>,
} as const;

function property(option: BondOption): Property {
  return { description: description(option), ...shape(option) };
}

function shape({ name, values }: BondOption): Property {
  switch (values.kind) {
    case "choice":
      if (values.choices[1] === "on") return SWITCH;
      return {
        enum: [...values.choices, ...values.choices.keys()],
        "x-must": `be one of ${values.choices.join(", ")}, or its number, 0 to ${values.choices.length - 1}`,
      };
    case "switch":
      return SWITCH;
    case "number": {
      // Harvester's -1 of miimon means its default.
      const min = name === "miimon" ? -1 : values.min;
      const range = values.max === 2147483647 ? `${min} or more` : `${min} to ${values.max}`;
      return { type: "integer", minimum: min, maximum: values.max, "x-must": `be ${range}` };
    }
    case "addresses":
      return {
        type: "array",
        minItems: 1,
        "x-must": `be a list of IPv${values.family} addresses`,
        items: { type: "string", "x-must": "be an address" },
      };
    case "mac":
      return {
        type: "string",
        format: "mac-or-zero",
        "x-must": "be a MAC address of one station, e.g. 02:00:5e:10:00:01, or 00:00:00:00:00:00 for the bond's own",
      };
  }
}

function description({ name, meaning, modes, since, values }: BondOption): string {
  const parts = [`${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}`];
  if (values.kind === "number" && values.unit !== "") parts.push(`in ${values.unit}`);
  if (modes.length < bondModes.length) parts.push(`for ${modes.join(", ")}`);
  if (since !== undefined) parts.push(`Linux ${since} and newer`);
  parts.push(name === "miimon" ? "default 100, or 0 with arpInterval; -1 means the default" : defaultOf(values));
  return parts.filter((part) => part !== "").join("; ");
}

function defaultOf(values: BondOption["values"]): string {
  switch (values.kind) {
    case "choice":
      return `default ${values.choices[values.default]}`;
    case "addresses":
      return "";
    default:
      return `default ${values.default}`;
  }
}
