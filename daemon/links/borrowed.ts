/** A link that somebody else made, as long as it is a workload's port: usable, and the host's stack off it. */
import type { Link, LinkSettings } from "../kernel/kernel.ts";
import type { Attachment } from "../model/attachment.ts";
import { borrowedAlias, parseBorrowed } from "../model/borrowed.ts";
import { PLAIN_LINK, type TargetLink } from "../model/target.ts";
import { type Comparable, type SettingsChange, settingsChange } from "./settings.ts";

export function borrowed(attachment: Pick<Attachment, "id" | "clusterNetwork">, link: Link, mtu: number): TargetLink {
  const { id, clusterNetwork } = attachment;
  const alias = borrowedAlias(id, link);
  return { name: link.name, kind: "borrowed", alias, up: true, mtu, ...PLAIN_LINK, noArp: true, clusterNetwork };
}

export function borrowedSettings({ alias, up, mtu, noArp }: TargetLink): Comparable {
  return { alias, up, mtu, noArp };
}

/** null: it is not borrowed */
export function giveBack(link: Link): SettingsChange | null {
  const was = parseBorrowed(link.alias);
  return was === null ? null : settingsChange(was, link);
}

/** What makes it a port; empty: it is one */
export function borrow(wanted: TargetLink, link: Link): LinkSettings {
  return settingsChange(borrowedSettings(wanted), link)?.after ?? {};
}
