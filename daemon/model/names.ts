/** Names of interfaces and MAC addresses: what the kernel takes. Pure. */

/** IFNAMSIZ less the terminator, uapi/linux/if.h */
export const INTERFACE_NAME_MAX = 15;

/** Why the kernel would not take the name (dev_valid_name, net/core/dev.c); null if it would. */
export function interfaceNameFault(name: string): string | null {
  if (name === "") return "is empty";
  const length = Buffer.byteLength(name);
  if (length > INTERFACE_NAME_MAX) return `has ${length} bytes; an interface name has at most ${INTERFACE_NAME_MAX}`;
  if (name === "." || name === "..") return "is not a name";
  // The kernel's isspace() covers ASCII blanks and the Latin-1 no-break space octet; \s covers those and more.
  const bad = /[/:\s\u0000-\u001f\u007f]/.exec(name);
  if (bad) return `holds ${JSON.stringify(bad[0])}, which an interface name cannot`;
  return null;
}

/** Why it cannot be an interface's own address; null if it can. */
export function macFault(mac: string): string | null {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) return "is not six hexadecimal octets joined by colons";
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) return "is a group address";
  if (/^[0:]+$/.test(mac)) return "is all zero";
  return null;
}
