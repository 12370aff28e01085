/** Names of interfaces: what the kernel takes. Pure. */

/** IFNAMSIZ less the terminator, uapi/linux/if.h */
const INTERFACE_NAME_MAX = 15;

/** Why the kernel would not take the name (dev_valid_name, net/core/dev.c); null if it would. */
export function interfaceNameFault(name: string): string | null {
  if (name === "") return "is empty";
  const length = Buffer.byteLength(name);
  if (length > INTERFACE_NAME_MAX) return `has ${length} bytes; an interface name has at most ${INTERFACE_NAME_MAX}`;
  if (name === "." || name === "..") return "is not a name";
  // The kernel's isspace() covers ASCII blanks and the Latin-1 no-break space octet; \s covers those and more.
  // A per cent sign makes a name a pattern that the kernel fills in or refuses (dev_alloc_name).
  const bad = /[/:%\s\u0000-\u001f\u007f]/.exec(name);
  if (bad) return `holds ${JSON.stringify(bad[0])}, which an interface name cannot`;
  return null;
}

/** Names that links of ours have or may get: of bridges, bonds, probes, the host's interfaces, derived ones of ports. */
const RESERVED = /-(br|bo|pp|pi)(\.\d+)?$|-h\.\d+$|^p[wi][a-z2-7]{13}$/;

/** The same of a name that a client chooses for a link in the host's namespace. */
export function hostNameFault(name: string): string | null {
  if (RESERVED.test(name)) return "is of a form that links of the daemon's own have";
  if (name.includes("%")) return 'holds "%", which the kernel takes for a pattern';
  return interfaceNameFault(name);
}
