/** What routing by an interface of the host takes beside its addresses: forwarding, and a link that works already. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link, Namespace } from "../kernel/kernel.ts";

/** As the stock plugin: switched on where it is off, and never off again, for nobody knows who else relies on it. */
export async function forward(family: 4 | 6, namespace: Pick<Namespace, "readSysctl" | "writeSysctl">): Promise<void> {
  const path = family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
  if ((await namespace.readSysctl(path)) === "0") await namespace.writeSysctl(path, "1");
}

/** Those that are there, in this order. */
export async function present(namespace: Pick<Namespace, "link">, names: readonly string[]): Promise<readonly Link[]> {
  const links = await Promise.all(names.map((name) => namespace.link({ name })));
  return links.filter((link) => link !== null);
}

const IF_OPER_UP = 6; // uapi/linux/if.h
const PATIENCE_MS = 2000;
const INTERVAL_MS = 1;

/**
 * A link sends nothing before the kernel's link watch has seen its carrier and given it a queue (linkwatch_do_dev), a
 * moment after it came up; and a bridge's port does not forward. The links as they are then, or when patience ends.
 */
export async function working(namespace: Pick<Namespace, "link">, names: readonly string[]): Promise<readonly Link[]> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const links = await present(namespace, names);
    if (links.every(({ operState }) => operState === IF_OPER_UP) || performance.now() > until) return links;
    await sleep(INTERVAL_MS);
  }
}
